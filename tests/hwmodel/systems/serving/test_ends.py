"""A stream at both ends of its steps: a light load waits as its steps do, a heavy one longer."""

import math
from typing import Any

import hwmodel as hw
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler
from hwmodel.systems.serving.served import Served
from hwmodel.systems.serving.stream import served as with_steps
from tests.hwmodel.systems.serving.clocks import Linear

SMALL: dict[str, Any] = {"config": "qwen3-0.6b", "input": 400, "output": 40, "requests": 80}


def served(rate_per_s: float) -> Served:
    stream = hw.workloads.serving(**SMALL, rate_per_s=rate_per_s, max_batch=32)
    return hw.predict(stream, on="h200")  # pyright: ignore


def test_ends_lie_around_the_mean_and_farther_where_requests_wait_for_one_another() -> None:
    calm, near = served(2), served(60)
    for each in (calm, near):
        assert each.ttft_low_s < each.ttft_s < each.ttft_high_s
        assert each.latency_low_s < each.latency_s < each.latency_high_s
    assert near.latency_high_s / near.latency_s > 1.2 * calm.latency_high_s / calm.latency_s
    assert calm.record()["ttft_high_s"] == calm.ttft_high_s


def test_steps_that_are_given_have_no_interval() -> None:
    work: Any = hw.workloads.serving(**SMALL, rate_per_s=2)
    asked = [Request(0.0, 10, 5)]
    found = with_steps(work, asked, Linear(base_s=1.0), Scheduler(), hw.device("h200"), {})
    assert found.intervals == {}
    assert math.isnan(found.ttft_low_s)
    assert found.record()["ttft_low_s"] is None
