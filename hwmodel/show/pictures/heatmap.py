"""A heat map of a sweep over two axes, with the regions in which each resource binds."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import (
    columns,
    label,
    number_axis,
    numeric,
    panels,
    saved,
    spread,
    unit_of,
)

EVEN = 1.5
"""Ratio of the largest to the smallest step up to which an axis counts as evenly spaced."""

WIDE = 20.0
EDGE = 0.1
"""Of the width: a word that begins nearer to a side stands within it."""
LABEL_SHARE = 0.01
"""Share of the map's points from which a region bears its name."""


def heatmap(
    table: Any,
    x: str,
    y: str,
    value: str = "time_s",
    path: str | Path | None = None,
    *,
    regions: str | None = "bottleneck",
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw a column of a two-axis sweep in colour, outlining where the words of `regions` change.

    `x` and `y` are columns whose combinations each stand once in the table; missing ones stay
    white. `ax` are axes to draw into. Returns the figure; writes it to `path`. Raises `InputError`
    and `UnknownNameError`.
    """
    names = [x, y, value, *([regions] if regions else [])]
    held = columns(table, *dict.fromkeys(names))
    across, column = np.unique(numeric(x, held[x]), return_inverse=True)
    up, row = np.unique(numeric(y, held[y]), return_inverse=True)
    if min(len(across), len(up)) < 2:
        raise InputError(
            f"heatmap: expected two values or more of {x} and of {y}, found {len(across)} and"
            f" {len(up)}"
        )
    if np.unique(row * len(across) + column).size < len(row):
        raise InputError(
            f"heatmap: expected one row for each pair of {x} and {y}, found several; filter the"
            " table down to two axes (hwmodel plot: --where 'N = 64')"
        )
    height = np.full((len(up), len(across)), np.nan)
    height[row, column] = numeric(value, held[value])
    drawn, (axes,) = panels((8, 5.5), 1, ax)
    positive = height[np.isfinite(height)]
    log = bool(positive.size) and positive.min() > 0 and positive.max() / positive.min() > WIDE
    sides, floors = _edges(across), _edges(up)
    mesh = axes.pcolormesh(
        sides, floors, height, cmap="viridis", norm="log" if log else "linear", rasterized=True
    )
    for axis, name, values in ((axes.xaxis, x, across), (axes.yaxis, y, up)):
        number_axis(axis, unit_of(name), label(name), log=_is_log(values))
    bar = drawn.colorbar(mesh, ax=axes)
    number_axis(bar.ax.yaxis, unit_of(value), label(value), log=False)
    if regions:
        words = np.full(height.shape, "", dtype=object)
        words[row, column] = np.asarray(held[regions], dtype=str)
        _outlines(axes, sides, floors, words)
    axes.set_title(title, loc="left", size=11)
    return saved(drawn, path, ax)


def _is_log(values: NDArray[np.float64]) -> bool:
    steps = np.diff(values)
    return values.min() > 0 and spread(steps.tolist()) > EVEN


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of cells around values: halfway between them, on a logarithmic axis too."""
    on_axis = np.log(values) if _is_log(values) else values
    between = (on_axis[1:] + on_axis[:-1]) / 2
    ends = (2 * on_axis[0] - between[0], 2 * on_axis[-1] - between[-1])
    edges = np.concatenate(([ends[0]], between, [ends[1]]))
    return np.exp(edges) if _is_log(values) else edges


def _outlines(
    axes: Any, sides: NDArray[np.float64], floors: NDArray[np.float64], words: Any
) -> None:
    """White lines where neighbours differ, and each region's word where it is widest."""
    from matplotlib import collections

    upright = np.argwhere(words[:, 1:] != words[:, :-1])
    level = np.argwhere(words[1:] != words[:-1])
    lines = [[(sides[c + 1], floors[r]), (sides[c + 1], floors[r + 1])] for r, c in upright]
    lines += [[(sides[c], floors[r + 1]), (sides[c + 1], floors[r + 1])] for r, c in level]
    axes.add_collection(
        collections.LineCollection(lines, colors="white", linewidths=1.4, capstyle="projecting")
    )
    for word in sorted({each for each in words.ravel() if each and each != "None"}):
        inside = words == word
        if inside.sum() >= LABEL_SHARE * inside.size:
            row, column = _heart(inside)
            x, y = ((e[i] * e[i + 1]) ** 0.5 if e[0] > 0 else (e[i] + e[i + 1]) / 2
                    for e, i in ((sides, column), (floors, row)))  # fmt: skip
            side = "left" if column < EDGE * (len(sides) - 1) else "center"
            if column + 1 > (1 - EDGE) * (len(sides) - 1):
                side = "right"
            axes.text(
                sides[column] if side == "left" else sides[column + 1] if side == "right" else x,
                y, word, ha=side, va="center", clip_on=True, size=10, color="black",
                bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 2},
            )  # fmt: skip


def _heart(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """The point of a region that lies deepest within it."""
    depth, layer = np.zeros(inside.shape), np.pad(inside, 1)
    while layer.any():
        core = layer[1:-1, 1:-1]
        depth += core
        shrunk = core & layer[:-2, 1:-1] & layer[2:, 1:-1] & layer[1:-1, :-2] & layer[1:-1, 2:]
        layer = np.pad(shrunk, 1)
    deepest = np.argwhere(depth == depth.max())
    middle = deepest.mean(axis=0)
    nearest = deepest[np.argmin(((deepest - middle) ** 2).sum(axis=1))]
    return int(nearest[0]), int(nearest[1])
