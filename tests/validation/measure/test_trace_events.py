"""Launches between markers of a trace, and what is told of them."""

import json
from pathlib import Path

from hwmodel.validation.measure.trace_events import calls_of, gpu_events, median_launches

MARKER = "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<short>, x>"


def event(name: str, start: float, lasts: float = 1.0, blocks: int = 1) -> dict[str, object]:
    args = {"grid": [blocks, 2, 1], "block": [128, 2, 1], "shared memory": 64}
    return {"name": name, "ts": start, "dur": lasts, "args": args}


class Trace:
    """A profile that holds a kernel, a copy, the host's part of it, and a name of a process."""

    def export_chrome_trace(self, path: str) -> None:
        names = {"a": "kernel", "b": "gpu_memcpy", "c": "cpu_op"}
        events = [{"name": name, "cat": cat} for name, cat in names.items()]
        Path(path).write_text(json.dumps({"traceEvents": [*events, {"name": "process"}]}))


def test_of_a_profile_what_ran_on_the_gpu_is_kept() -> None:
    assert [event["name"] for event in gpu_events(Trace())] == ["a", "b"]


def test_only_what_runs_between_two_markers_is_of_a_call() -> None:
    events = [event("read", 0), event(MARKER, 1), event("a", 2), event("b", 3), event(MARKER, 4)]
    events += [event("read", 5), event(MARKER, 6), event(MARKER, 7), event("after", 8)]
    names = [[each["name"] for each in call] for call in calls_of(events[::-1])]
    assert names == [["a", "b"], []]


def test_times_are_medians_of_calls_that_launched_the_same() -> None:
    calls = [[event("a", 0), event("b", 9, 8)], [event("c", 0)]]
    calls += [[event("a", 100, 3), event("b", 104, lasts, 7)] for lasts in (2, 4)]
    a, b = median_launches(calls)
    assert a == ["a", "1x2x1", 256, 64, None, 0, 3]
    assert b == ["b", "7x2x1", 256, 64, None, 4, 4]  # starts 9, 4, 4 after a; lasts 8, 2, 4


def test_a_call_that_launches_nothing_is_told_as_such() -> None:
    assert median_launches([[], []]) == []
