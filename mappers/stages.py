"""Layers to a pipeline's stages, so that the slowest is as fast as can be: exact, cut by cut.

Layers keep their order, so a stage holds a run of them; the first and the last stage have more to
do (embedding; head and loss). With P the sums of the layers' loads up to each place, the least
slowest load of s stages that end at place e is

    T[s, e] = min over b of max(T[s - 1, b], P[e] - P[b] + extra_s)

which looks at every cut, so that the last is the optimum (Bokhari, IEEE Transactions on Computers
37 (1), 1988: chains on chains). Of the splits that reach it the most even one is taken, by the
least sum of squares in the same way. No stage holds fewer than `least` layers.

In Vocabulary Parallelism (arXiv 2411.05288) this is the redistribution of layers: a head of V rows
weighs as much as 6 V / (72 h + 12 s) layers.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.spine.certificate import Certificate

MAPSPACE = "runs of layers in their order, one a stage"
SLACK = 1e-12
"""Rounding of sums, relative."""


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
) -> Balance:
    """The split of `layers` (their loads, in order) whose largest load is the smallest.

    `first` and `last` are what the end stages do besides. Raises `InputError` for counts that make
    no sense.
    """
    _check(layers, stages, least)
    began = time.perf_counter()
    extra = np.zeros(stages)
    extra[0] += first
    extra[-1] += last
    runs = _runs(layers, least)
    made = {more: runs + more for more in map(float, extra)}  # stages between the ends are alike
    slowest, _ = _dealt([made[more] for more in map(float, extra)], np.maximum)
    squared = {more: _squared(each, slowest * (1 + SLACK)) for more, each in made.items()}
    squares = [squared[more] for more in map(float, extra)]
    _, cuts = _dealt(squares, np.add)
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(layers, dtype=np.float64))])
    loads = np.diff(sums[cuts]) + extra
    mean = float((sums[-1] + first + last) / stages)
    value = float(loads.max())
    return Balance(
        tuple(int(count) for count in np.diff(cuts)),
        tuple(float(load) for load in loads),
        Certificate(
            objective="load of the slowest stage",
            unit="",
            value=value,
            mapspace=MAPSPACE,
            mapspace_bound=min(value, slowest),
            bound=min(value, max(mean, *map(float, layers), first, last)),
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


def _runs(layers: Sequence[float], least: int) -> NDArray[np.float64]:
    """Loads of the layers from place b up to place e, `[b, e]`; infinite where they are too few."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(layers, dtype=np.float64))])
    places = np.arange(len(sums))
    enough = places[None, :] - places[:, None] >= least
    return np.where(enough, sums[None, :] - sums[:, None], np.inf)


def _squared(loads: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    return np.where(loads <= most, loads**2, np.inf)


def _dealt(stages: Sequence[NDArray[np.float64]], join: np.ufunc) -> tuple[float, list[int]]:
    """The least joined cost of all stages, and the places of its cuts, the ends among them.

    `stages` are costs by begin and end, `[b, e]`.
    """
    costs, begins = stages[0][0], list[NDArray[np.intp]]()
    for stage in stages[1:]:
        joined = join(costs[:, None], stage)
        begins.append(joined.argmin(axis=0))
        costs = joined.min(axis=0)
    cuts = [len(costs) - 1]
    for each in reversed(begins):
        cuts.append(int(each[cuts[-1]]))
    return float(costs[-1]), [0, *reversed(cuts)]
