"""Devices that fail in a run of many steps, and what of the time then counts.

Failures of each device come at random, with `mtbf` between two on average; those of n devices n
times as often. After one the run stands for as long as it takes to see it, to take the device out
and to start again, and what was done since the last checkpoint is done once more. Of a checkpoint
every tau, which stops the run for c, with failures of rate r and a pause R after each, that takes
(for failures that know no age, in expectation)

    (1 / r + R) (exp(r (tau + c)) - 1)

and tau of it counts. Where nothing is said of it, tau is the one that counts the most.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

from hwmodel.hardware.hardware import Size, SizeOrZero
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.value import Value

WHERE = "training: failures"
STEPS = 200
"""Halvings in which the best interval is found."""


class Failures(Value):
    """Mean seconds between failures of a device, and seconds that each costs."""

    mtbf_s: Size
    """Of one device."""
    detect_s: SizeOrZero = 0.0
    """Until a failure is seen."""
    isolate_s: SizeOrZero = 0.0
    """Until the device at fault is known and taken out."""
    restart_s: SizeOrZero = 0.0
    """Until the run goes on from its checkpoint."""
    checkpoint_s: SizeOrZero = 0.0
    """In which a checkpoint stops the run."""
    every_s: Size | None = None
    """Between checkpoints; None: the best."""

    @classmethod
    def of(cls, given: "Failures | Mapping[str, Any] | str", *, where: str = WHERE) -> Self:
        """From `mtbf=50000h,restart=10min,checkpoint=30s`, or a table of these.

        Raises `InputError` for what makes no sense.
        """
        if isinstance(given, cls):
            return given
        table = pairs(given, where)
        known = {*cls.model_fields, *(name.removesuffix("_s") for name in cls.model_fields)}
        for name in table:
            if name not in known:
                raise InputError(f"{where}: {UnknownNameError('field', name, sorted(known))}")
        if not {"mtbf", "mtbf_s"} & set(table):
            raise InputError(f"{where}: expected the mtbf of a device, found none")
        return cls.build(table, where=where)

    @property
    def pause_s(self) -> float:
        """Seconds that the run stands after a failure."""
        return float(self.detect_s + self.isolate_s + self.restart_s)

    def counts(self, devices: int) -> float:
        """Share of the time that counts."""
        every_s = self.interval_s(devices)
        rate = devices / float(self.mtbf_s)
        exponent = rate * (every_s + float(self.checkpoint_s))
        if exponent > math.log(1e12):
            return 0.0
        return every_s / ((1 / rate + self.pause_s) * math.expm1(exponent))

    def interval_s(self, devices: int) -> float:
        """Seconds of work between checkpoints.

        The best tau solves r tau = 1 - exp(-r (tau + c)): the share's logarithm has no slope there.
        """
        if self.every_s is not None:
            return float(self.every_s)
        rate, stop_s = devices / float(self.mtbf_s), float(self.checkpoint_s)
        if not stop_s:
            return 1e-6 / rate  # nothing is lost by a checkpoint
        low, high = 0.0, 1 / rate
        for _ in range(STEPS):
            tau = (low + high) / 2
            before = rate * tau < -math.expm1(-rate * (tau + stop_s))
            low, high = (tau, high) if before else (low, tau)
        return (low + high) / 2
