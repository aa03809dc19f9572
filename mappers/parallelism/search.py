"""The best of candidates whose costs are dear to work out, with lower bounds that are cheap.

Costs are several numbers, all to be small. Candidates are looked at in the order of their bounds on
the cost that matters, and one is left out once `keep` of those evaluated cost no more in any of the
numbers than its bounds say it must: it could only come after them, whichever cost matters. So the
`keep` best by the first cost and the front of all costs are those of the whole set, as an
exhaustive walk finds them; ties aside. What does not fit is told apart: some candidates are known
not to before they are evaluated (bounds of infinity), others by their evaluation (None).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from heapq import heappop, heappush
from operator import le
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import SolverError

Candidate = TypeVar("Candidate")
Costs: TypeAlias = tuple[float, ...]
SLACK = 1e-9
"""Rounding of bounds, relative."""


@dataclass(frozen=True)
class Counted:
    """How the candidates were settled; the numbers sum to `all`.

    `ruled_out` by their bounds, `too_large` to fit by what they hold at the least, `evaluated`, of
    which `failed` did not fit.
    """

    all: int
    ruled_out: int
    too_large: int
    evaluated: int
    failed: int


@dataclass(frozen=True)
class Searched(Generic[Candidate]):
    """The best candidates by the first cost, the front of all costs, and how all were settled.

    `least` is a bound on the first cost of whatever was ruled out (infinite where nothing was).
    """

    best: tuple[tuple[Candidate, Costs], ...]
    front: tuple[tuple[Candidate, Costs], ...]
    counted: Counted
    least: float

    @property
    def margin(self) -> float:
        """How much more the runner-up costs, relative to the best; infinite without one."""
        if len(self.best) < 2:
            return math.inf
        (_, first), (_, second) = self.best[:2]
        return second[0] / first[0] - 1

    def with_more(self, other: "Searched[Candidate]", keep: int) -> "Searched[Candidate]":
        """Of both sets of candidates, none of which is in both."""
        mine, more = self.counted, other.counted
        counts = {
            each.name: getattr(mine, each.name) + getattr(more, each.name) for each in fields(mine)
        }
        best = sorted((*self.best, *other.best), key=lambda each: each[1])[:keep]
        front = _front(sorted((*self.front, *other.front), key=lambda each: each[1]))
        return Searched(tuple(best), front, Counted(**counts), min(self.least, other.least))


def search(
    candidates: Sequence[Candidate],
    bounds: NDArray[np.float64],
    evaluate: Callable[[Candidate], Costs | None],
    *,
    keep: int = 3,
    closer: Callable[[Candidate], Costs] | None = None,
    opened: Callable[[Candidate], Sequence[tuple[Candidate, Costs]] | None] | None = None,
    weigh: Callable[[Candidate], int] = lambda _: 1,
) -> Searched[Candidate]:
    """The `keep` best of the candidates by their first cost, and the front of all their costs.

    `bounds` are `(candidates, costs)`, none above the cost itself; infinite: known not to fit.
    `closer` are better bounds, which cost more: asked for where the others do not rule out, and
    before what costs more by them than another by its own. `opened` are the candidates that one
    stands for, with their bounds; None: it is one by itself, as each that `closer` looks at has to
    be. `weigh` says how many it stands for. Raises `SolverError` where a cost is below its bound.
    """
    order: NDArray[np.intp] = np.lexsort(bounds.T[::-1])
    every = [candidates[int(each)] for each in order]
    waiting = [
        (tuple(map(float, bounds[each])), rank, closer is None) for rank, each in enumerate(order)
    ]  # in order: a heap
    found: list[tuple[Candidate, Costs]] = []
    costs: list[Costs] = []  # that rule out; what `keep` others equal or better adds nothing
    ruled_out = too_large = failed = evaluated = 0
    least = math.inf
    while waiting:
        floors, rank, close = heappop(waiting)
        candidate = every[rank]
        if math.inf in floors:
            too_large += weigh(candidate)
            continue
        if _beaten(costs, floors, keep):
            ruled_out += weigh(candidate)
            least = min(least, floors[0])
            continue
        parts = None if opened is None else opened(candidate)
        if parts is not None:
            for part, told in parts:
                both = _higher(floors, told)
                heappush(waiting, (both, len(every), closer is None))
                every.append(part)
            continue
        if closer is not None:
            # Whatever was evaluated since may have made it closer.
            better = _higher(floors, closer(candidate))
            if not close or better > floors:
                heappush(waiting, (better, rank, True))
                continue
        evaluated += 1
        cost = evaluate(candidate)
        if cost is None:
            failed += 1
            continue
        if any(a < b * (1 - SLACK) for a, b in zip(cost, floors, strict=True)):
            raise SolverError(
                f"parallelise: {candidate}: expected costs of {list(floors)} or more,"
                f" which was proven, found {list(cost)}"
            )
        found.append((candidate, cost))
        if not _beaten(costs, cost, keep):
            costs.append(cost)
    counted = Counted(sum(map(weigh, candidates)), ruled_out, too_large, evaluated, failed)
    ranked = sorted(found, key=lambda each: each[1])
    return Searched(tuple(ranked[:keep]), _front(ranked), counted, least)


def _beaten(costs: Sequence[Costs], floors: Costs, keep: int) -> bool:
    """Whether enough of those evaluated cost no more than a candidate must, in all."""
    most = [floor * (1 + SLACK) for floor in floors]
    better = 0
    for cost in costs:
        better += all(map(le, cost, most))
        if better >= keep:
            return True
    return False


def _higher(one: Costs, other: Costs) -> Costs:
    """The higher of two bounds on each cost."""
    return tuple(map(max, one, other))


def _front(ranked: Sequence[tuple[Candidate, Costs]]) -> tuple[tuple[Candidate, Costs], ...]:
    """Those that nothing equals or betters in all costs, of candidates in order of the first."""
    front: list[tuple[Candidate, Costs]] = []
    for each, cost in ranked:
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for _, other in front):
            front.append((each, cost))
    return tuple(front)
