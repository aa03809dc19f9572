"""Published claims of programs of calls; those that are missed are missed by what they are."""

import pytest

from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.programs import claims

MISSED = {
    "FLUX.1-dev, speed-up, 24 of 28 passes at half side": -0.20,
    "FLUX.1-dev, multiplications of a pass, 1,024 x 1,024": -0.37,
    "speed-up": 0.30,
}
"""Claim -> by how much it is missed."""


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: f"{claim.system}: {claim.quantity}")
def test_claims_hold_but_for_those_that_are_known_to_be_missed(claim: Claim) -> None:
    missed = MISSED.get(claim.quantity)
    assert claim.holds == (missed is None), claim
    assert missed is None or claim.error == pytest.approx(missed, abs=0.05)
