"""Answers as traces that Chrome, Perfetto and other viewers of timelines read.

Of kernels in a row each has a complete event of all its runs together, which a model repeats from
layer to layer. Of a step of training:

The trace event format: a process with a thread for each rank of one pipeline, a complete event
("X") for each pass in microseconds, and a counter ("C") for each rank of the bytes that it holds.
After the passes of a rank come the exchanges that nothing hides, and the optimiser.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.pipelines.timing import levels
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


def chrome(step: Trained | Estimate) -> dict[str, Any]:
    """The trace as data; raises `InputError` for a step without a timeline, and for many points."""
    if isinstance(step, Estimate):
        return _of_kernels(step)
    if step.timed is None:
        raise InputError("trace: expected a step with its timeline, found one without")
    ranks = range(len(step.timed.start_s))
    events = [_event("M", "process_name", args={"name": f"{step.name} on {step.device}"})]
    for rank in ranks:
        named = {"name": f"rank {rank}"}
        events += [_event("M", "thread_name", rank, args=named), *_passes(step, rank)]
        events += _held(step, rank)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _of_kernels(found: Estimate) -> dict[str, Any]:
    """Kernels one after the other, the runs of each together."""
    if np.ndim(found.time_s):
        raise InputError(f"trace: expected one point, found {np.size(found.time_s)}")
    events = [_event("M", "process_name", args={"name": f"{found.name} on {found.device}"})]
    start_s = 0.0
    for part in found.parts:
        runs, each_s = float(part.times), float(part.time_s)
        name = part.name if runs == 1 else f"{part.name}, {runs:g} runs"
        told = {"runs": runs, "each_us": each_s * MICRO, "family": part.family}
        span = _span(name, str(part.bottleneck), 0, start_s, runs * each_s)
        events.append({**span, "args": told})
        start_s += runs * each_s
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def write(step: Trained | Estimate, path: str | Path) -> None:
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
