"""Axes of a sweep: values spaced evenly or by their logarithm, with units where they have them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import AXIS_VALUES
from hwmodel.quantity.units import DIMENSIONS, amount, counted, parse


class Quantities(np.ndarray[tuple[int, ...], np.dtype[np.float64]]):
    """Numbers that remember of which dimension they are, for the name of a column."""

    dimension: str | None = None

    def __array_finalize__(self, source: object) -> None:
        """Parts and copies are of the same dimension; what is computed of them is not."""
        self.dimension = getattr(source, "dimension", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Results are plain."""
        return array[()] if return_scalar else np.asarray(array)


@checked
def linspace(first: float | str, last: float | str, points: int) -> NDArray[np.float64]:
    """`points` evenly spaced values from `first` to `last`: numbers, or strings with one unit.

    >>> linspace("2 TB/s", "4 TB/s", 3) / 1e12
    array([2., 3., 4.])
    """
    low, high, dimension = _ends(first, last)
    return _of(dimension, np.linspace(low, high, _points(points)))


@checked
def logspace(
    first: float | str, last: float | str, points: int = 64, *, whole: bool = True
) -> NDArray[np.float64]:
    """`points` values from `first` to `last`, evenly spaced in their logarithm.

    With `whole` (the default, for sizes) they are rounded to whole numbers and repeats are dropped.

    >>> logspace(1, 1000, 4)
    array([   1.,   10.,  100., 1000.])
    """
    low, high, dimension = _ends(first, last)
    spread = np.geomspace(low, high, _points(points))
    return _of(dimension, np.unique(np.round(spread)) if whole else spread)


def quantities(values: Sequence[str]) -> NDArray[np.float64]:
    """A list of strings with units of one kind, in SI.

    >>> float(quantities(["141 GB", "1 TB"])[1])
    1000000000000.0
    """
    for dimension in DIMENSIONS:
        try:
            found = [parse(text, dimension, where="list") for text in values]
        except InputError:
            continue
        return _of(dimension, np.array(found))
    raise InputError(
        "list: expected quantities with units of one kind such as '2 TB/s', found"
        f" {shown(list(values))}"
    )


def _of(dimension: str | None, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, told of their dimension where they have one."""
    if dimension is None:
        return values
    told = values.view(Quantities)
    told.dimension = dimension
    return told


def _ends(first: float | str, last: float | str) -> tuple[float, float, str | None]:
    low, high, dimension = _numbers(first, last)
    if low > high:
        raise InputError(
            f"range: expected the first value below the last, found {shown(first)}, {shown(last)}"
        )
    return low, high, dimension


def _numbers(first: float | str, last: float | str) -> tuple[float, float, str | None]:
    """Two plain numbers, or two strings whose units are of one dimension."""
    if isinstance(first, str) and isinstance(last, str):
        for dimension in DIMENSIONS:
            try:
                return (
                    parse(first, dimension, where="range"),
                    parse(last, dimension, where="range"),
                    dimension,
                )
            except InputError:
                continue
    elif not isinstance(first, str) and not isinstance(last, str):
        return _number(first), _number(last), None
    raise InputError(
        "range: expected two numbers, or two with units of one kind such as '2 TB/s' and '20 TB/s',"
        f" found {shown(first)} and {shown(last)}"
    )


def _number(value: float) -> float:
    found = amount(value, where="range")
    if isinstance(found, np.ndarray) and found.ndim:
        raise InputError(f"range: expected one number, found {shown(value)}")
    return float(found)


def _points(points: int) -> int:
    return counted(points, where="points", most=AXIS_VALUES)
