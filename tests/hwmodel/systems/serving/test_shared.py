"""Prompts and tokens on shares of the same device: instants by hand, and what splitting buys."""

from dataclasses import dataclass
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler
from hwmodel.systems.serving.shared import beside, split
from tests.hwmodel.systems.serving.clocks import Linear

RULES = Scheduler()


@dataclass(frozen=True)
class Using(Linear):
    """Plain steps that use a share of the DRAM's bandwidth."""

    use: float = 0.0

    def dram_use(self, batch: Any) -> float:
        return self.use


def test_steps_that_ask_for_less_than_all_do_not_meet() -> None:
    assert beside(0.5, 0.5) == 1
    assert beside(0.0, 0.9) == 1
    # 0.8 and 0.8: each gets 1 / 1.6 of what it asks for; (1 - 0.512 + 1.28^3)^(1/3)
    assert beside(0.8, 0.8) == pytest.approx(1.37245, abs=1e-5)
    assert beside(1.0, 1.0) == pytest.approx(2.0)


def test_two_requests_by_hand() -> None:
    """Prompts of 10 s at 0.8 of the DRAM, steps of 1 s at 0.8; the second prompt comes at 10 s.

    The first request's tokens are made while the second prompt is read: steps of 1.37245 s, the
    first of them begun with the prompt itself, which looked at an idle neighbour.
    """
    reads, makes = Using(base_s=10.0, use=0.8), Using(base_s=1.0, use=0.8)
    asked = [Request(0.0, 32, 5), Request(9.0, 32, 1)]
    ran = split(asked, (reads, RULES), (makes, RULES))
    first, second = ran.stays
    slow = 1.37245
    assert first.first_s == pytest.approx(10.0)
    assert first.last_s == pytest.approx(10.0 + 4 * slow, rel=1e-4)
    assert second.first_s in (pytest.approx(20.0), pytest.approx(10.0 + 10 * slow, rel=1e-4))
    alone = split(asked[:1], (reads, RULES), (makes, RULES)).stays[0]
    assert alone.last_s == pytest.approx(14.0)


def test_requests_go_to_the_device_with_the_fewest() -> None:
    clock = Using(base_s=10.0)
    ran = split([Request(0.0, 16, 1)] * 4, (clock, RULES), (clock, RULES), replicas=2)
    assert ran.places == (0, 1, 0, 1)
    assert len(ran.replicas) == 4


ASKED: dict[str, Any] = {
    **{"input": 2000, "output": 60, "rate_per_s": 4, "requests": 40},
    **{"max_batch_tokens": 2048, "max_batch": 64},
}


@pytest.mark.thorough
def test_tokens_no_longer_wait_for_prompts() -> None:
    """Against chunks of prompts among tokens: tokens come sooner; a larger share reads sooner."""
    llama = hw.model("llama-3.1-8b")
    mixed: Any = hw.predict(llama.serving(**ASKED), on="l40s")
    few: Any = hw.predict(llama.serving(**ASKED, prefill="share=0.5"), on="l40s")
    many: Any = hw.predict(llama.serving(**ASKED, prefill="share=0.7"), on="l40s")
    assert few.tpot_s < 0.8 * mixed.tpot_s
    assert many.ttft_s < few.ttft_s
    assert many.tpot_s > few.tpot_s
    assert many.devices == mixed.devices == 1
    assert any("70% of each device's processors" in text for text in many.warnings)


@pytest.mark.parametrize(
    ("prefill", "said"),
    [("share=1", "above 0 and below 1, found 1"), ("share=0.5,tp=2", "found tp")],
)
def test_shares_that_are_none_are_refused(prefill: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        hw.predict(hw.model("qwen3-0.6b").serving(**ASKED, prefill=prefill), on="h200")
