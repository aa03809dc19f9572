"""Replicas that are slower in some rounds than in others, and what is computed twice against that.

Each replica is a chain of two states (Gilbert and Elliott): in each round an even one becomes slow
with the chance `slows`, a slow one even again with the chance `recovers`; a slow one takes `times`
as long. Without a coding a step takes as long as its slowest replica. A coding has each of n
replicas compute more than 1 / n of the batch, and a round does not wait for those that take more
than 1 + `patience` times as long as the fastest, as long as the gradients can still be found:

    gradient            each part of the batch is with `tolerated` + 1 replicas; so many may be late
    selective-repeat    what was late `burst` rounds ago is computed again where it is missed; in
                        `window` rounds so many different ones may be late, each for `burst` rounds
    multiplexed         a round computes parts of several batches, most of them once, the rest coded
                        against `tolerated`

(Sequential Gradient Coding, ICLR 2023; loads and rules of rounds as released, mamaj/Sequential-
Gradient-Coding, gradient_coding.py, selective_repeat_sgc.py, multiplexed_sgc.py.)
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.value import Value

WHERE = "training: stragglers"


class Stragglers(Value):
    """Chances of replicas that slow down, and the coding against it."""

    slows: float
    recovers: float
    times: float
    slower: Literal["passes", "all"] = "passes"
    """What takes longer on a slow replica: what it computes, or its exchanges and update too."""
    coding: Literal["none", "gradient", "selective-repeat", "multiplexed"] = "none"
    tolerated: int = 1
    """Replicas that may be late: in a round, or (sequential codings) in a window of rounds."""
    burst: int = 1
    window: int = 2
    patience: float = 0.1
    rounds: int = 480
    seed: int = 0

    @classmethod
    def of(cls, given: "Stragglers | Mapping[str, Any] | str", *, where: str = WHERE) -> Self:
        """From `slows=0.01,recovers=0.5,times=3`, or a table of these.

        Raises `InputError` for what makes no sense.
        """
        if isinstance(given, cls):
            return given
        table = pairs(given, where)
        for name in table:
            if name not in cls.model_fields:
                raise InputError(f"{where}: {UnknownNameError('field', name, cls.model_fields)}")
        for name in ("slows", "recovers", "times"):
            if name not in table:
                raise InputError(f"{where}: expected slows, recovers and times, found no {name}")
        found = cls.build(table, where=where)
        found.check(where)
        return found

    def check(self, where: str) -> None:
        """Refuse numbers that make no sense."""
        for name in ("slows", "recovers"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(
                    f"{where}: {name}: expected a chance above 0 to 1, found {getattr(self, name)}"
                )
        least = {"times": 1, "tolerated": 0, "burst": 1, "window": self.burst + 1, "rounds": 1}
        for name, bound in {**least, "patience": 0}.items():
            if getattr(self, name) < bound:
                raise InputError(
                    f"{where}: {name}: expected {bound} or more, found {getattr(self, name)}"
                )
        if self.coding == "selective-repeat" and (self.window - 1) % self.burst:
            raise InputError(
                f"{where}: burst: expected a divisor of window - 1 ({self.window - 1}), found"
                f" {self.burst}"
            )

    @property
    def late(self) -> int:
        """Replicas that may be late in a round of the code that is used."""
        if self.coding == "selective-repeat":
            return math.ceil(self.burst * self.tolerated / (self.window - 1 + self.burst))
        return self.tolerated

    @property
    def delay(self) -> int:
        """Rounds after its own that a batch's gradient may take."""
        return {"selective-repeat": self.burst, "multiplexed": self.window - 2 + self.burst}.get(
            self.coding, 0
        )

    def load(self, replicas: int) -> float:
        """Share of a batch that each replica computes in a round."""
        if self.coding == "none":
            return 1 / replicas
        if self.coding != "multiplexed":
            return (self.late + 1) / replicas
        once, coded = self.window - 1, self.tolerated + 1
        if self.tolerated >= replicas:
            return (once + self.burst) / (replicas * once)
        return coded * (once + self.burst) / (replicas * (self.burst + once * coded))
