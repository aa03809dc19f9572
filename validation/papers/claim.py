"""Claim: one published figure beside what the model says.

A module of this folder names a system and has `claims() -> tuple[Claim, ...]`; `hwmodel papers`
prints them all.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Claim:
    """A published figure, ours, and how far apart (relative) they may be; `source` says where.

    One that is published as the `least` or the `most` is missed on one side alone.
    """

    system: str
    quantity: str
    published: float
    ours: float
    tolerance: float
    source: str
    published_as: Literal["", "least", "most"] = ""

    @property
    def error(self) -> float:
        """Ours relative to the published figure, minus 1."""
        return self.ours / self.published - 1 if self.published else float(self.ours != 0)

    @property
    def holds(self) -> bool:
        """Whether ours lies within the tolerance."""
        missed = {"least": -self.error, "most": self.error}.get(self.published_as, abs(self.error))
        return missed <= self.tolerance
