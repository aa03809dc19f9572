"""Best first: chains of several spaces and of all spreads over an array, the most promising first.

Each choice of points over the array is a part (`branch.BranchPart`) with a lower bound, at first
a quick one and, when its turn comes, that of its tables. Parts that can better no answer in hand
are let go of unseen. When the time is over, the least bound of those that are left says what any
chain of the mapspace needs.
"""

import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hwmodel.mappers.nests.answers import OBJECTIVES, Answers, Chain, Values
from hwmodel.mappers.nests.branch import BranchPart, BranchSearch
from hwmodel.mappers.nests.interleave import Space, spreads

BEAM = 200
"""Chains a layer of the first pass: more find better answers to prune by, and take longer."""
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
    """A part in the queue; of bounds alike the older one comes first."""

    bound: tuple[float, float]
    number: int
    refined: bool


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
    parts = [
        BranchPart(each, over, split)
        for space in spaces
        for each in (BranchSearch(space, answers),)
        for over, split in spreads(space).items()
    ]
    quick = [part.quick() for part in parts]
    queue = [_Turn(_key(answers, bound), at, False) for at, bound in enumerate(quick)]
    queue = [turn for turn in queue if turn.bound[0] < math.inf]
    heapq.heapify(queue)
    scouted = 0
    least = math.inf
    while queue:
        turn = heapq.heappop(queue)
        part = parts[turn.number]
        known = bool(answers.best) or ceiling < math.inf
        if time.perf_counter() > deadline_s and known:
            least = min(least, turn.bound[0])
            break
        if not turn.refined and answers.hopeless(quick[turn.number]).all():
            continue
        bound = part.bound()
        if not answers.hopeless(bound).all() and _key(answers, bound)[0] < math.inf:
            if scouted < SCOUTS:
                scouted += 1
                part.search(BEAM, deadline_s if known else math.inf)
                heapq.heappush(queue, _Turn(_key(answers, bound), turn.number, True))
            elif not part.search(0, deadline_s):
                least = min(least, turn.bound[0])
        part.tables.clear()
    chains = sorted(answers.best, key=lambda chain: float(chain.values.energy))
    firsts = [float(answers.objective.order(chain.values)[0]) for chain in chains]
    return Found(tuple(chains), answers.candidates, min([least, *firsts]))


def _key(answers: Answers, values: Values) -> tuple[float, float]:
    first, second = answers.objective.order(values)
    return float(first[0]), float(second[0])
