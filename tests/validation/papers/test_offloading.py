"""Figures of models that stream: what holds, what is missed, and that a wrong link would show."""

from functools import cache

import pytest

from hwmodel.validation.papers import offloading
from hwmodel.validation.papers.claim import Claim


@cache
def claims() -> tuple[Claim, ...]:
    """All, worked out once."""
    return offloading.claims()


def test_all_hold_but_what_a_framework_keeps() -> None:
    (missed,) = [claim for claim in claims() if not claim.holds]
    assert missed.quantity == "GB on the GPU, OPT-175B"
    # Three blocks of 12 x 12,288^2 weights in fp16, and 50,272 + 2,050 rows beside.
    assert 12.1 < missed.ours < 13


def test_without_places_for_three_blocks_steps_of_zo2_would_take_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offloading, "ZO2", {**offloading.ZO2, "window": 1})
    failed = [claim.quantity for claim in offloading.claims() if not claim.holds]
    assert len(failed) > 1
