"""Pareto fronts: the points that no other point beats.

A point is beaten by one that is at least as good in every quantity and better in one. Equal points
do not beat each other, so that all of them stay. Quantities have any unit; less is better.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4_096
"""Points that are compared with the front at once."""


def front(quantities: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Which points no other beats, given one array for each quantity (of which less is better).

    Points with a quantity that is no number are never on it.

    >>> front([np.array([1.0, 2.0, 2.0]), np.array([3.0, 1.0, 2.0])])
    array([ True,  True, False])
    """
    points = np.column_stack(quantities)
    result = np.zeros(len(points), dtype=bool)
    order = np.lexsort(points.T[::-1])
    order = order[~np.isnan(points[order]).any(axis=1)]
    if not order.size:
        return result
    ordered = points[order]
    differs = np.concatenate([[True], np.any(ordered[1:] != ordered[:-1], axis=1)])
    unique = ordered[differs]
    best = _falling(unique[:, 1]) if unique.shape[1] == 2 else _unbeaten(unique)
    result[order] = best[np.cumsum(differs) - 1]
    return result


def _falling(second: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of different points sorted by their first quantity, those that fall in the second."""
    before = np.minimum.accumulate(second)
    return np.concatenate([[True], second[1:] < before[:-1]])


def _unbeaten(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The same for any number of quantities: none beats one that stands before it in this order."""
    best = np.zeros(len(points), dtype=bool)
    found = points[:0]
    for start in range(0, len(points), AT_ONCE):
        block = points[start : start + AT_ONCE]
        alive = np.flatnonzero(~_beaten(block, found))
        for place in alive:
            rivals = block[best[start : start + len(block)]]
            if not np.any(np.all(rivals <= block[place], axis=1)):
                best[start + place] = True
        found = np.concatenate([found, block[best[start : start + len(block)]]])
    return best


def _beaten(block: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of a block one of the others beats (all of them differ)."""
    result = np.zeros(len(block), dtype=bool)
    for rival in by:
        result |= np.all(rival <= block, axis=1)
    return result
