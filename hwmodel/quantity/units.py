"""Quantities at the edge: strings with units in, SI numbers inside, readable strings out.

Inside the package every number is in SI base units (seconds, bytes, joules, hertz, bytes/s,
operations/s, watts) and its name says so in a suffix. Only this module knows prefixes. Decimal
prefixes are powers of 1000 and binary ones powers of 1024: GB is 1e9 bytes, GiB is 2**30, always.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown

Amount: TypeAlias = int | float | NDArray[np.float64]
Share: TypeAlias = float | NDArray[np.float64]
"""A number or an array of them: whatever the model is computed for."""

MOST_AXES = 16
"""Of an array; NumPy itself broadcasts 32."""

LONGEST = 200
"""Characters of a quantity: the search for its number takes their square."""

LARGEST_BITS = 1023
"""Of a whole number, so that it is a float too."""

DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
SMALL = {"m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


def _spellings(
    symbols: str, *prefixes: Mapping[str, float], scale: float = 1.0
) -> dict[str, float]:
    """Every spelling of a unit: each symbol under each prefix, with its factor to SI."""
    merged: dict[str, float] = {"": 1.0}
    for table in prefixes:
        merged |= table
    return {p + s: f * scale for s in symbols.split() for p, f in merged.items()}


def _per_second(units: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}{per}": factor for name, factor in units.items() for per in ("/s", "ps")}


_BYTES = _spellings("B byte bytes", DECIMAL, BINARY)
_OPERATIONS = _spellings("FLOP OP op ops", DECIMAL) | {"FLOPs": 1.0}
_JOULES = _spellings("J", SMALL, {"k": 1e3})

DIMENSIONS: dict[str, dict[str, float]] = {
    "s": _spellings("s", SMALL) | {"min": 60.0, "h": 3600.0},
    "bytes": _BYTES,
    "j": _JOULES | {"Wh": 3600.0, "kWh": 3.6e6},
    "hz": _spellings("Hz", DECIMAL),
    "w": _spellings("W", DECIMAL, {"m": 1e-3, "u": 1e-6}),
    "v": _spellings("V", DECIMAL, {"m": 1e-3}),
    "bytes_per_s": {f"{n}/s": f for n, f in _BYTES.items()}
    | {f"{n}ps": f for n, f in _spellings("B", DECIMAL).items()}
    | {f"{n}/s": f / 8 for n, f in _spellings("b bit bits", DECIMAL).items()},
    "flop_per_s": _per_second(_OPERATIONS) | {f"{p}FLOPS": f for p, f in DECIMAL.items()},
    "per_s": {f"{n}/s": f for n, f in _OPERATIONS.items()} | {"/s": 1.0},
    "j_per_byte": {f"{n}/{b}": f for n, f in _JOULES.items() for b in ("B", "byte")}
    | {f"{n}/bit": f * 8 for n, f in _JOULES.items()},
    "j_per_flop": {f"{n}/{b}": f for n, f in _JOULES.items() for b in ("FLOP", "op", "OP")},
    "usd": {"USD": 1.0, "$": 1.0, "kUSD": 1e3},
    "usd_per_hour": {"USD/h": 1.0, "$/h": 1.0},
    "m2": {"m2": 1.0, "cm2": 1e-4, "mm2": 1e-6, "um2": 1e-12},
}
"""Dimension (the suffix that field names carry) -> spelling -> factor to SI."""

NAMES = 4096
"""Names of fields whose units are kept: a what-if reads some hundred of them again."""

NOUNS = {
    "s": "a time such as '4.5 us'",
    "bytes": "a size such as '16 MiB'",
    "j": "an energy such as '0.7 J'",
    "hz": "a frequency such as '1.83 GHz'",
    "w": "a power such as '700 W'",
    "v": "a voltage such as '0.9 V'",
    "bytes_per_s": "a bandwidth such as '4.8 TB/s'",
    "flop_per_s": "a rate such as '989 TFLOP/s'",
    "per_s": "a rate such as '3.87 Top/s'",
    "j_per_byte": "an energy per byte such as '31 pJ/B'",
    "j_per_flop": "an energy per operation such as '0.5 pJ/FLOP'",
    "usd": "a price such as '30000 USD'",
    "usd_per_hour": "a price such as '3.5 USD/h'",
    "m2": "an area such as '814 mm2'",
}

_QUANTITY = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


def parse(text: str, dimension: str, *, where: str = "value") -> float:
    """Read '4.8 TB/s' as SI, in the dimension asked for.

    `dimension` is a key of `DIMENSIONS`, that is, the suffix of the field's name. Raises
    `InputError` when the text is no number with a unit, or the unit has another dimension.

    >>> parse("4.8 TB/s", "bytes_per_s")
    4800000000000.0
    >>> parse("16 MiB", "bytes")
    16777216.0
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= LONGEST else None
    wanted = NOUNS[dimension]
    if match is None:
        raise InputError(f"{where}: expected {wanted}, found {shown(text)}")
    number, unit = match.groups()
    factor = DIMENSIONS[dimension].get(unit)
    if factor is None:
        if not unit:
            raise InputError(f"{where}: {text!r} has no unit; expected {wanted}")
        other = [name for name, table in DIMENSIONS.items() if unit in table]
        found = f"the unit of {NOUNS[other[0]].split(' such')[0]}" if other else "no known unit"
        raise InputError(f"{where}: expected {wanted}, found {text!r} ({unit!r} is {found})")
    return float(number.replace("_", "")) * factor


