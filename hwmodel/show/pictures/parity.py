"""Parity: predicted over measured times of each family, in a panel of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import PALETTE, number_axis, panels, plain_axes, saved, shaped

ACROSS = 5
"""Panels side by side."""
PANEL = (2.5, 1.9)
"""Inches of one."""
TICKS = 4
"""Times that are written at an axis, at most."""

WORST = 0.6
"""Ends of a panel; points beyond stand at its edge."""


def parity(
    families: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: str | Path | None = None,
    *,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw measured and predicted seconds of each family, and the band that holds 90 % of its rows.

    The band is that of the 90th percentile of |predicted / measured - 1|. `ax` are axes to draw
    into, one a family. Returns the figure; writes it to `path`. Raises `InputError` for families
    without times.
    """
    if not families:
        raise InputError("parity: expected one family of measured times or more, found none")
    held = {family: _checked(family, *times) for family, times in families.items()}
    wide, high = shaped(len(held), ACROSS)
    size = (PANEL[0] * wide + 0.4, PANEL[1] * high + 0.5)
    drawn, each = panels(size, len(held), ax, wide=wide, sharey=True)
    for place, (axes, (family, (measured, error))) in enumerate(
        zip(each, held.items(), strict=True)
    ):
        _panel(axes, family, measured, error)
        if ax is not None or place % wide == 0:
            axes.set_ylabel("predicted / measured - 1 [%]", size=7)
        below = ax is not None or place + wide >= len(held)
        axes.set_xlabel("measured time [s]" if below else "", size=7)
    if ax is None:
        drawn.suptitle(title, size=11, x=0.01, ha="left")
    return saved(drawn, path, ax)


def _checked(
    family: str, measured_s: Sequence[float], predicted_s: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measured seconds, and relative errors of the predicted ones."""
    measured, predicted = np.asarray(measured_s, float), np.asarray(predicted_s, float)
    if measured.shape != predicted.shape or not measured.size or measured.min() <= 0:
        raise InputError(
            f"parity: {family}: expected as many positive times measured as predicted, found"
            f" {measured.size} and {predicted.size}"
        )
    return measured, predicted / measured - 1


def _panel(
    axes: Any, family: str, measured: NDArray[np.float64], error: NDArray[np.float64]
) -> None:
    from matplotlib import ticker

    band = float(np.quantile(np.abs(error), 0.9))
    axes.axhspan(-100 * band, 100 * band, color=PALETTE[1], alpha=0.3, linewidth=0)
    axes.axhline(0, color="black", linewidth=0.8)
    shown = 100 * np.clip(error, -WORST, WORST)
    axes.scatter(measured, shown, s=5, color=PALETTE[0], alpha=0.5, linewidths=0, rasterized=True)
    ends = (float(measured.min()) / 1.5, float(measured.max()) * 1.5)
    axes.set(xlim=ends, ylim=(-100 * WORST, 100 * WORST))
    number_axis(axes.xaxis, "s", "measured time", log=True)
    axes.xaxis.set_major_locator(ticker.LogLocator(numticks=TICKS))
    axes.tick_params(labelsize=7)
    mean = float(np.abs(error).mean())
    rows = f"{len(measured):,} row{'s' * (len(measured) > 1)}"
    axes.set_title(
        f"{family}\n{rows}, mean {mean:.1%}, p90 {band:.1%}", loc="left", size=7.5, linespacing=1.2
    )
    plain_axes(axes)
