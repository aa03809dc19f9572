"""Launch records of gradients that are summed over rows and groups (`kernels/rational.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class GradientTile:
    """Rows of a block, rows that it takes at a time, its warps; whether each element adds alone."""

    rows: Amount = 1024
    step: Amount = 4
    warps: Amount = 4
    each: Amount = 0


MENU = (GradientTile(1024, 4, 4), GradientTile(256, 4, 4), GradientTile(1024, 8, 8))
EACH = GradientTile(4, 4, 4, 1)
"""Every element adds by an atomic for each coefficient."""
