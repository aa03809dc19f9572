"""The hierarchical roofline: every kernel at every memory level, under the machine's roofs.

    performance = operations / time         intensity at a level = operations / bytes at that level
    roofs: bandwidth of the level x intensity, and the peak rates of the units in use

(Williams, Waterman, Patterson, CACM 52(4), 2009; levels as in Yang, Kurth, Williams 2020,
"Hierarchical Roofline analysis for GPUs".) Operations are those that the Einsums ask for, once.
A kernel's points lie on one horizontal line; the level whose roof is nearest above its point is the
one that limits it most. Kernels without operations (copies) have no place on it.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import show
from hwmodel.show.pictures.style import (
    COLOURS,
    PALETTE,
    draws,
    legend,
    number_axis,
    panels,
    plain_axes,
    saved,
    titled,
)
from hwmodel.spine.estimate import Estimate, Part

NUMBERED = 12
"""Kernels with a number and a line in the legend: those that take longest."""

MARKERS = "os^Dv"
LETTER, LINE = 0.012, 0.03
"""Width and height of a letter as shares of the axes: numbers nearer than that are joined."""

HEADROOM = 3.0
"""Factor between the points and the frame."""

DECADES = 100.0
"""Factor between the highest roof and the frame, at least, so that roofs are seen to rise."""


@draws("an estimate", "time_s", "parts")
def roofline(
    estimate: Estimate, on: Hardware, path: str | Path | None = None, *, ax: Any = None
) -> Any:
    """Draw an estimate's kernels under the roofs of the machine that it was made for.

    Returns the figure; writes it to `path`, in the format of its ending. `ax` are axes to draw
    into. Numbers are one device's.
    Raises `InputError` for a sweep, and where no kernel has operations.
    """
    if np.ndim(estimate.time_s):
        raise InputError(f"roofline: expected one point, found {np.size(estimate.time_s)}")
    parts = [part for part in estimate.parts if part.flop and float(part.time_s) > 0]
    if not parts:
        raise InputError(
            f"roofline: expected kernels with operations, found none in {estimate.name}"
        )
    left_out = len(estimate.parts) - len(parts)
    parts.sort(key=lambda part: -float(part.times * part.time_s))
    levels = [level for level in on.memories if any(_bytes(part, level) for part in parts)]
    drawn, (axes,) = panels((10, 6), 1, ax)
    peaks = _peaks(parts, on)
    ends = _ends(parts, levels, on, max(peaks.values(), default=0.0))
    for place, (name, rate) in enumerate(sorted(peaks.items(), key=lambda item: -item[1])):
        axes.axhline(
            rate, color="black", linewidth=1.0, linestyle=("-", "--", "-.", ":")[place % 4]
        )
        text = f"{name}: {show(rate, 'flop_per_s')}"
        axes.annotate(
            text, (ends[1], rate), (-4, 3), textcoords="offset points", ha="right", size=8
        )
    total = sum(float(part.times * part.time_s) for part in estimate.parts)
    tallest = max(peaks.values(), default=np.inf)
    for place, (level, colour) in enumerate(zip(levels, _colours(levels), strict=True)):
        _level(axes, place, (level, colour), on, parts, (ends, tallest, total))
    axes.set(xlim=ends[:2], ylim=ends[2:])
    number_axis(axes.xaxis, None, "operational intensity [operations/B]", log=True)
    number_axis(axes.yaxis, "flop_per_s", "performance", log=True)
    _numbers(axes, parts, levels, total)
    plain_axes(axes)
    if left_out:
        axes.plot([], [], " ", label=f"({left_out} without operations)")
    titled(drawn, axes, ax, f"{estimate.name} on {on.title}", x=0.01, ha="left")
    roofs, _ = axes.get_legend_handles_labels()
    told = roofs if ax is None else roofs[: len(levels)]  # a panel of somebody's holds no names
    legend(
        drawn, axes, ax, handles=told, loc="outside right upper", frameon=False, fontsize=8,
        alignment="left",
    )  # fmt: skip
    return saved(drawn, path, ax)


def _colours(levels: Sequence[str]) -> list[str]:
    """The colour that a level has in every picture, or one that no other level here has."""
    free = [colour for colour in PALETTE if colour not in {COLOURS.get(n) for n in levels}]
    return [COLOURS[name] if name in COLOURS else free.pop(0) for name in levels]


def _bytes(part: Part, level: str) -> float:
    return float(part.counts.read.get(level, 0) + part.counts.written.get(level, 0))


def _rate(part: Part) -> float:
    return float(part.flop or 0) / float(part.time_s)


def _peaks(parts: Sequence[Part], on: Hardware) -> dict[str, float]:
    """Peak rate of each unit and number format in use; where none is a unit's, of all units."""
    used = {
        (unit, dtype)
        for part in parts
        for (unit, kind, dtype), count in part.counts.operations.items()
        if kind == "flop" and np.any(count)
    }
    formats = {dtype for _, dtype in used}
    known = {
        (unit, dtype): float(rate)
        for unit, spec in on.units.items()
        for dtype, rate in spec.rate_per_s.items()
        if dtype in formats
    }
    shown = {key: rate for key, rate in known.items() if key in used} or known
    return {f"{unit} {dtype}": rate for (unit, dtype), rate in shown.items()}


