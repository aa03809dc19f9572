"""TPI-LLM's figures: all but one hold, and would not on another network or with one place."""

from functools import cache

import pytest

from hwmodel.validation.papers import tpi_llm
from hwmodel.validation.papers.claim import Claim


@cache
def claims() -> tuple[Claim, ...]:
    """All, worked out once."""
    return tpi_llm.claims()


def test_all_hold_but_the_master_s_undivided_ends() -> None:
    (missed,) = [claim for claim in claims() if not claim.holds]
    assert missed.quantity == "GB of the master with the scheduler, 70B"
    # Two layers of 855.6 M weights and both ends of 262.1 M, an eighth of each, in fp32.
    assert missed.ours == pytest.approx((2 * 855.6e6 + 2 * 262.1e6) * 4 / 8 / 1e9, rel=2e-3)


def test_fewer_links_between_devices_wait_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpi_llm, "HOPS", 3)
    assert tpi_llm.waited_s("star") == pytest.approx(6e-3, rel=1e-3)
    assert tpi_llm.waited_s("ring") == pytest.approx(42e-3, rel=1e-3)


def test_one_place_hides_no_load() -> None:
    assert tpi_llm.streamed_s(1) == pytest.approx(0.018 + 0.025 + 0.030 + 0.031)
