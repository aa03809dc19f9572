"""Published claims of cache policies."""

import pytest

from hwmodel.validation.papers.cache_policies import claims
from hwmodel.validation.papers.claim import Claim


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.system)
def test_every_claim_holds(claim: Claim) -> None:
    assert claim.holds, claim
