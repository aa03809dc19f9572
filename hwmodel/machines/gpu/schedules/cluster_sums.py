"""Launch records of the sums of each cluster's points (`kernels/kmeans.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class SumTile:
    """Points of a block, its warps, and whether they come in the order of their clusters."""

    points: Amount = 64
    warps: Amount = 4
    sorted: Amount = 1


SORTED = (SumTile(64, 4, 1), SumTile(128, 8, 1))
"""Added run by run: a block multiplies its points by at most as many runs."""

ADDED = (SumTile(32, 4, 0),)
"""Added point by point, with atomics."""
