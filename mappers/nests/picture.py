"""Picture: a mapping as a drawing: levels as bands, tiles as rectangles, loops as arrows.

Each memory is a band, the outermost on top. A tile stands in the band of its memory, its area in
proportion to its share of that memory; an arrow brings it down from where it comes and is labelled
with the bytes that cross, both ways where sums go out. Loops run from left to right, outermost
first, as arrows that turn back on themselves; a tile stands right of the loops that change it. Of
several Einsums each is named where it is computed.
"""

import math
from pathlib import Path
from typing import Any

from hwmodel.machines.spatial.counts import Transfer
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import show
from hwmodel.spine.mapping import Compute, Keep, Loop, walk

BAND_COLOURS = ("#e8eef7", "#e9f4ea", "#fdf3e0", "#f7e8ee")
TILE_COLOURS = (
    *("#4c78a8", "#54a24b", "#f58518", "#b279a2", "#9d755d", "#2f9c95", "#e45756", "#7b6fd0"),
    *("#8a8d2f", "#d37295", "#5f7d95", "#b5702a", "#3b7a3b", "#a05195", "#6b4c3b", "#2b6ca3"),
)
COLUMN = 1.5
NARROW = 1.0
"""Width of a node where there are more than `MANY`."""
MANY = 10
BAND = 1.7


def draw(mapped: NestMapped, path: str | Path) -> None:
    """Write the drawing to a file (png, svg or pdf by its suffix); raises `InputError`."""
    from matplotlib.figure import Figure

    every = [node for _, node in walk(mapped.mapping.nest)]
    drawn = (Keep, Loop) if len(mapped.cascade.einsums) == 1 else (Keep, Loop, Compute)
    nodes = [node for node in every if isinstance(node, drawn)]
    levels = list(mapped.limits.capacity_bytes)
    column = NARROW if len(nodes) > MANY else COLUMN
    width = column * (len(nodes) + 0.6)
    figure: Any = Figure(figsize=(max(7.0, width + 1.8), BAND * (len(levels) + 0.9)))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_xlim(-1.6, width)
    axes.set_ylim(-0.95, BAND * len(levels) + 0.5)
    axes.axis("off")
    _bands(axes, mapped, levels, width)
    tensors = list(dict.fromkeys(t.tensor for t in mapped.costs.counts.transfers))
    transfers = iter(mapped.costs.counts.transfers)
    for place, node in enumerate(nodes):
        centre = column * (place + 0.5)
        if isinstance(node, Loop):
            _loop(axes, node, centre, column / 3)
        elif isinstance(node, Compute):
            axes.text(centre, -0.42, node.einsum, fontsize=9, ha="center", weight="bold")
        else:
            moved = next(transfers)
            colour = TILE_COLOURS[tensors.index(node.tensor) % len(TILE_COLOURS)]
            _tile(axes, mapped, levels, moved, centre, colour)
    head = f"{mapped.mapping.cascade} on {mapped.mapping.machine}: {_size(mapped.traffic_bytes)}"
    certificate = mapped.certificate
    proof = "optimal" if certificate.optimal_in_mapspace else "best found"
    gap = f"gap to bound {certificate.gap_to_bound:.1%}"
    note = f"{certificate.objective} {proof} in {certificate.mapspace}, {gap}"
    axes.text(-1.5, BAND * len(levels) + 0.22, f"{head}, {note}", fontsize=11, weight="bold")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise InputError(f"--picture: {path}: expected a png, svg or pdf file: {error}") from None


def _bottom(levels: list[str], level: str) -> float:
    return BAND * (len(levels) - 1 - levels.index(level))


def _bands(axes: Any, mapped: NestMapped, levels: list[str], width: float) -> None:
    from matplotlib.patches import Rectangle

    for at, level in enumerate(levels):
        low = _bottom(levels, level)
        colour = BAND_COLOURS[at % len(BAND_COLOURS)]
        axes.add_patch(Rectangle((-1.6, low), width + 1.6, BAND - 0.12, color=colour, zorder=0))
        axes.text(-1.5, low + BAND - 0.4, level, fontsize=11, weight="bold")
        held = mapped.costs.counts.footprint_bytes.get(level)
        if held is not None:
            size = mapped.limits.capacity_bytes[level] / mapped.limits.instances.get(level, 1)
            words = f"{_size(held)}\nof {_size(float(size))}"
            axes.text(-1.5, low + BAND - 0.6, words, fontsize=8, va="top")
    axes.text(-1.5, -0.45, "loops", fontsize=11, weight="bold")


def _loop(axes: Any, loop: Loop, centre: float, reach: float) -> None:
    style = {"arrowstyle": "->", "linewidth": 1.4, "color": "#444444"}
    left, right = centre - reach, centre + reach
    if loop.array:
        for height in (-0.2, -0.3, -0.4):
            axes.annotate("", (right, height), (left, height), arrowprops=style)
    else:
        bent = {**style, "connectionstyle": "arc3,rad=0.45"}
        axes.annotate("", (right, -0.42), (left, -0.42), arrowprops=style)
        axes.annotate("", (left, -0.4), (right, -0.4), arrowprops={**bent, "linestyle": "dotted"})
    where = f"\nover {loop.array}" if loop.array else ""
    words = f"{loop.rank} by {loop.tile}{where}"
    axes.text(centre, -0.5, words, fontsize=9, ha="center", va="top")


def _tile(
    axes: Any, mapped: NestMapped, levels: list[str], moved: Transfer, centre: float, colour: str
) -> None:
    from matplotlib.patches import Rectangle

    low = _bottom(levels, moved.inner)
    size = moved.tile * moved.element_bytes
    capacity = mapped.limits.capacity_bytes[moved.inner] / mapped.limits.instances.get(
        moved.inner, 1
    )
    side = max(0.1, 0.95 * math.sqrt(min(1.0, size / capacity)))
    base = low + 0.3
    for shift in (side / 5, 0.0) if moved.double else (0.0,):
        corner = (centre - side / 2 + shift, base + shift)
        axes.add_patch(Rectangle(corner, side, side, facecolor=colour, edgecolor="white", zorder=2))
    axes.text(centre, low + 0.08, f"{moved.tensor}: {_size(size)}", fontsize=8, ha="center")
    top = _bottom(levels, moved.outer) + 0.25
    arrows = (
        (moved.fills, "->", "in"),
        (moved.drains, "<-", "out"),
        (moved.returns, "->", "back"),
    )
    made = [(n, style, word) for n, style, word in arrows if n]
    for at, (count, style, word) in enumerate(made):
        x = centre + (at - (len(made) - 1) / 2) * 0.3
        axes.annotate(
            "",
            (x, base + side + 0.03),
            (x, top),
            arrowprops={"arrowstyle": style, "color": colour, "linewidth": 1.6},
            zorder=3,
        )
        label = f"{_size(count * moved.element_bytes)} {word}"
        axes.text(centre, top + 0.08 + 0.2 * at, label, fontsize=8, ha="center", color=colour)
    if not made:
        axes.text(centre, base + side + 0.08, "never leaves", fontsize=8, ha="center", color=colour)


def _size(value: float) -> str:
    return show(float(value), "bytes")
