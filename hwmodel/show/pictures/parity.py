"""Parity: predicted against measured times, and their ratio, a colour for each family."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import PALETTE, legend, number_axis, panels, plain_axes, saved

MARKERS = "osD^vPX*"
BAND = 0.12
"""Band drawn around a perfect prediction: the target for the 90th percentile of the error."""

WORST = 0.6
"""Ends of the lower panel; points beyond stand at its edge."""


def parity(
    families: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: str | Path | None = None,
    *,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw measured and predicted seconds of each family: parity above, ratio below.

    `ax` are two axes to draw into. Returns the figure; writes it to `path`. Raises `InputError` for
    families without times.
    """
    shape: dict[str, Any] = {"height_ratios": (3, 2), "sharex": True}
    drawn, (upper, lower) = panels((11.5, 8), 2, ax, down=True, **shape)
    ends: list[float] = []
    for index, (family, (measured_s, predicted_s)) in enumerate(families.items()):
        measured, predicted = np.asarray(measured_s, float), np.asarray(predicted_s, float)
        if measured.shape != predicted.shape or not measured.size or measured.min() <= 0:
            raise InputError(
                f"parity: {family}: expected as many positive times measured as predicted, found"
                f" {measured.size} and {predicted.size}"
            )
        error = predicted / measured - 1
        look = {
            "color": PALETTE[index % len(PALETTE)],
            "marker": MARKERS[(index // len(PALETTE) + index) % len(MARKERS)],
            "s": 14,
            "alpha": 0.6,
            "linewidths": 0,
        }
        words = f"{family}: {len(measured)} rows, mean error {np.abs(error).mean():.1%}"
        upper.scatter(measured, predicted, label=words, **look)
        lower.scatter(measured, 100 * np.clip(error, -WORST, WORST), **look)
        ends += [float(measured.min()), float(measured.max())]
    if not ends:
        raise InputError("parity: expected one family of measured times or more, found none")
    line = np.array([min(ends) / 1.5, max(ends) * 1.5])
    upper.plot(line, line, color="black", linewidth=0.8)
    upper.fill_between(line, line * (1 - BAND), line * (1 + BAND), color="black", alpha=0.08)
    lower.axhspan(-100 * BAND, 100 * BAND, color="black", alpha=0.08)
    lower.axhline(0, color="black", linewidth=0.8)
    upper.set_title(title, loc="left", size=11)
    number_axis(upper.yaxis, "s", "predicted time", log=True)
    number_axis(lower.xaxis, "s", "measured time", log=True)
    lower.set(ylabel="predicted / measured - 1 [%]", ylim=(-100 * WORST, 100 * WORST))
    legend(drawn, upper, ax, loc="outside right upper", fontsize=8, frameon=False)
    for axes in (upper, lower):
        plain_axes(axes)
    return saved(drawn, path, ax)