def _ends(
    parts: Sequence[Part], levels: Sequence[str], on: Hardware, peak: float
) -> tuple[float, float, float, float]:
    """Ends of both axes: all points, and where the outermost level's roof meets the peak."""
    x = [float(p.flop or 0) / _bytes(p, n) for p in parts for n in levels if _bytes(p, n)]
    y = [_rate(part) for part in parts]
    ridges = [peak / float(on.memories[level].bandwidth_bytes_per_s) for level in levels[:1]]
    right = max(*x, *ridges, 1e-9)
    bottom = min(min(y) / HEADROOM, max(*y, peak) / DECADES)
    return min(x) / HEADROOM, right * HEADROOM, bottom, max(*y, peak) * HEADROOM / 1.5


def _level(
    axes: Any,
    place: int,
    named: tuple[str, str],
    on: Hardware,
    parts: Sequence[Part],
    frame: tuple[Sequence[float], float, float],
) -> None:
    """One level's roof, and every kernel's point at it; outer levels lie on top and are smaller."""
    (level, colour), (ends, tallest, total) = named, frame
    marker = MARKERS[place % len(MARKERS)]
    bandwidth = float(on.memories[level].bandwidth_bytes_per_s)
    x = np.array([ends[0], max(ends[0], min(ends[1], tallest / bandwidth))])
    axes.plot(x, bandwidth * x, color=colour, linewidth=1.6, zorder=1)
    here = [part for part in parts if _bytes(part, level)]
    size = 0.5 + 0.3 * place
    axes.scatter(
        [float(part.flop or 0) / _bytes(part, level) for part in here],
        [_rate(part) for part in here],
        s=[size * (25 + 150 * float(part.times * part.time_s) / total) for part in here],
        color=colour,
        marker=marker,
        edgecolors="white",
        linewidths=0.6,
        zorder=9 - place,
    )
    words = f"{level}: {show(bandwidth, 'bytes_per_s')}"
    axes.plot([], [], color=colour, marker=marker, markersize=5, linewidth=1.6, label=words)


def _numbers(axes: Any, parts: Sequence[Part], levels: Sequence[str], total: float) -> None:
    """A faint line through a kernel's points, its number above them, its name in the legend."""
    marks: list[tuple[float, float, int]] = []
    for place, part in enumerate(parts[:NUMBERED], 1):
        x = [float(part.flop or 0) / _bytes(part, n) for n in levels if _bytes(part, n)]
        y = _rate(part)
        axes.plot([min(x), max(x)], [y, y], color="grey", linewidth=0.5, zorder=0)
        share = float(part.times * part.time_s) / total
        axes.plot([], [], " ", label=f"{place}  {part.name}, {share:.0%} of the time")
        marks.append((math.log(min(x)), math.log(y), place))
    left, right = (math.log(end) for end in axes.get_xlim())
    low, high = (math.log(end) for end in axes.get_ylim())
    for x_at, y_at, places in joined(marks, (right - left) * LETTER, (high - low) * LINE):
        axes.annotate(
            " ".join(map(str, places)), (math.exp(x_at), math.exp(y_at)), (0, 6),
            textcoords="offset points", ha="center", size=8, zorder=10,
        )  # fmt: skip


def joined(
    marks: Sequence[tuple[float, float, int]], letter: float, line: float
) -> list[tuple[float, float, list[int]]]:
    """Numbers that would be written over each other, as one; of letters that wide and high."""
    found: list[tuple[float, float, list[int]]] = []
    for x, y, place in sorted(marks):
        row = [i for i, (_, other, _) in enumerate(found) if abs(y - other) < line]
        last_x, last_y, places = found[row[-1]] if row else (-math.inf, y, [])
        together = sorted([*places, place])
        if x - last_x < letter * (1 + len(" ".join(map(str, together)))) / 2:
            middle = (last_x * len(places) + x) / len(together)
            found[row[-1]] = (middle, last_y, together)
        else:
            found.append((x, y, [place]))
    return found
