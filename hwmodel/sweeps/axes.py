"""Axes of a sweep: named values, crossed into a grid, or drawn from it.

The rows of a sweep are the combinations of the values of its axes, the last axis fastest. Axes of
numbers are arrays: thousands of rows are one call of the model. Axes of anything else (devices,
number formats, kernels), and those marked by `each`, are walked: one value a call, outermost.
`together` walks several names side by side. Instead of all combinations of the arrays, a number of
`samples` can be drawn from them, with replacement: every walked combination gets the same ones.

Rows are numbered, and a row's values follow from its number alone, drawn ones included: they come
from a counter (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable, shown
from hwmodel.quantity.ranges import Quantities
from hwmodel.quantity.reading import AXIS_VALUES
from hwmodel.quantity.units import dimension_of
from hwmodel.text.frames import columns_in

Numbers: TypeAlias = NDArray[np.float64]

DRAWN_AT_ONCE = 16_384
"""Random numbers of one block; block b of an axis starts at counter b."""


@dataclass(frozen=True, eq=False)
class Each:
    """Values that are walked, one a call, though they may be numbers."""

    values: Sequence[Any]


@dataclass(frozen=True, eq=False)
class Together:
    """Names whose values go side by side: the first of each, the second of each, ..."""

    columns: Mapping[str, Sequence[Any]]


@named
def each(values: Sequence[Any]) -> Each:
    """Walk these values one by one, for functions that take no arrays of them."""
    return Each(values)


def together(frame: Any = None, /, **columns: Sequence[Any]) -> Together:
    """An axis of several names side by side, such as the shapes of a model's layers.

    A data frame (of polars, of pandas, or what speaks Arrow) is its columns.

    >>> together(N=[4096, 14336], K=[14336, 4096])
    Together(columns={'N': [4096, 14336], 'K': [14336, 4096]})
    """
    if frame is None:
        return Together(columns)
    return Together({**columns_in(frame, "together"), **columns})


@dataclass(frozen=True, eq=False)
class Axis:
    """Names with as many values each: arrays of float64, or tuples of anything that is walked."""

    columns: Mapping[str, Numbers | tuple[Any, ...]]
    labels: Mapping[str, str]
    """Name that the function takes -> column of the table, with the unit where one is known."""

    @property
    def walked(self) -> bool:
        """Whether its values are given one a call."""
        return any(isinstance(values, tuple) for values in self.columns.values())

    def __len__(self) -> int:
        """How many values it has."""
        return len(next(iter(self.columns.values())))


def axis(name: str, values: Any) -> Axis:
    """Read what was given for an axis; `InputError` names it."""
    where = f"axis {name}"
    if isinstance(values, Together):
        return _side_by_side(where, values)
    if isinstance(values, Each):
        return _walked(where, name, values.values)
    odd = (str, bytes, Mapping, set, frozenset)
    given: Any = values
    scalar = isinstance(given, np.ndarray) and not cast(Any, given).ndim
    if scalar or isinstance(values, odd) or not hasattr(values, "__len__"):
        way = (
            "; what runs a sweep goes in by executor="
            if hasattr(cast(object, values), "submit")
            else ""
        )
        raise InputError(
            f"{where}: expected a list of values, or a range such as hw.logspace(1, 64), found"
            f" {shown(cast(object, values))}{way}"
        )
    if len(values) > AXIS_VALUES:
        raise InputError(f"{where}: expected at most {AXIS_VALUES:,} values, found {len(values):,}")
    array = _numbers(values)
    if array is None:
        return _walked(where, name, values)
    if array.ndim != 1 or not array.size:
        raise InputError(f"{where}: expected a row of values, found shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{where}: expected finite numbers, found {_first_bad(array)}")
    dimension = values.dimension if isinstance(values, Quantities) else None
    return Axis({name: array}, {name: _with_unit(name, dimension)})


def _side_by_side(where: str, given: Together) -> Axis:
    if not given.columns:
        raise InputError(f"{where}: expected one name or more side by side, found none")
    parts = {name: axis(name, values) for name, values in given.columns.items()}
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{where}: expected as many values for each name, found {lengths}")
    labels = {name: part.labels[name] for name, part in parts.items()}
    columns = {name: part.columns[name] for name, part in parts.items()}
    if any(part.walked for part in parts.values()):
        columns = {
            name: tuple(plain(v) for v in cast(Sequence[Any], values))
            for name, values in columns.items()
        }
    return Axis(columns, labels)


def _walked(where: str, name: str, values: Sequence[Any]) -> Axis:
    if not len(values):
        raise InputError(f"{where}: expected one value or more, found none")
    items = tuple(plain(value) for value in values)
    labels = [label(item) for item in items]
    seen: set[Any] = set()
    for each_label in labels:
        if each_label in seen:
            found = shown(each_label)
            raise InputError(f"{where}: expected values that differ, found {found} twice")
        seen.add(each_label)
    dimension = values.dimension if isinstance(values, Quantities) else None
    return Axis({name: items}, {name: _with_unit(name, dimension)})


def _numbers(values: Sequence[Any]) -> Numbers | None:
    """Values as an array where all are numbers."""
    if not isinstance(values, np.ndarray):
        if not all(map(_is_number, values)):
            return None
    elif cast(NDArray[Any], values).dtype.kind not in "iuf":
        return None
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        raise InputError("axis: expected numbers of at most 1.8e308, found a larger one") from None


def _is_number(value: Any) -> bool:
    """Whether a value is one number, be it an array without a side."""
    if isinstance(value, np.ndarray):
        array = cast(NDArray[Any], value)
        return array.ndim == 0 and array.dtype.kind in "iuf"
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _first_bad(array: Numbers) -> float:
    return float(array[~np.isfinite(array)][0])


def plain(value: Any) -> Any:
    """A number of NumPy as Python's own, whole ones as int."""
    item: Any = cast(Any, value).item() if isinstance(value, np.generic) else value
    return int(item) if isinstance(item, float) and item.is_integer() else item


