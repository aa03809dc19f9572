"""Axes of a sweep: values spaced evenly or by their logarithm, with units where they have them."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from hwmodel.errors import InputError
from hwmodel.units import DIMENSIONS, amount, parse


def linspace(first: float | str, last: float | str, points: int) -> NDArray[np.float64]:
    """`points` evenly spaced values from `first` to `last`: numbers, or strings with one unit.

    >>> linspace("2 TB/s", "4 TB/s", 3) / 1e12
    array([2., 3., 4.])
    """
    low, high = _ends(first, last)
    return np.linspace(low, high, _points(points))


def logspace(
    first: float | str, last: float | str, points: int = 64, *, whole: bool = True
) -> NDArray[np.float64]:
    """`points` values from `first` to `last`, evenly spaced in their logarithm.

    With `whole` (the default, for sizes) they are rounded to whole numbers and repeats are dropped.

    >>> logspace(1, 1000, 4)
    array([   1.,   10.,  100., 1000.])
    """
    low, high = _ends(first, last)
    spread = np.geomspace(low, high, _points(points))
    return np.unique(np.round(spread)) if whole else spread


def _ends(first: float | str, last: float | str) -> tuple[float, float]:
    low, high = map(partial(_number, where="range"), (first, last))
    if low > high:
        raise InputError(
            f"range: expected the first value below the last, found {first!r}, {last!r}"
        )
    return low, high


def _number(value: float | str, *, where: str) -> float:
    """A plain number, or one with any known unit."""
    if isinstance(value, str):
        for dimension in DIMENSIONS:
            try:
                return parse(value, dimension, where=where)
            except InputError:
                continue
        raise InputError(
            f"{where}: expected a number with a unit such as '2 TB/s', found {value!r}"
        )
    return float(np.asarray(amount(value, where=where)))


def _points(points: int) -> int:
    return int(np.asarray(amount(points, where="points", whole=True)))
