"""Published claims of shipped caches."""

import pytest

from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.disaggregation import claims


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.quantity)
def test_every_claim_holds(claim: Claim) -> None:
    assert claim.holds, claim
