"""Sizes outside those that a calibration saw: which, of what range, and by what factor.

The factor is 1 inside a range, and elsewhere how many times a size is larger than the most, or
smaller than the least, that was measured. It decides by how much an interval grows
(`hwmodel.hardware.calibration.stretched`), point by point.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount

EXTRAPOLATED = "extrapolated: a size lies beyond those that the calibration was measured on"


@dataclass(frozen=True, eq=False)
class Outside:
    """A size that lies outside what was measured, at some point at least."""

    family: str
    name: str
    size: Amount
    measured: tuple[float, float]

    @property
    def factor(self) -> Amount:
        """How many times the size is outside; 1 where it is inside."""
        low, high = self.measured
        return most((1.0, self.size / high, low / self.size))

    def told(self, size: float, factor: float) -> str:
        """The warning at a point: the size, the range, and by how much."""
        low, high = self.measured
        far = f"{factor:,.3g}" if factor < 100 else f"{factor:,.0f}"
        by = f"{far} times" if factor >= 2 else f"{factor - 1:.2%}"
        return (
            f"{EXTRAPOLATED}: {self.family}: {self.name} {size:,.0f} is {by} outside"
            f" {low:,.0f} to {high:,.0f}; its interval is widened"
        )


def outside(
    family: str,
    ranges: Mapping[str, tuple[float, float]],
    size_of: Callable[[str], Amount | None],
) -> tuple[Outside, ...]:
    """The sizes of a call that lie outside the ranges of its family somewhere; mostly none."""
    found: list[Outside] = []
    for name, (low, high) in ranges.items():
        size = size_of(name)
        if size is None:
            continue
        one = isinstance(size, (int, float))
        if not (low <= size <= high if one else np.all((size >= low) & (size <= high))):
            found.append(Outside(family, name, size, (low, high)))
    return tuple(found)


def farthest(sizes: Iterable[Outside]) -> Amount:
    """The largest factor of any of the sizes, point by point; 1 of none."""
    return most((1.0, *(each.factor for each in sizes)))


def told(sizes: Sequence[tuple[Outside, Amount]], points: int | None = None) -> list[str]:
    """What each of so many points is told of its farthest size, an empty text where of none.

    `sizes` come with how often their kernel runs. Without `points`: of the farthest of them all.
    """
    if not sizes:
        return [""] * (points or 1)
    arrays: list[Any] = [np.broadcast_arrays(each.factor, each.size, n) for each, n in sizes]
    if points is None:
        tops = [np.argmax(np.where(runs > 0, factor, 1.0)) for factor, _, runs in arrays]
        arrays = [tuple(a.flat[top] for a in of) for of, top in zip(arrays, tops, strict=True)]
    spread: list[Any] = [[np.broadcast_to(a, (points or 1,)) for a in of] for of in arrays]
    factors = np.stack([np.where(runs > 0, factor, 1.0) for factor, _, runs in spread])
    which: list[int] = np.argmax(factors, axis=0).tolist()
    far: list[float] = np.max(factors, axis=0).tolist()
    return [
        sizes[index][0].told(float(spread[index][1][point]), factor) if factor > 1 else ""
        for point, (index, factor) in enumerate(zip(which, far, strict=True))
    ]
