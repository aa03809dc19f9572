"""A model in a pipeline: how much of a batch's time each stage takes."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import spread
from hwmodel.einsum.network import Workload
from hwmodel.machines.weaving import woven_of
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part
from hwmodel.spine.flow import Flow, Woven

SENDS = "exchange.pipeline"
"""Beginning of the roles of what stages hand on."""


def flow_of(
    workload: Workload, parts: Sequence[Sequence[Part]], processors: Amount = 1, held: int = 0
) -> Flow | Woven | None:
    """How a phase of a model flows through its pipeline, from the parts of each of its stages.

    Of batches that take turns, exchanges keep `held` of so many `processors`.
    """
    served = workload.served
    if served is None or (served.ways.pp == 1 and not served.ways.cut):
        return None
    if served.ways.overlap != "none":
        return woven_of(workload, parts, processors, held)
    count, stages = served.ways.pp, workload.stages
    depth = 1 + max((_last(stage.layers) for stage in stages), default=0)
    first = next((i for i, stage in enumerate(stages) if _layered(stage)), 0)
    spent: dict[tuple[float, ...], Amount] = {}
    for place, (stage, own) in enumerate(zip(stages, parts, strict=True)):
        key = _shares(stage, place < first, count, depth)
        seconds: Amount = sum((part.times * part.time_s for part in own), start=0.0)
        spent[key] = spent.get(key, 0.0) + seconds
    total: Amount = sum(spent.values(), start=0.0)
    loads = (
        sum((key[number] * seconds for key, seconds in spent.items()), start=0.0)
        for number in range(count)
    )
    return Flow(count, served.passes, most(loads) / total, served.decoding)


@lru_cache(maxsize=4096)
def _last(layers: tuple[int | None, ...]) -> int:
    """The last number of some layers; 0 where they have none."""
    return max((number for number in layers if number is not None), default=0)


def _layered(stage: Stage) -> bool:
    return any(number is not None for number in stage.layers) or bool(np.any(stage.times > 1))


def _shares(stage: Stage, early: bool, count: int, depth: int) -> tuple[float, ...]:
    """The part of a kernel's runs that each stage of the pipeline has."""
    if stage.role.startswith(SENDS):
        return (*([1 / max(1, count - 1)] * (count - 1)), 0.0)[:count]
    if _layered(stage):
        own = any(number is not None for number in stage.layers)
        return _counted(stage.layers if own else (), count, depth)
    here = 0 if early else count - 1
    return tuple(float(place == here) for place in range(count))


@lru_cache(maxsize=4096)
def _counted(layers: tuple[int | None, ...], count: int, depth: int) -> tuple[float, ...]:
    """The part of these layers that each stage has; an engine's kernels are alike in all layers."""
    numbers = np.array([n for n in layers if n is not None] if layers else range(depth))
    ends = [0, *accumulate(spread(depth, count))]
    below = np.searchsorted(np.sort(numbers), ends)
    return tuple((np.diff(below) / len(numbers)).tolist())
