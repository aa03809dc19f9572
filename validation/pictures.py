"""Pictures of the error report: parity (predicted against measured) and residuals by size of time.

Colours are from the palette of Okabe and Ito (2008), which colour-blind readers tell apart; axes
carry units. matplotlib is loaded when a picture is asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from hwmodel.validation.report import Judged

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
MARKERS = "osD^vPX*"
LIMIT = 0.12
"""Band drawn around a perfect prediction: the target for the 90th percentile."""


def draw(judged: Mapping[str, Sequence[Judged]], path: Path, title: str) -> None:
    """Write one picture: parity above, predicted/measured - 1 below, a colour for each family."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 2), sharex=True)
    ends: list[float] = []
    for index, (family, rows) in enumerate(judged.items()):
        measured = np.array([j.row.time_s for j in rows]) * 1e6
        predicted = np.array([j.time_s for j in rows]) * 1e6
        mean = float(np.mean(np.abs(predicted / measured - 1)))
        look = {
            "color": PALETTE[index % len(PALETTE)],
            "marker": MARKERS[(index // len(PALETTE) + index) % len(MARKERS)],
            "s": 14,
            "alpha": 0.6,
            "linewidths": 0,
        }
        label = f"{family}: {len(rows)} rows, mean error {mean:.1%}"
        upper.scatter(measured, predicted, label=label, **look)
        lower.scatter(measured, predicted / measured - 1, **look)
        ends += [float(measured.min()), float(measured.max())]
    line = np.array([min(ends) / 1.5, max(ends) * 1.5])
    upper.plot(line, line, color="black", linewidth=0.8)
    upper.fill_between(line, line * (1 - LIMIT), line * (1 + LIMIT), color="black", alpha=0.08)
    lower.axhspan(-LIMIT, LIMIT, color="black", alpha=0.08)
    lower.axhline(0, color="black", linewidth=0.8)
    upper.set(xscale="log", yscale="log", ylabel="predicted time [us]", title=title)
    lower.set(xlabel="measured time [us]", ylabel="predicted / measured - 1", ylim=(-0.6, 0.6))
    upper.legend(loc="upper left", fontsize=8, frameon=False)
    for axes in (upper, lower):
        axes.grid(visible=True, linewidth=0.3, alpha=0.6)
    cast(Any, figure).savefig(path, dpi=130)
