"""A Pareto front: all points of a sweep, those that no other beats, and the line through them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import (
    PALETTE,
    columns,
    label,
    legend,
    number_axis,
    numeric,
    panels,
    plain_axes,
    saved,
    spread,
    unit_of,
)

MOST_COLOURS = len(PALETTE)
WIDE = 20.0
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


def pareto(
    table: Any,
    x: str = "time_s",
    y: str = "energy_j",
    path: str | Path | None = None,
    *,
    most: Sequence[str] = (),
    colour: str | None = None,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw two columns of a sweep (or any table) against each other, and their front.

    Less is better, but for the columns in `most`. `colour` names a column of few words or numbers
    that tells groups apart; `ax` are axes to draw into. Rows without a number are left out. Returns
    the figure; writes it to `path`. Raises `InputError` and `UnknownNameError` for columns.
    """
    names = [x, y, *([colour] if colour else [])]
    held = columns(table, *names)
    across, up = numeric(x, held[x]), numeric(y, held[y])
    kept = np.isfinite(across) & np.isfinite(up)
    if not kept.any():
        raise InputError(f"pareto: expected rows with numbers in {x} and {y}, found none")
    across, up = across[kept], up[kept]
    drawn, (axes,) = panels((8, 5.5), 1, ax)
    groups = [str(each) for each in held[colour][kept]] if colour else []
    for place, group in enumerate(dict.fromkeys(groups) if groups else [""]):
        if place >= MOST_COLOURS:
            count = len(set(groups))
            raise InputError(
                f"pareto: {colour}: expected at most {MOST_COLOURS} groups, found {count}"
            )
        mine = np.array([each == group for each in groups]) if groups else np.ones(len(up), bool)
        axes.scatter(
            across[mine], up[mine], s=12, alpha=0.55, linewidths=0, color=PALETTE[place],
            label=group or "point",
        )  # fmt: skip
    best = unbeaten(across * (-1 if x in most else 1), up * (-1 if y in most else 1))
    order = np.argsort(across[best])
    line_x, line_y = across[best][order], up[best][order]
    later = "post" if y not in most else "pre"
    step = f"steps-{later if x not in most else ('pre' if later == 'post' else 'post')}"
    axes.plot(
        line_x, line_y, drawstyle=step, color="black", linewidth=1.2, marker="o", markersize=4,
        label=f"front, {len(line_x)} of {len(across):,}",
    )  # fmt: skip
    for axis, name, values in ((axes.xaxis, x, across), (axes.yaxis, y, up)):
        log = spread([float(values.min()), float(values.max())]) > WIDE and values.min() > 0
        better = "more" if name in most else "less"
        number_axis(axis, unit_of(name), label(name), log=log)
        axis.set_label_text(f"{axis.get_label_text()}, {better} is better")
    plain_axes(axes)
    axes.set_title(title, loc="left", size=11)
    heads = colour and label(colour)
    legend(
        drawn, axes, ax, loc="outside right upper", frameon=False, fontsize=8, title=heads
    )  # fmt: skip
    return saved(drawn, path, ax)


def unbeaten(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other beats, less being better in both; of equal ones, the first."""
    order = np.lexsort((second, first))
    lowest = np.minimum.accumulate(second[order])
    new = np.concatenate(([True], lowest[1:] < lowest[:-1]))
    result = np.zeros(len(first), dtype=bool)
    result[order[new]] = True
    return result
