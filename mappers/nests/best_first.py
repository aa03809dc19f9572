"""Best first: chains of several spaces and of all spreads over an array, the most promising first.

Each choice of points over the array is a part (`branch.BranchPart`) with a lower bound: at first
those of `floors`, of many parts at a time, and, when its turn comes, that of its tables. Parts that
can better no answer in hand are let go of unseen. When the time is over, the least bound of those
that are left says what any chain of the mapspace needs.
"""

import heapq
import math
import time
from collections.abc import Sequence
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
SCOUTS = 16
"""Choices of points over the array that the first pass looks at."""


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
    part: BranchPart | None = field(compare=False, default=None)
    """The one part, where its first pass is over."""


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

    def __init__(self, answers: Answers) -> None:
        self.answers, self.turns, self.count = answers, list[_Turn](), 0

    def push(
        self, bound: Values, group: _Group, parts: Ints, part: BranchPart | None = None
    ) -> None:
        """One turn of one or some parts, none of which falls below the bound."""
        self.count += 1
        key = _key(self.answers, bound)
        if key[0] < math.inf:
            heapq.heappush(self.turns, _Turn(key, self.count, bound, group, parts, part))

    def push_group(self, group: _Group) -> None:
        """The parts of a space, a number of them at a time."""
        bounds = group.floors.at_once
        first, second = self.answers.objective.order(bounds)
        order = np.lexsort((second, first))
        for begin in range(0, len(order), AT_A_TIME):
            some = order[begin : begin + AT_A_TIME]
            self.push(bounds[some[:1]], group, some)

    def push_each(self, turn: _Turn) -> None:
        """The parts of a turn, one by one."""
        floors = turn.group.floors
        parts = turn.parts[~self.answers.hopeless(floors.at_once[turn.parts])]
        bounds = floors.near(parts)
        for at in range(len(parts)):
            self.push(bounds[at : at + 1], turn.group, parts[at : at + 1])


def search(
    spaces: Sequence[Space],
    objective: str,
    *,
    ceiling: float = math.inf,
    deadline_s: float = math.inf,
) -> Found:
    """The best chains of the spaces that better `ceiling`, proven where time suffices.

    `deadline_s` is a reading of `time.perf_counter()` at which the search ends.
    """
    answers = Answers(OBJECTIVES[objective], ceiling=ceiling)
    queue = _Queue(answers)
    for space in spaces:
        queue.push_group(_Group(space, answers))
    scouted = 0
    least = math.inf
    while queue.turns:
        turn = heapq.heappop(queue.turns)
        known = bool(answers.best) or ceiling < math.inf
        if known and time.perf_counter() > deadline_s:
            least = min(least, turn.bound[0])
            break
        if len(turn.parts) > 1:
            queue.push_each(turn)
            continue
        if turn.part is None and answers.hopeless(turn.values).all():
            continue
        part = turn.part or turn.group.part(int(turn.parts[0]))
        bound = part.bound()
        if not answers.hopeless(bound).all() and _key(answers, bound)[0] < math.inf:
            if scouted < SCOUTS and turn.part is None:
                scouted += 1
                part.search(BEAM, deadline_s if known else math.inf)
                queue.push(bound, turn.group, turn.parts, part)
            elif not part.search(0, deadline_s):
                least = min(least, turn.bound[0])
        part.tables.clear()
    chains = sorted(answers.best, key=lambda chain: float(chain.values.energy))
    firsts = [float(answers.objective.order(chain.values)[0]) for chain in chains]
    return Found(tuple(chains), answers.candidates, min([least, *firsts]))


def _key(answers: Answers, values: Values) -> tuple[float, float]:
    first, second = answers.objective.order(values)
    return float(first[0]), float(second[0])
