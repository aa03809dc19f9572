"""Answers as traces that Chrome, Perfetto and other viewers of timelines read.

The trace event format, microseconds. Of kernels in a row each has a complete event ("X") of all its
runs together, which a model repeats from layer to layer, on the thread of one device; where batches
flow through a pipeline they are those of one batch, and the name says so. Of a step of training a
process has a thread for each rank of one pipeline, an event for each pass, and a counter ("C") for
each rank of the bytes that it holds; after the passes of a rank come the exchanges that nothing
hides, and the optimiser. Of a stream of requests each replica is a process, each request nestable
asynchronous events ("b", "e"): its wait, its prompt and its answer, with a counter of how many wait
and run. What the whole takes stands beside the events (`otherData`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel import __version__
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import show
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.pipelines.timing import levels
from hwmodel.systems.serving.served import Served
from hwmodel.systems.training.trained import Trained

KINDS = {
    "F": "forward",
    "B": "gradients of inputs",
    "W": "gradients of weights",
    "BW": "gradients",
}
"""Kind of pass -> what viewers call and colour it."""
MICRO = 1e6
"""Microseconds of a second."""

Event = dict[str, Any]


def chrome(step: Trained | Served | Estimate) -> dict[str, Any]:
    """The trace as data; raises `InputError` for a step without a timeline, and for many points."""
    if isinstance(step, Estimate):
        return _of_kernels(step)
    if isinstance(step, Served):
        return _of_requests(step)
    if step.timed is None:
        raise InputError("trace: expected a step with its timeline, found one without")
    ranks = range(len(step.timed.start_s))
    events = [_event("M", "process_name", args={"name": f"{step.name} on {step.device}"})]
    for rank in ranks:
        named = {"name": f"rank {rank}"}
        events += [_event("M", "thread_name", rank, args=named), *_passes(step, rank)]
        events += _held(step, rank)
    return _traced(events, step.step_time_s)


def _of_kernels(found: Estimate) -> dict[str, Any]:
    """Kernels one after the other, the runs of each together."""
    if np.ndim(found.time_s):
        raise InputError(f"trace: expected one point, found {np.size(found.time_s)}")
    events = [
        _event("M", "process_name", args={"name": f"{found.name} on {found.device}"}),
        _event("M", "thread_name", args={"name": _lane(found)}),
    ]
    start_s = 0.0
    for part in found.parts:
        runs, each_s = float(part.times), float(part.time_s)
        name = part.name if runs == 1 else f"{part.name}, {runs:g} runs"
        told = {"runs": runs, "each_us": each_s * MICRO, "family": part.family}
        span = _span(name, str(part.bottleneck), 0, start_s, runs * each_s)
        events.append({**span, "args": told})
        start_s += runs * each_s
    return _traced(events, float(found.time_s))


def _lane(found: Estimate) -> str:
    """Whose kernels they are: of how many devices one, and of how many batches under way."""
    devices = int(np.max(found.devices))
    whose = "kernels" if devices == 1 else f"kernels of one of {devices} devices"
    flow = found.flow
    if flow is None or float(flow.wall) == 1:
        return whose
    return f"{whose}, one batch of {float(flow.passes):g}: all take {show(found.time_s, 's')}"


def _of_requests(found: Served) -> dict[str, Any]:
    """Requests of each replica, and how many wait and run."""
    of, places = found.requests, np.array(found.ran.places)
    start_s = float(of["arrival_s"].min())
    events: list[Event] = []
    for place in sorted(set(places.tolist())):
        named = {"name": f"replica {place} of {found.name} on {found.device}"}
        events.append({**_event("M", "process_name", args=named), "pid": place})
        mine = np.flatnonzero(places == place)
        marks = {
            n: of[n][mine] - start_s for n in ("arrival_s", "scheduled_s", "first_s", "last_s")
        }
        for number, *times in zip(mine.tolist(), *(marks[n].tolist() for n in marks), strict=True):
            tokens = {n: int(of[n][number]) for n in ("input", "output")}
            spans = [(f"request {number}", times[0], times[-1])]
            spans += [
                (n, *times[at : at + 2]) for at, n in enumerate(("waits", "prompt", "answer"))
            ]
            for name, begin, end in spans:
                for phase, at in (("b", begin), ("e", end)):
                    told: dict[str, Any] = {"id": number, "cat": "request", "ts": at * MICRO}
                    event = _event(phase, name, args=tokens if phase == "b" else {}, **told)
                    events.append({**event, "pid": place})
        events += _counted(marks, place)
    return _traced(events, found.duration_s)


def _counted(marks: Mapping[str, NDArray[np.float64]], place: int) -> list[Event]:
    """How many requests of a replica wait, and run, whenever that changes."""
    changes = [(marks["arrival_s"], 1, 0), (marks["scheduled_s"], -1, 1), (marks["last_s"], 0, -1)]
    times = np.concatenate([each for each, _, _ in changes])
    steps = np.repeat([(waits, runs) for _, waits, runs in changes], len(marks["last_s"]), axis=0)
    order = np.argsort(times, kind="stable")
    levels = np.cumsum(steps[order], axis=0)
    return [
        {
            **_event("C", "requests", ts=at * MICRO, args={"waiting": waits, "running": runs}),
            "pid": place,
        }
        for at, (waits, runs) in zip(times[order].tolist(), levels.tolist(), strict=True)
    ]


def _traced(events: list[Event], time_s: float) -> dict[str, Any]:
    """Events, and what all of it takes."""
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"time_us": time_s * MICRO, "version": f"hwmodel {__version__}"},
    }


def write(step: Trained | Served | Estimate, path: str | Path) -> None:
    """Write the trace to a file; raises `InputError` where it cannot be written."""
    text = json.dumps(chrome(step))
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: expected a place to write to: {error.strerror}") from None


def _event(phase: str, name: str, rank: int = 0, **more: Any) -> Event:
    return {"ph": phase, "name": name, "pid": 0, "tid": rank, **more}


def _span(name: str, kind: str, rank: int, start_s: float, length_s: float) -> Event:
    return _event("X", name, rank, cat=kind, ts=start_s * MICRO, dur=length_s * MICRO)


def _passes(step: Trained, rank: int) -> list[Event]:
    run = step.timed
    assert run is not None
    found: list[Event] = []
    spans = zip(run.schedule.orders[rank], run.start_s[rank], run.end_s[rank], strict=True)
    for entry, start, end in spans:
        for code in entry:
            kind, stage, micro_batch = run.schedule.named(code)
            name = f"{KINDS[kind]}, micro-batch {micro_batch}, stage {stage}"
            found.append(_span(name, KINDS[kind], rank, float(start), float(end - start)))
    exposed_s = step.step_time_s - run.makespan_s - step.optimizer_s
    if exposed_s > 0:
        found.append(_span("exchanges", "exchanges", rank, run.makespan_s, exposed_s))
    update = "optimiser"
    start_s = step.step_time_s - step.optimizer_s
    return [*found, _span(update, update, rank, start_s, step.optimizer_s)]


def _held(step: Trained, rank: int) -> list[Event]:
    """Bytes of states and of micro-batches in flight, as passes begin and end."""
    run = step.timed
    assert run is not None
    times, kept = levels(run, rank, step.kept_by_stage)
    states = step.states_by_rank[rank]
    return [
        _event("C", f"bytes of rank {rank}", rank, ts=time * MICRO, args={"bytes": states + level})
        for time, level in zip(times.tolist(), kept.tolist(), strict=True)
    ]
