"""Launches of single calls in a trace of torch's profiler, of which markers stand at both ends."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

KERNELS = ("kernel", "gpu_memset", "gpu_memcpy")
"""Categories of what runs on a GPU."""
MARKER = re.compile(r"FillFunctor<(short|int16_t)>")
"""A fill of sixteen-bit integers, which nothing that is measured launches."""

Event = Mapping[str, Any]


def gpu_events(trace: Any) -> list[dict[str, Any]]:
    """What ran on the GPU under a profile of torch, as Chrome's trace has it, unsorted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        trace.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return [event for event in events if event.get("cat") in KERNELS]


def calls_of(events: Sequence[Event]) -> list[list[Event]]:
    """What ran between the first marker and the second, the third and the fourth, and so on."""
    groups: list[list[Event]] = []
    inside = False
    for event in sorted(events, key=lambda each: float(each["ts"])):
        if MARKER.search(str(event["name"])):
            inside = not inside
            if inside:
                groups.append([])
        elif inside:
            groups[-1].append(event)
    return groups


def median_launches(calls: Sequence[Sequence[Event]]) -> list[list[Any]]:
    """One call: lists of name, grid, threads, shared bytes, registers, start and duration.

    Start, after that of the first, and duration are medians over the calls that launched what the
    last did, in microseconds.
    """
    last = [str(event["name"]) for event in calls[-1]]
    alike = [call for call in calls if [str(event["name"]) for event in call] == last]
    found: list[list[Any]] = []
    for at, name in enumerate(last):
        facts: Event = alike[-1][at].get("args", {})
        starts = [float(call[at]["ts"]) - float(call[0]["ts"]) for call in alike]
        durations = [float(call[at].get("dur", 0.0)) for call in alike]
        found.append(
            [
                name,
                "x".join(str(each) for each in facts.get("grid", ())),
                prod(int(each) for each in facts.get("block", ())),
                facts.get("shared memory"),
                facts.get("registers per thread"),
                round(median(starts), 3),
                round(median(durations), 3),
            ]
        )
    return found