@lru_cache(maxsize=NAMES)
def dimension_of(name: str) -> str | None:
    """Dimension that a field's name declares by its suffix; None for counts and fractions.

    >>> dimension_of("bandwidth_bytes_per_s")
    'bytes_per_s'
    """
    for dimension in sorted(DIMENSIONS, key=len, reverse=True):
        if name == dimension or name.endswith("_" + dimension):
            return dimension
    return None


@lru_cache(maxsize=NAMES)
def bare_name(name: str) -> str:
    """A field's name without its unit: `bandwidth_bytes_per_s` -> `bandwidth`."""
    dimension = dimension_of(name)
    return name.removesuffix("_" + dimension) if dimension else name


def amount(
    value: Any,
    dimension: str | None = None,
    *,
    where: str = "value",
    zero: bool = False,
    whole: bool = False,
) -> Amount:
    """Accept a number, an array or a string with a unit as a finite positive quantity.

    `zero` admits zero; `whole` demands integers. Scalars come back as Python int or float, arrays
    as float64 (exact below 2**53; int64 would overflow in silence). Raises `InputError`.
    """
    if isinstance(value, str):
        if dimension is None:
            raise InputError(f"{where}: expected a plain number, found {shown(value)}")
        value = parse(value, dimension, where=where)
    if isinstance(value, (bool, np.bool_)) or value is None:
        raise InputError(f"{where}: expected a number, found {value!r}")
    found: object = value
    if isinstance(found, (np.ndarray, list, tuple, range)):
        try:
            given: NDArray[Any] = np.asarray(value)
            if given.dtype.kind not in "iufO":  # truth values, texts, dates, complex numbers
                raise TypeError(given.dtype)
            if given.ndim > MOST_AXES:
                raise InputError(f"{where}: expected at most {MOST_AXES} axes, found {given.ndim}")
            array: NDArray[np.float64] = np.asarray(given, dtype=np.float64)
        except InputError:
            raise
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{where}: expected numbers, found {shown(value)}") from None
        if not array.size:
            raise InputError(f"{where}: expected one value or more, found an empty array")
        _check(bool(np.all(np.isfinite(array))), where, "finite numbers", array)
        _check(bool(np.all(array >= 0) if zero else np.all(array > 0)), where, _sign(zero), array)
        _check(not whole or bool(np.all(array == np.floor(array))), where, "whole numbers", array)
        return array
    if isinstance(found, np.generic):
        value = cast(object, found.item())
    if not isinstance(value, (int, float)):
        raise InputError(f"{where}: expected a number, found {shown(value)}")
    finite = value.bit_length() <= LARGEST_BITS if isinstance(value, int) else math.isfinite(value)
    _check(finite, where, "a finite number, at most 1.8e308", value)
    _check(value >= 0 if zero else value > 0, where, _sign(zero), value)
    _check(not whole or value == int(value), where, "a whole number", value)
    return int(value) if whole else value


def counted(value: Any, *, where: str, least: int = 1, most: int = 2**53) -> int:
    """One whole number from `least` to `most`, as a Python int; raises `InputError`.

    >>> counted(8.0, where="devices")
    8
    """
    scalar = not isinstance(value, (list, tuple, range, np.ndarray))
    found = amount(value, where=where, zero=least < 1, whole=True) if scalar else None
    if not isinstance(found, int):
        raise InputError(f"{where}: expected one whole number, found {shown(value)}")
    _check(least <= found <= most, where, f"a whole number from {least} to {most}", found)
    return found


def _sign(zero: bool) -> str:
    return "a number of 0 or more" if zero else "a number above 0"


def _check(holds: bool, where: str, expected: str, found: object) -> None:
    if not holds:
        text = f"array({found.min()}..)" if isinstance(found, np.ndarray) else shown(found)
        raise InputError(f"{where}: expected {expected}, found {text}")


_SHOWN = {
    "s": "s",
    "bytes": "B",
    "j": "J",
    "hz": "Hz",
    "w": "W",
    "v": "V",
    "bytes_per_s": "B/s",
    "flop_per_s": "FLOP/s",
    "per_s": "op/s",
    "j_per_byte": "J/B",
    "j_per_flop": "J/FLOP",
    "usd": "USD",
    "usd_per_hour": "USD/h",
}
_LADDER = (
    (1e18, "E"),
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "u"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
)


def show(value: float, dimension: str, *, digits: int = 3) -> str:
    """Write an SI number with a prefix that people read: `show(4.8e12, "bytes_per_s")`.

    >>> show(0.00318, "s")
    '3.18 ms'
    """
    if dimension == "m2":  # a prefix would be squared with it: chips are told in mm2
        size = value / DIMENSIONS["m2"]["mm2"]
        return f"{size:,.0f} mm2" if size >= 10**digits else f"{size:,.{digits}g} mm2"
    symbol = _SHOWN.get(dimension, dimension)
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {symbol}"
    for factor, prefix in _LADDER:
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.{digits}g} {prefix}{symbol}"
    return f"{value:.{digits}g} {symbol}"
