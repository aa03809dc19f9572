"""A rate for so many seconds, with and without a word on what is asked and how."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.serving_stream import ASKED_AGAIN, OVER_HTTP_S
from hwmodel.systems.serving.served import Served

RUN: dict[str, Any] = {
    **{"config": "qwen3-0.6b", "input": 512, "output": 50, "rate_per_s": 5, "duration_s": 60},
    **{"max_batch_tokens": 1024, "max_batch": 32},
}


def served(**given: Any) -> Served:
    return hw.predict(hw.workloads.serving(**RUN, **given), on="h200")  # pyright: ignore


def test_a_run_for_so_long_is_a_load_generators_unless_that_is_said() -> None:
    taken, new = served(), served(prompts=0, frontend=0)
    count = len(taken.requests["input"])
    assert taken.prefix_hit_rate == pytest.approx((count - ASKED_AGAIN) / count * 496 / 512)
    assert new.prefix_hit_rate == 0
    assert new.latency_s > taken.latency_s - OVER_HTTP_S > 0
    told = [any("load generator" in text for text in each.warnings) for each in (taken, new)]
    assert told == [True, False]
