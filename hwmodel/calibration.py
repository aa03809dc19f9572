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
