"""Ceilings: the tile sizes of a rank that a mapper needs to look at.

A loop over N points in tiles of t makes ceil(N / t) turns. Where traffic depends on t through that
number alone, of all tiles with equal turns the smallest does the same with the least memory, so
about 2 sqrt(N) tiles stand for all N. `divisors` are the tiles that leave no remainder.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Tiles = NDArray[np.float64]


@lru_cache(maxsize=1024)
def distinct_ceilings(size: int) -> Tiles:
    """Smallest tile for each number of turns that is possible, ascending.

    >>> distinct_ceilings(10)
    array([ 1.,  2.,  3.,  4.,  5., 10.])
    """
    root = int(size**0.5) + 1
    near = np.arange(1, min(root, size) + 1, dtype=np.float64)
    tiles = np.unique(np.concatenate((near, np.ceil(size / near))))
    return np.unique(np.ceil(size / np.ceil(size / tiles)))


@lru_cache(maxsize=1024)
def divisors(size: int) -> Tiles:
    """Tiles that divide the rank, ascending.

    >>> divisors(12)
    array([ 1.,  2.,  3.,  4.,  6., 12.])
    """
    near = np.arange(1, int(size**0.5) + 1, dtype=np.float64)
    near = near[size % near == 0]
    return np.unique(np.concatenate((near, size / near)))


def every(size: int) -> Tiles:
    """All tiles, ascending."""
    return np.arange(1, size + 1, dtype=np.float64)
