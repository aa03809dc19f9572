"""Axes of a sweep: values spaced evenly or by their logarithm, with units where they have them."""

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
    low, high = _numbers(first, last)
    if low > high:
        raise InputError(
            f"range: expected the first value below the last, found {first!r}, {last!r}"
        )
    return low, high


def _numbers(first: float | str, last: float | str) -> tuple[float, float]:
    """Two plain numbers, or two strings whose units are of one dimension."""
    if isinstance(first, str) and isinstance(last, str):
        for dimension in DIMENSIONS:
            try:
                return (
                    parse(first, dimension, where="range"),
                    parse(last, dimension, where="range"),
                )
            except InputError:
                continue
    elif not isinstance(first, str) and not isinstance(last, str):
        return _number(first), _number(last)
    raise InputError(
        "range: expected two numbers, or two with units of one kind such as '2 TB/s' and '20 TB/s',"
        f" found {first!r} and {last!r}"
    )


def _number(value: float) -> float:
    return float(np.asarray(amount(value, where="range")))


def _points(points: int) -> int:
    return int(np.asarray(amount(points, where="points", whole=True)))
