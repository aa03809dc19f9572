"""Launch records of a recurrence in chunks with its state on chip (`kernels/chunk_scan.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class ChunkTile:
    """Tokens of a chunk, columns of the values that a block owns, its warps, stages of loads."""

    chunk: Amount = 64
    block_v: Amount = 64
    warps: Amount = 8
    stages: Amount = 1


MENU = (
    ChunkTile(64, 64, 8, 1),
    ChunkTile(64, 32, 4, 1),
    ChunkTile(64, 64, 4, 2),
)
"""A state of 128 rows by 64 columns of fp32 sums is 32 KiB of registers."""
