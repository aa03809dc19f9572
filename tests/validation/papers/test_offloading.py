"""Models that stream: three blocks by hand, and what a place fewer for them costs."""

import pytest

from hwmodel.validation.papers import offloading
from hwmodel.validation.papers.given import Given


def test_three_blocks_and_the_ends_are_held_by_hand() -> None:
    """12 x 12,288^2 weights a block in fp16, 50,272 + 2,050 rows beside.

    And four temporaries of the embedding; 10 bytes a logit; the widest kernel of a layer; a
    context of 0.8 GB.
    """
    *_, held = offloading.zeroth_order_memory(Given())
    width, tokens, vocabulary = 12_288, 2048, 50_272
    blocks = 3 * 2 * (12 * width**2 + 13 * width)
    ends = 2 * (vocabulary + 2050 + 2) * width
    working = 2 * tokens * width * (1 + 4 + 4)  # a layer's input, and the MLP's activation
    by_hand = blocks + ends + 4 * 2 * vocabulary * width + 10 * tokens * vocabulary + working
    assert held.ours == pytest.approx(by_hand / 1e9 + 0.8, rel=1e-3)
    assert all(claim.holds for claim in offloading.zeroth_order_memory(Given()))


def test_without_places_for_three_blocks_steps_of_zo2_would_take_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offloading, "ZO2", {**offloading.ZO2, "window": 1})
    assert not all(claim.holds for claim in offloading.zeroth_order_speed(Given()))
