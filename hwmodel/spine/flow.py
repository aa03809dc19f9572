"""How work flows through a pipeline of devices: stages in a row, one or more batches under way.

With n batches in a row through stages of t_1 ... t_p seconds, each stage one batch at a time,

    a prompt        sum t + (n - 1) max t             every batch goes through once
    a decode step   max(sum t, n max t)               a batch's next step waits for its last

(a flow shop of equal jobs, whose makespan the slowest stage sets; the second is its period when the
end feeds the beginning). One batch alone leaves all stages but one idle; with as many as stages,
all are busy but for what the slowest takes longer than the others.
"""

from dataclasses import dataclass

import numpy as np

from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount


@dataclass(frozen=True, eq=False)
class Flow:
    """Stages of a pipeline, batches under way, and the part of a batch's time in the slowest stage.

    `again`: whether each batch comes back, as in decode.
    """

    stages: int
    passes: Amount
    slowest: Amount
    again: bool

    @property
    def wall(self) -> Amount:
        """Seconds on the wall, of all batches, over those of one batch alone."""
        return self._wall(self.slowest)

    @property
    def least(self) -> Amount:
        """The same if stages were alike."""
        return self._wall(1 / self.stages)

    def _wall(self, slowest: Amount) -> Amount:
        if self.again:
            return most((1.0, self.passes * slowest))
        return 1 + (self.passes - 1) * slowest

    @property
    def bubble(self) -> Amount:
        """Part of all devices' time in which they wait for other stages."""
        return 1 - self.passes / (self.stages * self.wall)

    @property
    def full(self) -> Amount:
        """How many times as many batches pass in a second, once as many are under way as go."""
        return np.divide(self.wall, self.passes * self.slowest)[()]


@dataclass(frozen=True, eq=False)
class Woven:
    """Batches in pairs that take turns, one on processors while the other is on links.

    `pair` is the time of two over that of one alone, `works` the part of one's on processors.
    """

    passes: Amount
    pair: Amount
    works: Amount
    stages: int = 1
    full: Amount = 1

    @property
    def wall(self) -> Amount:
        """Seconds on the wall, of all batches, over those of one batch alone."""
        pairs, left = np.divmod(self.passes, 2)
        return (pairs * self.pair + left)[()]

    @property
    def least(self) -> Amount:
        """The same where one resource alone bounds all batches."""
        return self.passes

    @property
    def bubble(self) -> Amount:
        """Part of the time in which processors wait for links."""
        return 1 - self.passes * self.works / self.wall
