"""Fitted parameters of a device: each with a meaning, a standard error, bounds and a source.

A calibration belongs to a device and a set of library versions. It holds, per kernel family, the
parameters that the machine model multiplies its datasheet rates by (efficiencies), the latencies
that it adds, and the interval of measured/predicted that held 90 % of the held-out rows. A family
that was never measured carries priors, wider intervals, and says so.
"""

from typing import Literal

from pydantic import Field

from hwmodel.errors import UnknownNameError
from hwmodel.value import Value


class Parameter(Value):
    """One number that a fit may move, inside bounds that keep it physical."""

    value: float
    meaning: str
    low: float
    high: float
    standard_error: float | None = None


class Family(Value):
    """Parameters of one kernel family, and how far measurements lie from its predictions.

    `interval` is (low, high): 90 % of measured times lie between those multiples of the predicted
    time; `intervals` are those of number formats with rows enough of their own. `ranges` are the
    sizes that the fit saw: (least, most) by argument.
    """

    parameters: dict[str, Parameter]
    interval: tuple[float, float]
    intervals: dict[str, tuple[float, float]] = Field(default={})
    origin: Literal["prior", "measured", "inherited"]
    ranges: dict[str, tuple[float, float]] = Field(default={})
    rows: int = Field(default=0, ge=0)


class Calibration(Value):
    """All that was fitted for one device; `versions` and `date` say on what."""

    name: str
    device: str
    source: str
    date: str = ""
    versions: dict[str, str] = Field(default={})
    families: dict[str, Family]

    def family(self, name: str) -> Family:
        """A kernel family by name; raises `UnknownNameError`."""
        if name not in self.families:
            raise UnknownNameError(f"kernel family of calibration {self.name}", name, self.families)
        return self.families[name]

    def values(self, family: str) -> dict[str, float]:
        """Parameter values of one family."""
        return {name: p.value for name, p in self.family(family).parameters.items()}


WIDER, WIDEST = 2.0, 4.0
"""Powers by which an interval grows on an unmeasured device, of the same architecture and of
another: assumptions, until a second device is measured."""


def inherited(calibration: Calibration, device: str, *, of: str, power: float) -> Calibration:
    """A relative's calibration for a device without measurements: wider, and saying so.

    `of` names the relative for people. Efficiencies are shares of the device's own datasheet
    numbers, so they carry over; latencies are multiples of its own.
    """
    changes = {
        "name": device,
        "device": device,
        "source": f"inherited from {of} ({calibration.name})",
        "families": {n: _inherited(f, power) for n, f in calibration.families.items()},
        "versions": {},
    }
    return Calibration.build(dict(calibration) | changes, where=device)


def _inherited(family: Family, power: float) -> Family:
    if family.origin == "prior":
        return family
    wide = {k: (low**power, high**power) for k, (low, high) in family.intervals.items()}
    low, high = family.interval
    changes = {"origin": "inherited", "interval": (low**power, high**power), "intervals": wide}
    return family.model_copy(update=changes)
