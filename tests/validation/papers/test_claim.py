"""A claim holds within its tolerance, on either side."""

import pytest

from hwmodel.validation.papers.claim import Claim


@pytest.mark.parametrize(("ours", "holds"), [(100.0, True), (104.9, True), (95.1, True),
                                             (105.1, False), (94.9, False)])  # fmt: skip
def test_a_claim_holds_within_its_tolerance(ours: float, holds: bool) -> None:
    claim = Claim("system", "quantity", 100.0, ours, 0.05, "made up")
    assert claim.holds is holds
    assert claim.error == pytest.approx(ours / 100 - 1)
