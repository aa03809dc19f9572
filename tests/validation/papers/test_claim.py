"""A claim holds within its tolerance, on either side."""

from typing import Literal

import pytest

from hwmodel.validation.papers.claim import Claim


@pytest.mark.parametrize(("ours", "holds"), [(100.0, True), (104.9, True), (95.1, True),
                                             (105.1, False), (94.9, False)])  # fmt: skip
def test_a_claim_holds_within_its_tolerance(ours: float, holds: bool) -> None:
    claim = Claim("system", "quantity", 100.0, ours, 0.05, "made up")
    assert claim.holds is holds
    assert claim.error == pytest.approx(ours / 100 - 1)


@pytest.mark.parametrize(("published_as", "ours", "holds"), [
    ("least", 200.0, True), ("least", 96.0, True), ("least", 94.0, False),
    ("most", 1.0, True), ("most", 104.0, True), ("most", 106.0, False),
])  # fmt: skip
def test_a_least_or_a_most_is_missed_on_one_side(
    published_as: Literal["least", "most"], ours: float, holds: bool
) -> None:
    claim = Claim("system", "quantity", 100.0, ours, 0.05, "made up", published_as)
    assert claim.holds is holds
