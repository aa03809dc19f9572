"""A picture of a split: where the time goes at each cut, and which cut is best at which link rate.

Left, seconds of device, link and server at one rate; right, the latency of the device alone, of
sending the image and of the best cut over link rates, with the crossovers marked. matplotlib is
loaded when asked for.
"""

from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.quantity.units import show
from hwmodel.systems.split import Splits

COLOURS = {"device": "#0072B2", "link": "#E69F00", "server": "#009E73"}
"""Okabe and Ito (2008)."""


def draw(found: Splits, rate: int, title: str, path: Path) -> None:
    """Write one picture of splits at many link rates; the left panel at that of position `rate`."""
    from matplotlib import figure as figures

    figure: Any = figures.Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _bars(left, found, rate)
    _lines(right, found)
    figure.suptitle(title)
    figure.savefig(path, dpi=130)


def _bars(axes: Any, found: Splits, rate: int) -> None:
    parts = {"device": found.head_s, "link": found.link_s, "server": found.tail_s}
    places = np.arange(len(found.cuts))
    below = np.zeros(len(found.cuts))
    for name, seconds in parts.items():
        height = seconds[:, rate] * 1e3
        axes.bar(places, height, 1.0, bottom=below, color=COLOURS[name], label=name)
        below = below + height
    best = int(found.fastest[rate])
    axes.annotate(
        f"best: {found.cuts[best].name}\n{show(float(below[best]) / 1e3, 's')}",
        (best, below[best]),
        (0.35, 0.9),
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "->"},
        ha="center",
    )
    axes.set_title(f"at {show(float(found.rate_bytes_per_s[rate]), 'bytes_per_s')}")
    axes.set_xlabel("layers on the device")
    axes.set_ylabel("latency [ms]")
    axes.set_ylim(0, 1.25 * float(np.median(below)) if np.median(below) * 4 < below.max() else None)
    axes.legend(frameon=False, loc="upper right")


def _lines(axes: Any, found: Splits) -> None:
    rates, fixed = found.rate_bytes_per_s, found.fixed_s
    time_s = found.time_s
    alone = min(range(len(found.cuts)), key=lambda i: found.cuts[i].bytes)
    axes.plot(rates, time_s[alone] * 1e3, "--", color=COLOURS["device"], label="device alone")
    axes.plot(rates, time_s[0] * 1e3, ":", color=COLOURS["server"], label="image sent")
    axes.plot(
        rates, np.min(time_s, axis=0) * 1e3, color="black", lw=2.5, alpha=0.5, label="best cut"
    )
    low = rates.min()
    for end, cut in found.crossovers():
        high = min(end, rates.max())
        if high > low:
            middle = float(np.sqrt(low * high))
            at = (middle, float(fixed[found.cuts.index(cut)] + cut.bytes / middle) * 1e3)
            axes.annotate(cut.name, at, (24, 8), textcoords="offset points", ha="center")
        if rates.min() < end < rates.max():
            axes.axvline(end, color="grey", lw=0.8)
            text = show(end, "bytes_per_s")
            axes.text(end, 0.02, text, rotation=90, transform=axes.get_xaxis_transform(), size=8)
        low = max(low, end)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title("best cut by link rate")
    axes.set_xlabel("link rate [B/s]")
    axes.set_ylabel("latency [ms]")
    axes.set_ylim(0.5 * float(np.min(time_s)) * 1e3, 4 * float(np.max(time_s[alone])) * 1e3)
    axes.legend(frameon=False)
