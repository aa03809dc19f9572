"""A model in a pipeline: how much of a batch's time each stage takes."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import spread
from hwmodel.einsum.network import Workload
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part
from hwmodel.spine.flow import Flow

SENDS = "exchange.pipeline"
"""Beginning of the roles of what stages hand on."""


def flow_of(workload: Workload, parts: Sequence[Sequence[Part]]) -> Flow | None:
    """How a phase of a model flows through its pipeline, from the parts of each of its stages."""
    served = workload.served
    if served is None or (served.ways.pp == 1 and served.ways.micro_batch is None):
        return None
    count = served.ways.pp
    stages = workload.stages
    depth = 1 + max((n for s in stages for n in s.layers if n is not None), default=0)
    ends = [0, *accumulate(spread(depth, count))]
    first = next((i for i, stage in enumerate(stages) if _layered(stage)), 0)
    loads: list[Amount] = [0.0] * count
    for place, (stage, own) in enumerate(zip(stages, parts, strict=True)):
        spent: Amount = sum((part.times * part.time_s for part in own), start=0.0)
        for number, share in enumerate(_shares(stage, place < first, list(pairwise(ends)), depth)):
            loads[number] = loads[number] + share * spent
    total: Amount = sum(loads, start=0.0)
    return Flow(count, served.passes, most(loads) / total, served.decoding)


def _layered(stage: Stage) -> bool:
    return any(number is not None for number in stage.layers) or bool(np.any(stage.times > 1))


def _shares(
    stage: Stage, early: bool, ranges: Sequence[tuple[int, int]], depth: int
) -> list[float]:
    """The part of a kernel's runs that each stage of the pipeline has."""
    count = len(ranges)
    if stage.role.startswith(SENDS):
        return [*([1 / max(1, count - 1)] * (count - 1)), 0.0][:count]
    numbers = [number for number in stage.layers if number is not None]
    if numbers:
        return [sum(a <= n < b for n in numbers) / len(numbers) for a, b in ranges]
    if _layered(stage):  # an engine's own kernels: alike in all layers
        return [(b - a) / depth for a, b in ranges]
    here = 0 if early else count - 1
    return [float(place == here) for place in range(count)]
