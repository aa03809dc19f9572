"""Two batches that take turns: one computes while the other's exchanges are on the links.

A batch is a row of segments: processors for s_i seconds, then links for x_i (0 where computing goes
on). Both batches need the same processors and the same links, one at a time each; segment i of the
second follows segment i of the first, on processors and on links. So

    computed(b, i) = max(free processors, exchanged(b, i - 1)) + s_i
    exchanged(b, i) = max(free links, computed(b, i)) + x_i

(a flow shop of two machines that is entered again and again, in a fixed order: SGLang's two-batch
overlap, lm-sys.github.io, "large scale EP", 2025; DeepSeek-V3, arXiv 2412.19437, section 3.4). A
prompt ends when both have; of decode the time from step to step is told, once it no longer changes.
Where sends are kernels that keep processors, computing has the others alone, all the time.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Workload
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part
from hwmodel.spine.flow import Woven

Segment: TypeAlias = tuple[Amount, Amount]
"""Seconds of processors, and of links after them."""
SETTLED = 3
"""Steps after which one more takes what every further one does."""


def woven_of(
    workload: Workload, parts: Sequence[Sequence[Part]], processors: Amount, held: int
) -> Woven:
    """How the halves of a batch take turns, from the parts of each of its stages.

    `held` of so many `processors` are kept by exchanges.
    """
    served = workload.served
    assert served is not None
    if np.any(np.asarray(processors) <= held):
        raise CoverageError(
            f"overlap: exchanges keep {held} processors; expected more of them, found {processors}"
        )
    slower = processors / (processors - held) if held else 1.0
    row = [(seconds * slower, sent) for seconds, sent in segments(workload.stages, parts)]
    works: Amount = sum([seconds for seconds, _ in row], start=0.0)
    sends: Amount = sum([sent for _, sent in row], start=0.0)
    alone = works / slower + sends
    pair = paired_s(row, again=served.decoding)
    return Woven(served.passes, pair / alone, works / alone)


def paired_s(row: Sequence[Segment], *, again: bool) -> Amount:
    """Seconds in which two batches pass through a row of segments; `again`: of a further step."""
    works = links = 0.0
    ready: list[Amount] = [0.0, 0.0]
    ends: list[Amount] = []
    for _ in range(SETTLED if again else 1):
        for seconds, sent in row:
            for batch in (0, 1):
                works = most((works, ready[batch])) + seconds
                ready[batch] = works
                if np.ndim(sent) or sent:
                    links = most((links, works)) + sent
                    ready[batch] = links
        ends.append(most(ready))
    return ends[-1] - ends[-2] if again else ends[-1]


def segments(stages: Sequence[Stage], parts: Sequence[Sequence[Part]]) -> list[Segment]:
    """A batch's stages in the order in which they run, layer by layer."""
    layered = [stage for stage in stages if _layered(stage)]
    numbers = sorted({n for stage in layered for n in stage.layers if n is not None})
    depth = len(numbers) or max((round(float(np.max(s.times))) for s in layered), default=0)
    order = numbers or list(range(depth))
    before, inside, after = _thirds(stages)
    runs = [(place, 1) for place in before]
    for number in order:
        runs += [(p, _runs(stages[p], depth)) for p in inside if _in(stages[p], number)]
    runs += [(place, 1) for place in after]
    return list(_joined(_timed(stages[p], parts[p], times) for p, times in runs))


def _timed(stage: Stage, own: Sequence[Part], share: int) -> Segment:
    """Seconds of a stage in one layer of so many that run it."""
    spent = [part.times * part.time_s / share for part in own]
    if stage.collective is None:
        return sum(spent, start=0.0), 0.0
    return sum(spent[:-1], start=0.0), spent[-1]


def _joined(row: Iterator[Segment]) -> Iterator[Segment]:
    """Segments of which each ends in an exchange, but for the last."""
    works: Amount = 0.0
    for sends, group in groupby(row, key=lambda each: bool(np.any(each[1]))):
        for seconds, sent in group:
            works = works + seconds
            if sends:
                yield works, sent
                works = 0.0
    yield works, 0.0


def _layered(stage: Stage) -> bool:
    return any(n is not None for n in stage.layers) or bool(np.any(stage.times > 1))


def _thirds(stages: Sequence[Stage]) -> tuple[list[int], list[int], list[int]]:
    """Places of stages before the layers, in them, and after."""
    inside = [place for place, stage in enumerate(stages) if _layered(stage)]
    first, last = (inside[0], inside[-1]) if inside else (len(stages), len(stages))
    others = [place for place in range(len(stages)) if place not in set(inside)]
    before = [p for p in others if p < last and p < first]
    return before, inside, [p for p in others if p not in set(before)]


def _in(stage: Stage, number: int) -> bool:
    """Whether a layer of this number runs a stage; those of an engine are all layers'."""
    return number in stage.layers or all(n is None for n in stage.layers)


def _runs(stage: Stage, depth: int) -> int:
    """Layers that share a stage's runs."""
    return len([n for n in stage.layers if n is not None]) or depth
