"""Fitted parameters of a device: each with a meaning, a standard error, bounds and a source.

A calibration belongs to a device and a set of library versions. It holds, per kernel family, the
parameters that the machine model multiplies its datasheet rates by (efficiencies), the latencies
that it adds, and the interval of measured/predicted that held 90 % of the held-out rows. A family
that was never measured carries priors, wider intervals, and says so.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from hwmodel.quantity.arithmetic import least, most, where
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.quantity.value import Value
from hwmodel.text.shown import Shown


class Parameter(Value):
    """One number that a fit may move, inside bounds that keep it physical."""

    value: float
    meaning: str
    low: float
    high: float
    standard_error: float | None = None


STANDINGS = ("measured", "published", "inherited", "prior")
"""What a family rests on, best first: rows of our own, rows that others published, a relative's
rows, an assumption."""


HOST = "host"
"""The interval of hosts of one kind and another: of no GPU, so that no relative's is wider."""


class Family(Shown, Value):
    """Parameters of one kernel family, and how far measurements lie from its predictions.

    `interval` is (low, high): 90 % of measured times lie between those multiples of the predicted
    time; `intervals` are those of number formats, and regimes of the kernel (`apart`), with rows
    enough of their own. `ranges` are the
    sizes that the fit saw: (least, most) by argument; `formats` the number formats (none: of any).
    `source` says what it was fitted to, where that is not what the calibration's says.
    """

    parameters: dict[str, Parameter]
    interval: tuple[float, float]
    intervals: dict[str, tuple[float, float]] = Field(default={})
    origin: Literal["prior", "measured", "inherited"]
    ranges: dict[str, tuple[float, float]] = Field(default={})
    formats: tuple[str, ...] = ()
    rows: int = Field(default=0, ge=0)
    source: str = ""

    @property
    def told(self) -> str:
        """Where its numbers come from: measured by us, published rows, a relative, or a prior."""
        fitted = self.origin == "measured"
        return "published" if fitted and self.source.startswith("published") else self.origin

    @property
    def values(self) -> dict[str, float]:
        """Value of each parameter."""
        return {name: parameter.value for name, parameter in self.parameters.items()}

    def interval_of(self, used: tuple[str, ...], regime: str = "") -> tuple[float, float]:
        """The interval of a call in the formats `used`, the first that of its operands.

        That of its `regime`, where it has one, in the format, or of the regime, or of the format.

        A format of which the fit saw no row, but of another of its width, has a wider one; a format
        of a new width, or with scales, one as wide as a prior's at least.
        """
        first = used[0] if used else ""
        keys = (apart(first, regime), regime, first) if regime else (first,)
        known = (self.intervals[key] for key in keys if key in self.intervals)
        low, high = next(known, self.interval)
        unseen = self.unseen(used)
        if not unseen:
            return low, high
        wider = (low**WIDER, high**WIDER)
        widths = {dtype(name).bits for name in self.formats}
        alike = all("@" not in name and dtype(name).bits in widths for name in unseen)
        return wider if alike else at_least_prior(wider)

    def over(self, own: "Family") -> "Family":
        """These parameters with another family's in the place of those that it names.

        One of all formats (`matrix`) stands for those of each (`matrix_fp16`) as well.
        The interval is at least as wide as either's; sizes are of another kind, so that no range
        of them says how far they are from what was measured.
        """
        low, high = self.interval
        kept = {
            name: each
            for name, each in self.parameters.items()
            if name.partition("_")[0] not in own.parameters
        }
        return self.model_copy(
            update={
                "parameters": kept | own.parameters,
                "interval": (min(low, own.interval[0]), max(high, own.interval[1])),
                "ranges": {},
            }
        )

    def unseen(self, used: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the formats `used` of which the fit saw none."""
        return tuple(f for f in used if self.formats and f not in self.formats)


def apart(used: str, regime: str) -> str:
    """The key of a regime's interval in one number format."""
    return f"{used}, {regime}" if used and regime else used or regime


class Calibration(Shown, Value):
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

    def standing(self, *schedules: str) -> str:
        """What the best of the families of some schedules rests on; "-" of none."""
        found = {
            family.told
            for name, family in self.families.items()
            if name.partition(":")[0] in schedules
        }
        return next((word for word in STANDINGS if word in found), "-")

    def values(self, family: str) -> dict[str, float]:
        """Parameter values of one family."""
        return self.family(family).values


PRIOR = (0.6, 2.0)
"""Interval of what was never measured: an assumption, that of every prior that is shipped."""


def at_least_prior(interval: tuple[float, float]) -> tuple[float, float]:
    """An interval, at least as wide as that of a prior."""
    low, high = interval
    return min(low, PRIOR[0]), max(high, PRIOR[1])


def lent(family: Family) -> Family:
    """A measured family's efficiencies as a prior for kernels that do nearly the same.

    Those of a relative remain inherited, and are adapted to the device as the family's are.
    """
    origin = family.origin if family.origin == "inherited" else "prior"
    changes = {"origin": origin, "interval": at_least_prior(family.interval)}
    return family.model_copy(update=changes | {"intervals": {}, "formats": (), "rows": 0})


WIDER, WIDEST = 2.0, 4.0
"""Powers by which an interval grows on an unmeasured device, of the same architecture and of
another: assumptions, until a second device is measured. The first is also that of a number format
of which the fit saw no row, and of a size just outside those that it saw."""

FAR = 8.0
"""Times outside the measured sizes from which on no error of a fit says anything."""

MOST = 10.0
"""Multiple beyond which no interval grows, but where it was as wide before: an assumption."""


def stretched(
    interval: tuple[Amount, Amount],
    factor: Amount,
    *,
    power: float = WIDER,
    fastest: Amount | None = None,
) -> tuple[Amount, Amount]:
    """An interval at sizes that are `factor` times outside those that the fit saw (1: inside).

    At the edge the interval is taken to the `power`, and to one more for each doubling: errors of
    rates multiply, and each doubling is one more step at which a library may change what it runs.
    More than `FAR` outside that ends, since it would be a power of what no longer applies: the slow
    end stays, and the fast end is the multiple `fastest` where that is lower. No end passes `MOST`
    times. An assumption.
    """
    low, high = interval
    if isinstance(factor, float) and factor <= 1:
        return low, high
    grown = power + np.log2(least((factor, FAR)))
    lower = most((np.power(low, grown), least((low, 1 / MOST))))
    upper = least((np.power(high, grown), most((high, MOST))))
    if fastest is not None:
        lower = where(factor > FAR, least((lower, fastest)), lower)
    return where(factor > 1, lower, low), where(factor > 1, upper, high)


def inherited(
    calibration: Calibration,
    device: str,
    *,
    of: str,
    power: float,
    own: Calibration | None = None,
    narrower: float = 1.0,
    unlike: bool = False,
) -> Calibration:
    """A relative's calibration for a device without measurements: wider, and saying so.

    `of` names the relative for people; families that are the device's `own` stay. Efficiencies are
    shares of the device's own datasheet numbers, so they carry over; latencies are multiples of its
    own. Matrix units that are so many times `narrower` than the relative's, in the same processors,
    wait as often less for operands: what kept the relative's below their peak is a larger share of
    theirs. Where a library's code is another on this core (`unlike`), intervals are those of a
    prior at least.
    """
    changes = {
        "name": device,
        "device": device,
        "source": f"inherited from {of} ({calibration.name})",
        "families": {
            **{n: _inherited(f, power, narrower, unlike) for n, f in calibration.families.items()},
            **(own.families if own else {}),
        },
        "versions": own.versions if own else {},
        "date": own.date if own else calibration.date,
    }
    return Calibration.build(dict(calibration) | changes, where=device)


def _inherited(family: Family, power: float, narrower: float, unlike: bool) -> Family:
    if family.origin != "measured":
        return family  # an assumption already, whose interval says so
    wide = {
        name: (low, high) if name == HOST else (low**power, high**power)
        for name, (low, high) in family.intervals.items()
    }
    low, high = family.interval
    grown = low**power, high**power
    changes: dict[str, Any] = {"origin": "inherited", "intervals": wide}
    changes |= {"interval": at_least_prior(grown) if unlike else grown}
    if narrower > 1:
        changes["parameters"] = {
            name: each.model_copy(update={"value": min(each.high, each.value * narrower)})
            if name.partition("_")[0] == "matrix"
            else each
            for name, each in family.parameters.items()
        }
    return family.model_copy(update=changes)
