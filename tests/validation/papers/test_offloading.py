"""Models that stream: three blocks by hand, and what a place fewer for them costs."""

import pytest

from hwmodel.validation.papers import offloading
from hwmodel.validation.papers.given import Given


def test_three_blocks_and_the_ends_are_held_by_hand() -> None:
    """12 x 12,288^2 weights a block in fp16, and 50,272 + 2,050 rows beside."""
    held, *_ = offloading.zeroth_order_memory(Given())
    assert 12.1 < held.ours < 13


def test_without_places_for_three_blocks_steps_of_zo2_would_take_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offloading, "ZO2", {**offloading.ZO2, "window": 1})
    assert not all(claim.holds for claim in offloading.zeroth_order_speed(Given()))