def label(value: Any) -> Any:
    """How a walked value stands in the table: itself, or the title or name of a record."""
    if isinstance(value, str):
        return printable(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(getattr(value, "title", None) or getattr(value, "name", None) or value)


def unit_of(column: str) -> str | None:
    """The unit that a column's name ends in (a key of `units.DIMENSIONS`); a name alone is none.

    >>> unit_of("time_s"), unit_of("s"), unit_of("M")
    ('s', None, None)
    """
    dimension = dimension_of(column)
    return None if dimension == column else dimension


def _with_unit(name: str, dimension: str | None) -> str:
    return name if dimension is None or unit_of(name) == dimension else f"{name}_{dimension}"


@dataclass(frozen=True, eq=False)
class Grid:
    """All rows of a sweep, by number; made by `grid`."""

    axes: tuple[Axis, ...]
    samples: int | None = None
    seed: int = 0

    @property
    def walked(self) -> tuple[Axis, ...]:
        """The axes that are walked, outermost first."""
        return tuple(axis for axis in self.axes if axis.walked)

    @property
    def arrays(self) -> tuple[Axis, ...]:
        """The axes that are arrays, the last one fastest."""
        return tuple(axis for axis in self.axes if not axis.walked)

    @property
    def blocks(self) -> int:
        """Combinations of what is walked; each has `rows` rows."""
        return math.prod(len(axis) for axis in self.walked)

    @property
    def rows(self) -> int:
        """Rows of one block."""
        if self.samples is not None:
            return self.samples
        return math.prod(len(axis) for axis in self.arrays)

    @property
    def labels(self) -> dict[str, str]:
        """Every name that the function takes, with its column in the table."""
        return {name: column for axis in self.axes for name, column in axis.labels.items()}

    def fixed(self, block: int) -> dict[str, Any]:
        """The walked values of a block."""
        found: dict[str, Any] = {}
        for axis, place in zip(self.walked, _places(block, self.walked), strict=True):
            found |= {name: values[int(place)] for name, values in axis.columns.items()}
        return found

    def points(self, first: int, end: int) -> dict[str, Numbers]:
        """The array values of rows `first` to `end` of any block."""
        found: dict[str, Numbers] = {}
        if self.samples is None:
            places = _places(np.arange(first, end), self.arrays)
        else:
            places = [self._drawn(i, first, end) for i in range(len(self.arrays))]
        for axis, place in zip(self.arrays, places, strict=True):
            for name, values in axis.columns.items():
                found[name] = cast(Numbers, values)[place]
        return found

    def _drawn(self, number: int, first: int, end: int) -> Any:
        """Places on array axis `number` of drawn rows, read from the blocks that hold them."""
        blocks = range(first // DRAWN_AT_ONCE, -(-end // DRAWN_AT_ONCE))
        spread = [
            np.random.Generator(
                np.random.Philox(key=[self.seed, number], counter=[0, 0, block, 0])
            ).random(DRAWN_AT_ONCE)
            for block in blocks
        ]
        start = blocks.start * DRAWN_AT_ONCE
        chosen = np.concatenate(spread)[first - start : end - start]
        return np.floor(chosen * len(self.arrays[number])).astype(np.intp)


def _places(number: Any, axes: Sequence[Axis]) -> list[Any]:
    """Digits of a row's number, the last axis being the lowest."""
    places: list[Any] = []
    for each_axis in reversed(axes):
        number, place = np.divmod(number, len(each_axis))
        places.insert(0, place)
    return places


def grid(axes: Mapping[str, Any], *, samples: int | None = None, seed: int = 0) -> Grid:
    """Read the axes of a sweep; `InputError` names the axis at fault."""
    found = Grid(tuple(axis(name, values) for name, values in axes.items()), samples, seed)
    names = [name for axis in found.axes for name in axis.columns]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"axis {name}: stands here a second time")
    if samples is not None and not found.arrays:
        raise InputError("samples: expected an axis of numbers to draw from, found none")
    return found
