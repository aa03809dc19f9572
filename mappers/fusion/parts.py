"""Parts: in which parts a partitioned rank is walked, searched with everything else.

A cascade in tiles (`rank m = m1 x m0`: running sums of attention) computes the same with other
tiles, but not as often: corrections grow with the number of tiles, what is held with their size.
All pairs of the two innermost parts are looked at whose product is what the rank has. Where the
tile that is written leaves a remainder, so are it and its halves and doubles with the rank padded
to a multiple, by an eighth of it at most: what is padded is computed and moved.

A form whose least cost in any schedule is no better than the best in hand is passed over unseen.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import cast

from hwmodel.bounds.bound import LevelBound
from hwmodel.einsum.cascade import Cascade, Rank
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rates import rates
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.ceilings import divisors
from hwmodel.mappers.nests.costs import any_schedule, cost
from hwmodel.quantity.errors import CapacityError, CoverageError, SolverError
from hwmodel.spine.mapping import Mapping as LoopNest

Search = Callable[[Cascade, float, float], Proposal]
"""Of a cascade as it stands, bytes that all better answers move fewer than (infinite: none are
known, say what would fit), and a reading of `time.perf_counter()`."""


PADDED = 5
"""Times that a tile which leaves a remainder is halved and doubled."""
FIRST_S = 2.0
"""Seconds that each choice of parts has before any has more."""
ALL_S = 30.0
"""Seconds for all of them, where no limit is asked."""
HUGE = 1e300
"""More bytes than anything moves."""


class NothingBetterError(CapacityError):
    """What a search raises where nothing fits that betters the value that it was given."""


def partitions(cascade: Cascade) -> tuple[Cascade, ...]:
    """The cascade in all its divisions into parts, the nearest to that which is written first.

    Raises `CoverageError` where the parts of a rank cannot hold what it has.
    """
    families: dict[str, list[Rank]] = {}
    for rank in cascade.ranks.values():
        if rank.parent is not None:
            families.setdefault(rank.parent, []).append(rank)
    if not families or not all(isinstance(r.size, int) for r in cascade.ranks.values()):
        return (cascade,)
    choices = [list(_divisions(cascade, *each)) for each in families.items()]
    return tuple(
        _resized(cascade, dict(kv for part in each for kv in part.items()))
        for each in product(*choices)
    )


def _divisions(cascade: Cascade, parent: str, parts: list[Rank]) -> Iterator[dict[str, int]]:
    """Sizes of the two innermost parts of a rank."""
    inner, outer, *rest = sorted(parts, key=lambda rank: rank.part)
    whole = cast(int, cascade.ranks[parent].size)
    fixed = math.prod(cast(int, rank.size) for rank in rest)
    if whole % fixed:
        raise CoverageError(
            f"rank {parent} of cascade {cascade.name!r}: {fixed} parts of {whole} points are not"
            f" alike; expected a number of them that divides it"
        )
    written, held = cast(int, inner.size), whole // fixed
    sizes = [int(size) for size in divisors(held)]
    if held % written:
        near = [written * 2**k for k in range(1, PADDED)] + [written // 2**k for k in range(PADDED)]
        sizes += [t for t in near if 1 < t <= held and 0 < -held % t <= held / 8]
    for size in sorted(sizes, key=lambda size: (abs(math.log(size / written)), -size)):
        turns = -(-held // size)
        yield {inner.name: size, outer.name: turns, parent: fixed * turns * size}


def _resized(cascade: Cascade, sizes: dict[str, int]) -> Cascade:
    """The cascade with other sizes of its parts."""
    if all(cascade.ranks[name].size == size for name, size in sizes.items()):
        return cascade
    ranks = {
        name: replace(rank, size=sizes[name]) if name in sizes else rank
        for name, rank in cascade.ranks.items()
    }
    return replace(cascade, ranks=MappingProxyType(ranks), origin=None)


def over_parts(
    search: Search,
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    time_limit_s: float | None = None,
    first_s: float = FIRST_S,
    floor: Callable[[Cascade], float] = lambda _: 0.0,
) -> Proposal:
    """The best of a search's answers over all parts, with what is proven of all of them.

    `floor` is what no answer for a form falls below, beside what no schedule does. Each gets
    `first_s` seconds, those that are still open then what is left of `time_limit_s`.
    Raises what the search does for the parts that are written, where no others do better.
    """
    works = partitions(cascade)
    began_s = time.perf_counter()
    deadline_s = began_s + (ALL_S if time_limit_s is None else time_limit_s)
    if len(works) == 1:
        return search(works[0], math.inf, math.inf if time_limit_s is None else deadline_s)
    floors = [any_schedule(work, hardware, objective) for work in works]
    bound, why = min((each, reason) for _, each, reason in floors)
    least = [max(any_, floor(work)) for (_, any_, _), work in zip(floors, works, strict=True)]
    best: Proposal | None = None
    value, candidates, left = math.inf, 0, list(range(len(works)))
    for most_s in (first_s, math.inf):
        for at in tuple(left):
            now_s = time.perf_counter()
            if least[at] >= value * (1 - 1e-12):
                left.remove(at)
                continue
            if now_s > deadline_s and best is not None:
                break
            below = _bytes(floors[at], hardware, objective, value)
            end_s = min(deadline_s, now_s + most_s)
            try:
                found = search(works[at], below, end_s)
            except SolverError:
                continue
            except CapacityError:
                left.remove(at)
                least[at] = math.inf
                continue
            candidates += found.candidates
            nest = cast(LoopNest, found.choice)
            own = float(cost(works[at], hardware, nest, found.rules).value(objective))
            least[at] = max(least[at], own if found.optimal else found.least or 0.0)
            if time.perf_counter() < end_s:  # more time would change nothing
                left.remove(at)
            if own < value:
                best, value = replace(found, work=works[at]), own
    if best is None:
        return search(works[0], math.inf, math.inf)
    proven = min(value, *least)
    return replace(
        best,
        candidates=candidates,
        optimal=proven >= value * (1 - 1e-12),
        least=proven,
        bound=(min(bound, value), why),
    )


def _bytes(
    floor: tuple[LevelBound, float, str], hardware: Hardware, objective: str, value: float
) -> float:
    """Bytes that whatever betters a value moves fewer than at the outermost memory.

    Each of them takes its time there, and more than any schedule moves its joules on top of what
    any schedule needs.
    """
    least, needed, _ = floor
    outermost = next(iter(hardware.memories))
    charged = rates(hardware, {})
    speed, joules = float(charged.read[outermost]), float(charged.byte_j[outermost])
    if value == math.inf or objective == "edp":
        return HUGE
    if objective == "traffic":
        return value
    if objective == "latency":
        return value * speed
    return float(least.bytes) + (value - needed) / joules if joules else HUGE
