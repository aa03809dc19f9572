"""Claim: one published figure beside what the model says, and the programs that recompute claims.

A module of this folder has `PROGRAMS`: short functions, each of which asks the verbs what a paper
says and returns claims. `hwmodel papers` runs them all. What a program may be mistaken in, the
numbers of its workload and its machines, it takes from what it is given (`given`), so that each can
be changed and the claim seen to move.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from hwmodel.validation.papers.given import Given

EXACT = 1e-9
"""Relative: sums and products in floating point."""


@dataclass(frozen=True)
class Move:
    """One input of a program changed, as it is said, and by how much (relative) a figure moved.

    A `factor` is 1 as published: it is no number that machines, models or workloads have.
    """

    input: str
    change: str
    by: float
    factor: bool = False


@dataclass(frozen=True)
class Claim:
    """A published figure, ours, and how far apart (relative) they may be; `source` says where.

    One that is published as the `least` or the `most` is missed on one side alone. `within` says
    what a tolerance beyond the figure's last digit stands for, and `cause` what a miss is likely
    to come from. `moves` are those of the `tried` inputs that move ours; None: none was tried.

    An `identity` follows by hand from numbers that the program itself has (a share of passes, a
    ratio of sizes): it checks that the model counts, and is no figure of a paper that holds.
    """

    system: str
    quantity: str
    published: float
    ours: float
    tolerance: float
    source: str
    published_as: Literal["", "least", "most"] = ""
    within: str = ""
    cause: str = ""
    moves: tuple[Move, ...] | None = None
    tried: int = 0
    identity: bool = False

    @property
    def error(self) -> float:
        """Ours relative to the published figure, minus 1."""
        return self.ours / self.published - 1 if self.published else float(self.ours != 0)

    @property
    def holds(self) -> bool:
        """Whether ours lies within the tolerance."""
        missed = {"least": -self.error, "most": self.error}.get(self.published_as, abs(self.error))
        return missed <= self.tolerance

    @property
    def moved(self) -> bool:
        """Whether an input moves it, and a figure one that is more than a factor."""
        return any(self.identity or not move.factor for move in self.moves or ())

    @property
    def reading(self) -> float:
        """What the figure's last digit leaves open, relative: half of its unit."""
        if not self.published:
            return 0.0
        digits = Decimal(repr(self.published)).normalize()
        unit = Decimal(1).scaleb(int(digits.as_tuple().exponent))
        return float(unit / abs(digits) / 2)


Program: TypeAlias = Callable[[Given], Sequence[Claim]]
"""Asks the verbs for the figures of a paper."""
