"""Launch records of depthwise convolution, channels last (`kernels/depthwise.py`)."""

from dataclasses import dataclass

from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class WindowTile:
    """Outputs and channels of a block, and its warps."""

    pixels: Amount = 16
    channels: Amount = 64
    warps: Amount = 4


MENU = (WindowTile(16, 64, 4), WindowTile(32, 64, 8), WindowTile(32, 32, 4))
"""Channels of a pixel are a row of 64 to 128 bytes."""
