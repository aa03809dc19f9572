"""Launch records of attention by powers of the scores (`kernels/linear_attention.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class PowerTile:
    """Tokens of a chunk, columns of the values that a block owns, its warps, stages of loads."""

    chunk: Amount = 64
    block_v: Amount = 64
    warps: Amount = 8
    stages: Amount = 1


MENU = (
    PowerTile(64, 64, 8, 1),
    PowerTile(64, 32, 4, 1),
    PowerTile(64, 128, 8, 1),
)
"""The state of d = 16 is 257 rows of fp32 sums in registers: 64 columns of it are 64 KiB."""
