"""Best first: chains of several spaces and of all spreads over an array, the most promising first.

Each choice of points over the array is a part (`branch.BranchPart`) with a lower bound: at first
those of `floors`, of many parts at a time, and, when its turn comes, that of its tables. Parts that
can better no answer in hand are let go of unseen. When the time is over, the least bound of those
that are left says what any chain of the mapspace needs.
"""

import heapq
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwmodel.mappers.nests.answers import OBJECTIVES, Answers, Chain, Values
from hwmodel.mappers.nests.branch import BranchPart, BranchSearch
from hwmodel.mappers.nests.floors import Floors
from hwmodel.mappers.nests.interleave import Ints, Space, spreads

BEAM = 200
"""Chains a layer of the first pass: more find better answers to prune by, and take longer."""
AT_A_TIME = 256
"""Parts of a space that are bounded together."""
FIRST, SCOUTS = 4, 16
"""Choices of points over the array that the first pass looks at, of each space and of all."""


@dataclass(frozen=True)
class Found:
    """The best chains, by energy; how many partial and whole ones were looked at.

    `least`: what the objective is at the least, in any chain, as far as the search has come.
    """

    chains: tuple[Chain, ...]
    candidates: int
    least: float


@dataclass(order=True)
class _Turn:
    """Some parts of a space in the queue; of bounds alike the older one comes first."""

    bound: tuple[float, float]
    number: int
    values: Values = field(compare=False)
    group: "_Group" = field(compare=False)
    parts: Ints = field(compare=False)
    scouted: bool = field(compare=False, default=False)


class _Group:
    """All parts of one space."""

    def __init__(self, space: Space, answers: Answers) -> None:
        found = spreads(space)
        self.search, self.overs = BranchSearch(space, answers), list(found)
        self.axes = list(found.values())
        self.floors = Floors(self.search, self.overs)

    def part(self, at: int) -> BranchPart:
        """One of them."""
        return BranchPart(self.search, self.overs[at], self.axes[at])


class _Queue:
    """Turns, the least bound first."""

    def __init__(self, answers: Answers, deadline_s: float) -> None:
        self.answers, self.deadline_s = answers, deadline_s
        self.turns: list[_Turn] = []
        self.count, self.scouted = 0, 0

    @property
    def over(self) -> bool:
        """Whether the time is over, and there is an answer."""
        return bool(self.answers.best) and time.perf_counter() > self.deadline_s

    def turn(self, bound: Values, group: _Group, parts: Ints, *, scouted: bool = False) -> _Turn:
        """A turn of one or some parts, none of which falls below the bound."""
        self.count += 1
        return _Turn(_key(self.answers, bound), self.count, bound, group, parts, scouted)

    def push(self, turns: Iterable[_Turn]) -> None:
        """These come at some time, but for those in which nothing fits."""
        for turn in turns:
            if turn.bound[0] < math.inf:
                heapq.heappush(self.turns, turn)

    def push_group(self, group: _Group) -> None:
        """The parts of a space, a number of them at a time; a few of the first are scouted."""
        bounds = group.floors.at_once
        first, second = self.answers.objective.order(bounds)
        order = np.lexsort((second, first))
        some, *others = (order[at : at + AT_A_TIME] for at in range(0, len(order), AT_A_TIME))
        self.push(self.turn(bounds[each[:1]], group, each) for each in others)
        turns = sorted(self.each(group, some))
        self.push(turns[FIRST:])
        for turn in turns[:FIRST]:
            if self.over:
                self.push([turn])
            elif turn.bound[0] < math.inf:
                self.scout(turn)

    def each(self, group: _Group, parts: Ints) -> Iterator[_Turn]:
        """A turn of each part that may be of use."""
        bounds = group.floors.at_once[parts]
        parts = parts[~self.answers.hopeless(bounds, group.search.space.least)]
        bounds = group.floors.near(parts)
        for at in range(len(parts)):
            yield self.turn(bounds[at : at + 1], group, parts[at : at + 1])

    def scout(self, turn: _Turn) -> None:
        """A first pass over the part of a turn, which comes again."""
        self.scouted += 1
        part = turn.group.part(int(turn.parts[0]))
        bound = part.bound()
        if self.lost(turn.group, bound):
            return
        part.search(BEAM, self.deadline_s if self.answers.best else math.inf)
        self.push([self.turn(bound, turn.group, turn.parts, scouted=True)])

    def finish(self, turn: _Turn) -> bool:
        """All of the part of a turn; False where the time was over before."""
        part = turn.group.part(int(turn.parts[0]))
        return self.lost(turn.group, part.bound()) or part.search(0, self.deadline_s)

    def lost(self, group: _Group, bound: Values) -> bool:
        """Whether nothing of a space that this is a bound of is of use."""
        lost = self.answers.hopeless(bound, group.search.space.least)
        return bool(lost.all()) or _key(self.answers, bound)[0] == math.inf


def search(
    spaces: Sequence[Space],
    objective: str,
    *,
    counted: Callable[[Chain], Values | None] | None = None,
    deadline_s: float = math.inf,
) -> Found:
    """The best chains of the spaces, proven where time suffices.

    `counted` says what a chain of a space costs that values it at the least; `deadline_s` is a
    reading of `time.perf_counter()` at which the search ends.
    """
    answers = Answers(OBJECTIVES[objective])
    if counted is not None:
        answers.counted = counted
    queue = _Queue(answers, deadline_s)
    least = math.inf
    for space in spaces:
        if queue.over:
            least = 0.0  # nothing is known of the rest
            break
        queue.push_group(_Group(space, answers))
    while queue.turns:
        turn = heapq.heappop(queue.turns)
        if queue.over:
            least = min(least, turn.bound[0])
            break
        if len(turn.parts) > 1:
            queue.push(queue.each(turn.group, turn.parts))
        elif queue.lost(turn.group, turn.values):
            continue
        elif queue.scouted < FIRST * len(spaces) + SCOUTS and not turn.scouted:
            queue.scout(turn)
        elif not queue.finish(turn):
            least = min(least, turn.bound[0])
    chains = sorted(answers.best, key=lambda chain: float(chain.values.energy))
    firsts = [float(answers.objective.order(chain.values)[0]) for chain in chains]
    return Found(tuple(chains), answers.candidates, min([least, answers.least, *firsts]))


def _key(answers: Answers, values: Values) -> tuple[float, float]:
    first, second = answers.objective.order(values)
    return float(first[0]), float(second[0])
