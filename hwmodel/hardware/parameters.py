"""The numbers of a machine by dotted path: list them, find one, change many at once.

A path is the one that `sources` uses, without its first word where the rest is a memory level's or
a unit's: "dram.bandwidth", "matrix.rate.bf16", "processors.count", "clock", "arrays.matrix.rows".
Values are in the SI unit of the field. Rates, latencies, powers and joules may be changed to arrays
(`Number.rate`); capacities and counts decide which schedule runs, and are changed one at a time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import refusal
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount, bare_name, dimension_of, show
from hwmodel.quantity.value import Value

APART = frozenset(
    {
        *("area_m2", "calibration", "devices", "link.max_devices", "link.peers", "node", "price"),
        "sources",
    }
)
"""Fields that no time or energy depends on, or that are no numbers of the device itself."""

SHORT = ("memories", "units")
"""Tables whose entries go by their own names."""

LIMITS = frozenset({"bytes", None})
"""Dimensions of capacities and counts."""


@dataclass(frozen=True)
class Number:
    """One number of a machine: its path, the stored fields that lead to it, its value in SI."""

    path: str
    fields: tuple[str, ...]
    value: int | float
    dimension: str | None

    @property
    def rate(self) -> bool:
        """Whether it is a rate, latency, power or energy, not a capacity or a count."""
        return self.dimension not in LIMITS or "per_clock" in self.path

    @property
    def whole(self) -> bool:
        """Whether it counts things."""
        return self.dimension is None and not self.rate and isinstance(self.value, int)

    def text(self, value: float | None = None) -> str:
        """Its value, or another one, as people write it."""
        shown = float(self.value if value is None else value)
        if self.dimension == "bytes" and shown % 1024 == 0:
            for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
                if shown >= factor:
                    return f"{shown / factor:,.4g} {unit}"
        return show(shown, self.dimension) if self.dimension else f"{shown:,.6g}"


def numbers(hardware: Hardware) -> dict[str, Number]:
    """Every scalar number of a machine that is positive, finite and means something on it."""
    found: dict[str, Number] = {}
    for fields, value, dimension in _walk(hardware, (), None):
        names = tuple(bare_name(field) for field in fields)
        if refusal(hardware, ".".join(names)) or names[-1].endswith("_exponent"):
            continue
        path = ".".join(names[1:] if names[0] in SHORT else names)
        found[path] = Number(path, fields, value, dimension)
    return found


def _walk(
    value: Any, fields: tuple[str, ...], dimension: str | None
) -> Iterator[tuple[tuple[str, ...], int | float, str | None]]:
    if ".".join(fields) in APART:
        return
    if isinstance(value, Value):
        for name in type(value).model_fields:
            yield from _walk(getattr(value, name), (*fields, name), dimension_of(name))
    elif isinstance(value, Mapping):
        for name, item in cast(Mapping[str, Any], value).items():
            yield from _walk(item, (*fields, name), dimension)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and dimension != "m2":
        if 0 < value < np.inf:
            yield fields, value, dimension


def number(hardware: Hardware, name: str) -> Number:
    """The number called `name`: a path, with or without units in it, aliases such as hbm allowed.

    Raises `UnknownNameError`.
    """
    known = numbers(hardware)
    steps = [bare_name(step) for step in name.split(".")]
    if len(steps) > 1 and steps[0] in SHORT:
        steps = steps[1:]
    steps[0] = hardware.aliases.get(steps[0], steps[0])
    path = ".".join(steps)
    if path not in known:
        raise UnknownNameError(f"number of {hardware.name}", name, known)
    return known[path]


def changed(hardware: Hardware, values: Mapping[str, Amount], *, alone: bool = False) -> Hardware:
    """The machine with other numbers, by path; its title stays. Raises as `Hardware.but` does.

    Rates follow processors and clocks as in `but`, unless `alone`.
    """
    known = numbers(hardware)
    changes: dict[str, Any] = {}
    for path, value in values.items():
        if path not in known:
            raise UnknownNameError(f"number of {hardware.name}", path, known)
        found = known[path]
        if np.ndim(value) and not found.rate:
            raise InputError(f"{path}: expected one value at a time, found {np.size(value)}")
        level = changes
        for field in found.fields[:-1]:
            level = level.setdefault(field, {})
        level[found.fields[-1]] = value
    merged = {name: change for name, change in changes.items() if name not in SHORT}
    merged |= {name: change for table in SHORT for name, change in changes.get(table, {}).items()}
    both = set(changes.get("memories", {})) & set(changes.get("units", {}))
    if both:
        raise InputError(f"{hardware.name}: a memory and a unit are both called {sorted(both)[0]}")
    change = hardware.alone if alone else hardware.but
    return change(**merged, title=hardware.title)
