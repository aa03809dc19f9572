"""TPI-LLM: what the master holds by hand, and one place that hides no load."""

import pytest

from hwmodel.validation.papers import tpi_llm
from hwmodel.validation.papers.given import Given


def test_the_master_holds_shares_of_two_layers_and_both_ends_whole_by_hand() -> None:
    """Layers of 855.6 M weights, of which an eighth, and ends of 262.1 M, in fp32."""
    *_, streams = tpi_llm.memory(Given())
    assert streams.ours == pytest.approx((2 * 855.6e6 / 8 + 2 * 262.1e6) * 4 / 1e9, rel=2e-3)
    assert streams.holds


def test_one_place_hides_no_load() -> None:
    given = Given()
    assert tpi_llm.streamed_s(given, 1) == pytest.approx(0.018 + 0.025 + 0.030 + 0.031)
