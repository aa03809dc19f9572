"""Launch records of a product whose least of each row is all that is kept (`kernels/kmeans.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class NearestTile:
    """Points that a block holds, centroids that it takes at a time, its warps, stages of loads."""

    block_n: Amount = 128
    block_k: Amount = 64
    warps: Amount = 4
    stages: Amount = 2


MENU = (
    NearestTile(128, 64, 4, 2),
    NearestTile(128, 128, 8, 2),
    NearestTile(64, 64, 4, 2),
)
"""In fp16 with 128 dimensions, 128 points and two stages of 128 centroids are 96 KiB."""
