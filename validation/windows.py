"""What a measured row of a convolution or of pooling says: its sides, taps, strides and paddings.

Columns: `dims` directions slide (1: width; 2: height, too; 3: depth, too); a direction that does
not has side 1 and one tap. `stride`, `dilation` and `pad` are one number for all directions, or one
each from the outermost on, joined by "x"; a `pad` that differs between its two ends is "low:high".
Of a transposed convolution the pads are cut off what it writes. `channels` and `filters` are those
of all groups together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.quantity.units import Amount

DIRECTIONS = ("depth", "height", "width")
TRANSPOSED = "transposed"
ITEM_INDEX_BYTES = 8
"""Bytes of a place that maximum pooling writes beside each maximum."""


@dataclass(frozen=True)
class Axis:
    """One direction in which a window slides; `low` and `high` are the pads at its ends."""

    side: Amount
    taps: Amount
    stride: int
    dilation: int
    low: int
    high: int

    @property
    def reach(self) -> Amount:
        """Elements from a window's first to its last."""
        return self.dilation * (self.taps - 1) + 1

    @property
    def padded(self) -> Amount:
        """The side with its pads."""
        return self.side + self.low + self.high

    @property
    def outputs(self) -> Amount:
        """Places of the window."""
        return (self.padded - self.reach) // self.stride + 1

    @property
    def spread(self) -> Amount:
        """Elements that the transposed convolution writes."""
        return (self.side - 1) * self.stride + self.reach - self.low - self.high


def axes(columns: Mapping[str, Any]) -> tuple[Axis, ...]:
    """The directions of a row, outermost first."""
    dims = int(columns["dims"])
    stride, dilation, pad = (
        _each(columns.get(name, least), dims)
        for name, least in (("stride", 1), ("dilation", 1), ("pad", 0))
    )
    return tuple(
        Axis(
            side=columns[name],
            taps=columns[f"taps_{name[0]}"],
            stride=stride[at][0],
            dilation=dilation[at][0],
            low=pad[at][0],
            high=pad[at][-1],
        )
        for at, name in enumerate(DIRECTIONS[-dims:])
    )


def _each(value: Any, dims: int) -> list[tuple[int, ...]]:
    """(low, high), or one number, of each direction."""
    parts = str(value).split("x") if isinstance(value, str) else [str(int(value))]
    parts = parts * dims if len(parts) == 1 else parts
    return [tuple(int(float(end)) for end in part.split(":")) for part in parts]


def product(numbers: tuple[Amount, ...]) -> Amount:
    """Product of sizes."""
    total: Amount = 1
    for number in numbers:
        total = total * number
    return total


def places(columns: Mapping[str, Any]) -> tuple[Amount, Amount]:
    """(elements of one channel of an image read, elements of one channel written)."""
    each = axes(columns)
    transposed = columns.get("op") == TRANSPOSED
    read = product(tuple(axis.side for axis in each))
    return read, product(tuple(axis.spread if transposed else axis.outputs for axis in each))


def convolution_work(columns: Mapping[str, Any], item: int) -> tuple[float, float, float]:
    """FLOPs, zeros of pads among them, bytes of the inputs, and those with the output's."""
    read, written = places(columns)
    taps = product(tuple(axis.taps for axis in axes(columns)))
    batch, channels, filters = (float(columns[n]) for n in ("batch", "channels", "filters"))
    windows = batch * (read if columns["op"] == TRANSPOSED else written)
    pairs = channels * filters / float(columns["groups"]) * taps
    once = (batch * channels * read + pairs) * item
    return float(2 * windows * pairs), float(once), float(once + batch * filters * written * item)


def pool_work(columns: Mapping[str, Any], item: int) -> tuple[float, float, float]:
    """The same of pooling; places of maxima are written, too."""
    read, written = places(columns)
    maps = float(columns["batch"]) * float(columns["channels"])
    out = item + (ITEM_INDEX_BYTES if columns["op"] == "max" else 0)
    return 0.0, float(maps * read * item), float(maps * (read * item + written * out))
