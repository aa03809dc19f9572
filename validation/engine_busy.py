"""Where an engine's error sits: predicted kernels against GPU-busy time, by class of kernels.

Profiled steps (`engine_kernels.csv`) run with pauses, so that most of them run at the full clock:
what is predicted are kernels after a rest, those too that run beside others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import rested
from hwmodel.machines.gpu.engines.shipped import ENGINES
from hwmodel.quantity.remembered import remembered
from hwmodel.validation.engine_rows import (
    ENGINE,
    PREDICTED,
    Busy,
    Measured,
    class_of_stage,
    predicted,
    read_busy,
    seen,
    step_rows,
)
from hwmodel.validation.fit import Array

WHOLE = "all kernels"


@dataclass(frozen=True)
class Share:
    """One class of kernels, over steps: errors of its seconds, and its share of the busy time.

    `mean` and `p90` are of |predicted / measured - 1| of the class in a step; `moved` is the mean
    of |predicted - measured| over the step's whole busy time, which says what the class's error
    does to a step.
    """

    kernels: str
    column: str
    steps: int
    share: float
    mean: float
    p90: float
    bias: float
    moved: float


def predicted_s(busy: Busy, hardware: Hardware) -> dict[str, float]:
    """Predicted seconds of a profiled step by class of kernels."""
    step = busy.step
    on, ways = hardware * step.tp, {"tp": step.tp}
    found: dict[str, float] = {}
    for part in rested(step.workload(), on, ENGINES[ENGINE], ways):
        name = class_of_stage(part.name)
        found[name] = found.get(name, 0.0) + float(part.times * part.time_s)
    return found


def measured_s(busy: Busy) -> dict[str, float]:
    """Measured seconds by class; attention with the kernel that combines its parts."""
    found = dict(busy.busy_s)
    combined = found.pop("combine", 0.0)
    return {**found, "attention": found.get("attention", 0.0) + combined}


@remembered(bool)
def shares(device: str, hardware: Hardware) -> Sequence[Share]:
    """Classes of kernels by the time that they take, of steps that a fit saw and of others.

    Prompts on several devices are left out: a kernel that joins their sums waits there for the
    others' hosts, for up to five sixths of all that the profiler counts.
    """
    columns: dict[str, list[Busy]] = {}
    for busy in read_busy(device):
        waits = busy.step.tp > 1 and busy.step.phase == "prefill"
        if busy.step.phase in PREDICTED and not waits:
            column = "fitted" if seen(busy.step) else "another board"
            columns.setdefault(column, []).append(busy)
    return [line for column, steps in columns.items() for line in _lines(column, steps, hardware)]


def _lines(column: str, steps: Sequence[Busy], hardware: Hardware) -> list[Share]:
    pairs = [(predicted_s(each, hardware), measured_s(each)) for each in steps]
    whole = [sum(measured.values()) for _, measured in pairs]
    names = dict.fromkeys(name for pair in pairs for one in pair for name in one)
    found = [
        line
        for name in names
        if (
            line := _line(name, column, [(p.get(name, 0), m.get(name, 0)) for p, m in pairs], whole)
        )
    ]
    total = [(sum(p.values()), w) for (p, _), w in zip(pairs, whole, strict=True)]
    last = _line(WHOLE, column, total, whole)
    ordered = sorted(found, key=lambda line: -line.share)
    return [*ordered, *([last] if last is not None else [])]


def _line(
    name: str, column: str, pairs: Sequence[tuple[float, float]], whole: Sequence[float]
) -> Share | None:
    known = [(p, m, w) for (p, m), w in zip(pairs, whole, strict=True) if p > 0 and m > 0]
    if not known:
        return None
    table: Array = np.array(known)
    predicted, measured, total = table[:, 0], table[:, 1], table[:, 2]
    ratios = predicted / measured
    errors = np.abs(ratios - 1)
    return Share(
        kernels=name,
        column=column,
        steps=len(known),
        share=float(np.mean(measured / total)),
        mean=float(errors.mean()),
        p90=float(np.quantile(errors, 0.9)),
        bias=float(np.exp(np.log(ratios).mean()) - 1),
        moved=float(np.mean(np.abs(predicted - measured) / total)),
    )


@dataclass(frozen=True)
class Joules:
    """Errors of the joules of steps, |predicted / measured - 1|, of steps long enough to count."""

    column: str
    steps: int
    mean: float
    median: float
    p90: float
    bias: float


@remembered(bool)
def joules(device: str, hardware: Hardware) -> Sequence[Joules]:
    """Steps of decode whose joules were counted, of a fit's boards and of others."""
    counted = [row for row in step_rows(device) if row.columns["step"].number("energy_j")]
    ratios: dict[str, list[float]] = {}
    for rows, made in predicted([r for r in counted if r.columns["phase"] == "decode"], hardware):
        steps: list[Measured] = [row.columns["step"] for row in rows]
        each = np.broadcast_to(np.asarray(made.energy_j), (len(rows),))
        for step, energy_j in zip(steps, each, strict=True):
            column = "fitted" if seen(step) else "another board"
            ratios.setdefault(column, []).append(energy_j / (step.number("energy_j") or np.nan))
    return [_joules(column, np.array(found)) for column, found in ratios.items()]


def _joules(column: str, ratios: Array) -> Joules:
    errors = np.abs(ratios - 1)
    return Joules(
        column=column,
        steps=len(ratios),
        mean=float(errors.mean()),
        median=float(np.median(errors)),
        p90=float(np.quantile(errors, 0.9)),
        bias=float(np.exp(np.log(ratios).mean()) - 1),
    )
