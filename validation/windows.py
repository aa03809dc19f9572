"""What a measured row of a convolution or of pooling says: its sides, taps, strides and paddings.

Columns: `dims` directions slide (1: width; 2: height, too; 3: depth, too); a direction that does
not has side 1 and one tap. `stride`, `dilation` and `pad` are one number for all directions, or one
each from the outermost on, joined by "x"; a `pad` that differs between its two ends is "low:high".
Of a transposed convolution the pads are cut off what it writes. `channels` and `filters` are those
of all groups together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.convolution import pads
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount

DIRECTIONS = ("depth", "height", "width")
PLACES, TAPS, SIDES, PHASES = ("zyx", "trs", "dhw", "efj")
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


def is_depthwise(columns: Mapping[str, Any]) -> bool:
    """Whether each of several channels has filters of its own."""
    groups = float(columns.get("groups", 1))
    return groups > 1 and groups == float(columns.get("channels", 0))


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


@dataclass(frozen=True)
class Slid:
    """Directions as text and sizes: what the image is read at, and ranks of the output and taps."""

    sides: tuple[str, ...]
    read: tuple[str, ...]
    places: tuple[str, ...]
    taps: tuple[str, ...]
    phases: tuple[str, ...]
    sizes: Mapping[str, Amount]
    ends: tuple[str, ...] = ()
    """Pads before and behind each side, as a tensor's text says them."""
    share: Amount = 1.0
    """Of the taps of all phases, those that the window has; the others are zeros."""

    @property
    def stored(self) -> tuple[str, ...]:
        """The sides with their pads."""
        ends = self.ends or ("",) * len(self.sides)
        return tuple(side + end for side, end in zip(self.sides, ends, strict=True))


def _forward(each: tuple[Axis, ...]) -> Slid:
    """Windows over a padded image."""
    count, read, sizes = len(each), list[str](), dict[str, Amount]()
    names = [letters[-count:] for letters in (SIDES, PLACES, TAPS)]
    for axis, side, place, tap in zip(each, *names, strict=True):
        gap = f"{axis.dilation}*" if axis.dilation > 1 else ""
        read.append(f"{axis.stride}*{place}+{gap}{tap}")
        sizes |= {side: axis.padded, place: axis.outputs, tap: axis.taps}
    sides, places_, taps = names
    ends = tuple(pads(axis.low, axis.high) for axis in each)
    return Slid(tuple(sides), tuple(read), tuple(places_), tuple(taps), (), sizes, ends)


def _backward(each: tuple[Axis, ...]) -> Slid:
    """Windows of a transposed convolution, phase by phase.

    Outputs that lie a stride apart read with the same taps, every stride-th of them: each phase has
    filters of its own, over an image without gaps.
    """
    count, read, sizes = len(each), list[str](), dict[str, Amount]()
    share: Amount = 1.0
    names = [letters[-count:] for letters in (SIDES, PLACES, TAPS, PHASES)]
    for axis, side, place, tap, phase in zip(each, *names, strict=True):
        each_taps, outputs = ceil_div(axis.taps, axis.stride), ceil_div(axis.spread, axis.stride)
        read.append(f"{place}+{tap}")
        sizes |= {side: outputs + each_taps - 1, place: outputs}
        sizes |= {tap: each_taps, phase: axis.stride}
        share = share * axis.taps / (each_taps * axis.stride)
    sides, places_, taps, phases = map(tuple, names)
    return Slid(sides, tuple(read), places_, taps, phases, sizes, share=share)


def convolution(columns: Mapping[str, Any], sizes: Mapping[str, Any]) -> Cascade:
    """Rows of one form as a cascade; `sizes` are arrays, one entry a row."""
    each = axes({**columns, **sizes})
    slid = _backward(each) if columns["op"] == TRANSPOSED else _forward(each)
    last = columns["layout"] == "last"

    def laid(channels: str, inner: tuple[str, ...]) -> str:
        parts = (*inner, *channels.split()) if last else (*channels.split(), *inner)
        return ", ".join(("b", *parts))

    filters = ", ".join(("g", "k", *slid.phases, "c", *slid.taps))
    forward = columns["op"] != TRANSPOSED and columns.get("family") == "convolution"
    uneven = forward and any(axis.low != axis.high for axis in each)  # torch pads by a kernel
    whole, stored = laid("g c", slid.sides), laid("g c", slid.stored)
    padded = f"tensor X[{stored}]\n    I[{whole}] = copy(X[{whole}])" if uneven else ""
    text = f"""
    {padded or f"tensor I[{stored}]"}
    tensor F[{filters}]: weight
    O[{laid("g k", (*slid.places, *slid.phases))}] = I[{laid("g c", slid.read)}] * F[{filters}]
    """
    extents = {
        "b": sizes["batch"],
        "g": sizes["groups"],
        "c": sizes["channels"] // sizes["groups"],
        "k": sizes["filters"] // sizes["groups"],
    }
    read = parse(
        text, sizes=extents | dict(slid.sizes), dtypes={"*": str(columns["dtype"])}, name="window"
    )
    made = (*read.einsums[:-1], replace(read.einsums[-1], density=slid.share))
    return replace(read, einsums=made)


def pool(columns: Mapping[str, Any], sizes: Mapping[str, Any]) -> Cascade:
    """The same of pooling."""
    slid = _forward(axes({**columns, **sizes}))
    last = columns["layout"] == "last"

    def laid(inner: tuple[str, ...]) -> str:
        return ", ".join(("b", *inner, "c") if last else ("b", "c", *inner))

    reduced = "max" if columns["op"] == "max" else "sum"
    over = " ".join(f"{reduced}({tap})" for tap in slid.taps)
    mean = "" if columns["op"] == "max" else "".join(f" / {tap.upper()}" for tap in slid.taps)
    text = f"""
    tensor I[{laid(slid.stored)}]
    O[{laid(slid.places)}] = {over} I[{laid(slid.read)}]{mean}
    """
    extents = {"b": sizes["batch"], "c": sizes["channels"]}
    return parse(
        text, sizes=extents | dict(slid.sizes), dtypes={"*": str(columns["dtype"])}, name="pool"
    )
