"""Answers: whole chains of keeps, what they are worth, and which of them a search has in hand.

Of an objective's values the first decides, and the second between equals; a front keeps all that no
other beats in both.

Units: joules, seconds, bytes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwmodel.mappers.nests.interleave import Bools, Box, Floats

CLOSE = 1e-12
"""Values nearer than this, relatively, are equal: joules summed in another order differ so."""
PATIENCE = 64
"""Chains that are counted in a row with no better one among them, before bounds alone matter."""


@dataclass(frozen=True)
class Placed:
    """One keep: `points` of each rank that all elements together work on below it."""

    tensor: int
    level: int
    points: Box


@dataclass(frozen=True)
class Values:
    """Joules, seconds, and bytes of the outermost memory: of chains, or what they cannot beat."""

    energy: Floats
    time: Floats
    traffic: Floats

    def __getitem__(self, which: Any) -> "Values":
        return Values(self.energy[which], self.time[which], self.traffic[which])


@dataclass(frozen=True)
class Chain:
    """A whole mapping: `axes` are the points of each rank that go over each axis at once."""

    keeps: tuple[Placed, ...]
    axes: tuple[Box, ...]
    walked: Box
    values: Values


@dataclass(frozen=True)
class Objective:
    """Best is the least `order` of (energy, time, traffic); with `front`, all beaten in neither.

    `timed`: whether time decides between more than equals.
    """

    order: Callable[[Values], tuple[Floats, Floats]]
    timed: bool
    front: bool = False

    def hopeless(self, values: Values, best: list[Values]) -> Bools:
        """Which lower bounds cannot better any of these values."""
        first, second = (np.atleast_1d(each) for each in self.order(values))
        dropped = np.zeros(first.shape, np.bool_)
        for each in best:
            least, then = self.order(each)
            both = (first >= least * (1 - CLOSE)) & (second >= then * (1 - CLOSE))
            dropped |= both if self.front else both | (first > least * (1 + CLOSE))
        return dropped


OBJECTIVES = {
    "traffic": Objective(lambda v: (v.traffic, v.energy), timed=False),
    "energy": Objective(lambda v: (v.energy, v.time), timed=False),
    "latency": Objective(lambda v: (v.time, v.energy), timed=True),
    "edp": Objective(lambda v: (v.energy * v.time, v.energy), timed=True),
    "front": Objective(lambda v: (v.energy, v.time), timed=True, front=True),
}


@dataclass
class Answers:
    """The best chains so far of all spaces, and how many partial and whole ones were looked at.

    `counted` says what a chain costs that was valued at the least it can; None: it does not fit.
    `least` is what chains that were so valued are worth at the least, in what comes first, and
    `fruitless` how many in a row were counted with no better one among them.
    """

    objective: Objective
    best: list[Chain] = field(default_factory=lambda: [])
    candidates: int = 0
    counted: Callable[[Chain], Values | None] = lambda chain: chain.values
    least: float = math.inf
    fruitless: int = 0

    def hopeless(self, values: Values, least: bool = False) -> Bools:
        """Which lower bounds cannot better any of the answers in hand.

        Of chains that are valued at the `least`, after many in vain, those that lower no bound too.
        """
        lost = self.objective.hopeless(values, [chain.values for chain in self.best])
        if least and self.fruitless >= PATIENCE:
            lost |= np.atleast_1d(self.objective.order(values)[0]) >= self.least * (1 - CLOSE)
        return lost

    def offer(self, chain: Chain, least: bool = False) -> bool:
        """Keep a chain that no kept one equals, and let go of those that it beats; says whether.

        A chain that is valued at the `least` is counted first.
        """
        if least:
            self.least = min(self.least, float(np.ravel(self.objective.order(chain.values)[0])[0]))
            values = self.counted(chain)
            self.fruitless += 1
            if values is None or self.hopeless(values).all():
                return False
            chain, self.fruitless = replace(chain, values=values), 0
        beaten = [self.objective.hopeless(each.values, [chain.values]) for each in self.best]
        left = [each for each, lost in zip(self.best, beaten, strict=True) if not lost]
        self.best = [*left, chain]
        return True
