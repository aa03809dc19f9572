"""Layers to a pipeline's stages, so that the slowest is as fast as can be: an integer program.

Layers keep their order, so a stage holds a run of them; the first and the last stage have more to
do (embedding; head and loss). With c_s the place of the cut before stage s, and P the sums of the
layers' loads up to each place, minimise T over non-decreasing whole c_1 .. c_p-1 with

    P[c_(s+1)] - P[c_s] + extra_s <= T        for each stage s

Each cut is a row of binary variables that add up to one. The relaxation's end is HiGHS' bound,
which the certificate carries; no stage holds fewer than `least` layers.

In Vocabulary Parallelism (arXiv 2411.05288) this is the redistribution of layers: a head of V rows
weighs as much as 6 V / (72 h + 12 s) layers.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.quantity.errors import InputError, SolverError
from hwmodel.quantity.printable import shown
from hwmodel.spine.certificate import Certificate

MAPSPACE = "runs of layers in their order, one a stage"
TIME_LIMIT_S = 30.0


@dataclass(frozen=True)
class Balance:
    """How many layers each stage holds, what each then has to do, and the proof."""

    layers: tuple[int, ...]
    loads: tuple[float, ...]
    certificate: Certificate

    @property
    def slowest(self) -> float:
        """The load of the stage that paces the pipeline."""
        return max(self.loads)


def balanced(
    layers: Sequence[float],
    stages: int,
    *,
    first: float = 0.0,
    last: float = 0.0,
    least: int = 0,
    time_limit_s: float = TIME_LIMIT_S,
) -> Balance:
    """The split of `layers` (their loads, in order) whose largest load is the smallest.

    `first` and `last` are what the end stages do besides. Raises `InputError` for counts that make
    no sense, `SolverError` where no split was found in time.
    """
    _check(layers, stages, least)
    began = time.perf_counter()
    extra = [0.0] * stages
    extra[0] += first
    extra[-1] += last
    cuts, proven = _solved(layers, stages, extra, least, time_limit_s)
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(layers, dtype=np.float64))])
    counts = np.diff(cuts)
    loads = np.diff(sums[cuts]) + np.asarray(extra)
    mean = float((sums[-1] + first + last) / stages)
    bound = max(mean, *map(float, layers), first, last)
    slowest = float(loads.max())
    return Balance(
        tuple(int(count) for count in counts),
        tuple(float(load) for load in loads),
        Certificate(
            objective="load of the slowest stage",
            unit="",
            value=slowest,
            mapspace=MAPSPACE,
            mapspace_bound=min(slowest, max(proven, bound)),
            bound=bound,
            bound_reason="the mean over stages, the heaviest layer, what an end does besides",
            candidates=1,
            solve_time_s=time.perf_counter() - began,
            given=(f"{least} layers or more a stage",) if least else (),
        ),
    )


def _check(layers: Sequence[float], stages: int, least: int) -> None:
    if stages < 1:
        raise InputError(f"stages: expected 1 or more, found {shown(stages)}")
    if least * stages > len(layers):
        raise InputError(
            f"stages: {stages} of {least} layers or more need {least * stages} layers; found"
            f" {len(layers)}"
        )
    if any(not load >= 0 for load in layers):
        raise InputError("layers: expected loads of 0 or more")


def _solved(
    layers: Sequence[float], stages: int, extra: Sequence[float], least: int, time_limit_s: float
) -> tuple[Any, float]:
    """(places of all cuts, the ends among them; the least T as far as proven)."""
    import pulp

    from hwmodel.mappers.placement.program import variable
    from hwmodel.mappers.placement.solver import Quiet

    sums = np.concatenate([[0.0], np.cumsum(np.asarray(layers, dtype=np.float64))])
    count = len(layers)
    # In units of the mean load, which is near one whatever the loads are measured in.
    unit = float(sums[-1] + sum(extra)) / stages or 1.0
    model = pulp.LpProblem("stages", pulp.LpMinimize)
    slowest = variable(model, "T")
    model += slowest
    places: list[Any] = [0]
    loads: list[Any] = [0.0]
    chosen: list[list[Any]] = []
    for cut in range(1, stages):
        row = [variable(model, f"z_{cut}_{at}", binary=True) for at in range(count + 1)]
        model += pulp.lpSum(row) == 1
        chosen.append(row)
        places.append(pulp.lpSum(at * z for at, z in enumerate(row)))
        loads.append(pulp.lpSum(float(sums[at]) / unit * z for at, z in enumerate(row)))
    places.append(count)
    loads.append(float(sums[-1]) / unit)
    for stage in range(stages):
        model += places[stage + 1] - places[stage] >= least
        model += loads[stage + 1] - loads[stage] + extra[stage] / unit <= slowest
    model.solve(Quiet(timeLimit=time_limit_s, threads=1, gapRel=0.0))
    found = [
        max(range(count + 1), key=lambda at, row=row: row[at].value() or 0.0) for row in chosen
    ]
    cuts = np.array([0, *found, count])
    if np.any(np.diff(cuts) < least):
        raise SolverError(f"stages: HiGHS found no split of {count} layers in {time_limit_s} s")
    return cuts, float(model.solverModel.getInfo().mip_dual_bound) * unit
