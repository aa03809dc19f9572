"""Steps as traces: every kernel or pass once, in time, and bytes that are those predicted."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.show.trace import chrome
from hwmodel.verbs.plot import of_estimate

WORK: Any = hw.model("llama-3.1-8b").training(2048, 16, pp=4, dp=2)
STEP: Any = hw.predict(WORK, on="h100")


def spans(rank: int) -> list[dict[str, Any]]:
    return [e for e in chrome(STEP)["traceEvents"] if e["ph"] == "X" and e["tid"] == rank]


def test_every_pass_of_every_rank_is_there_once_and_none_overlap() -> None:
    """8 micro-batches, forward and backward, and the optimiser; 4 ranks."""
    for rank in range(4):
        passes = [each for each in spans(rank) if "micro-batch" in each["name"]]
        assert len(passes) == len({each["name"] for each in passes}) == 16
        ends = sorted((each["ts"], each["ts"] + each["dur"]) for each in spans(rank))
        assert all(a[1] <= b[0] + 1e-3 for a, b in pairwise(ends))
        assert ends[-1][1] == pytest.approx(STEP.step_time_s * 1e6)


def test_waits_in_the_trace_are_the_bubble() -> None:
    busy = sum(
        each["dur"] for rank in range(4) for each in spans(rank) if "micro-batch" in each["name"]
    )
    assert 1 - busy / 4e6 / STEP.timed.makespan_s == pytest.approx(STEP.bubble)


def test_bytes_rise_to_what_micro_batches_in_flight_keep_and_fall_to_the_states() -> None:
    """One forward, one backward: the first rank keeps four micro-batches, the last one."""
    for rank, flying in ((0, 4), (3, 1)):
        events = [e for e in chrome(STEP)["traceEvents"] if e["ph"] == "C" and e["tid"] == rank]
        held = [each["args"]["bytes"] for each in events]
        states = STEP.states_by_rank[rank]
        assert max(held) == pytest.approx(states + flying * STEP.kept_by_stage[rank])
        assert held[-1] == pytest.approx(states)


def test_a_picture_that_ends_in_json_is_a_trace_of_a_step_and_of_nothing_else(
    tmp_path: Path,
) -> None:
    out = tmp_path / "step.json"
    of_estimate(STEP, "h100", str(out))
    assert json.loads(out.read_text()) == chrome(STEP)
    found = hw.compare(hw.workloads.gemm(M=64, N=64, K=64), on=["h100"])
    with pytest.raises(InputError, match=r"traces .* are of kernels in a row, of steps of train"):
        of_estimate(found, "h100", str(out))


def test_kernels_in_a_row_are_a_trace_without_gaps() -> None:
    step = hw.predict(hw.model("llama-3.2-1b").decode(batch=8, context=1000), "h200")
    named, lane, *spans = chrome(step)["traceEvents"]
    assert (lane["name"], lane["args"]["name"]) == ("thread_name", "kernels")
    assert named["args"]["name"].startswith("llama-3.2-1b decode on NVIDIA H200")
    assert [each["name"].split(",")[0] for each in spans] == [part.name for part in step.parts]
    ends = [each["ts"] + each["dur"] for each in spans]
    assert [each["ts"] for each in spans] == pytest.approx([0.0, *ends[:-1]])
    assert ends[-1] == pytest.approx(1e6 * sum(p.times * p.time_s for p in step.parts))
    many = hw.predict(hw.workloads.gemm(M=hw.logspace(64, 512, 3), N=64, K=64), "h200")
    with pytest.raises(hw.InputError, match="expected one point, found 3"):
        chrome(many)


def test_a_batch_of_a_pipeline_is_told_as_one_of_several() -> None:
    machine, ways = hw.device("h200") * 4, {"pp": 4, "micro_batch": 8}
    step = hw.predict(hw.model("llama-3.2-1b").decode(32, 500), machine, parallel=ways)
    trace = chrome(step)
    lane, *spans = trace["traceEvents"][1:]
    assert lane["args"]["name"].startswith("kernels of one of 4 devices, one batch of 4: all take")
    one_us = spans[-1]["ts"] + spans[-1]["dur"]
    assert one_us * step.wall == pytest.approx(trace["otherData"]["time_us"])


def test_requests_of_a_stream_wait_are_read_and_answered_in_time() -> None:
    asked: dict[str, Any] = {"rate_per_s": 8, "input": 500, "output": 50, "requests": 30}
    found: Any = hw.predict(hw.model("llama-3.2-1b").serving(**asked, devices=2), "h200")
    events = chrome(found)["traceEvents"]
    spans: dict[tuple[int, str], dict[str, Any]] = {}
    for event in (each for each in events if each["ph"] in "be"):
        spans.setdefault((event["id"], event["name"]), {})[event["ph"]] = event
    assert len(spans) == 30 * 4
    mean_us = [
        sum(span["e"]["ts"] - span["b"]["ts"] for (_, n), span in spans.items() if n == name) / 30
        for name in ("waits", "prompt", "answer")
    ]
    assert mean_us[0] + mean_us[1] == pytest.approx(found.ttft_s * 1e6)
    assert mean_us[2] == pytest.approx(found.tpot_s * 49e6)
    for replica in (0, 1):
        counted = [e for e in events if e["ph"] == "C" and e["pid"] == replica]
        assert counted[-1]["args"] == {"waiting": 0, "running": 0}
        assert min(min(each["args"].values()) for each in counted) == 0
