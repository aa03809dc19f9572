"""Where time and energy go: one bar a resource, stacked by kernel.

The first bar of the left panel is the time, the sum over kernels; beside it stands for how long
each resource is needed. Resources work at the same time, so that their bars do not add up to the
first: one that reaches as high as it binds all the way. The right panel's bars are joules by
component, which do add up to the energy.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import show
from hwmodel.show.pictures.style import (
    PALETTE,
    draws,
    legend,
    number_axis,
    panels,
    plain_axes,
    saved,
    top,
)
from hwmodel.spine.estimate import BOTTLENECKS, Estimate, Part

KERNELS = 8
"""Kernels with a colour of their own; the rest share grey."""

BARS = 7
LEAST = 0.005
"""Share of the tallest bar below which a bar is left out."""

OTHERS = "all others"
OTHERS_COLOUR = "#C8C8C8"

Stacks = dict[str, dict[str, float]]
"""Bar -> kernel -> height."""


@draws("an estimate", "time_s", "parts")
def breakdown(estimate: Estimate, path: str | Path | None = None, *, ax: Any = None) -> Any:
    """Draw an estimate's time by kernel and resource, and its energy by kernel and component.

    Returns the figure; writes it to `path`. `ax` are two axes to draw into. Raises `InputError` for
    a sweep.
    """
    if np.ndim(estimate.time_s):
        raise InputError(f"breakdown: expected one point, found {np.size(estimate.time_s)}")
    devices = float(np.max(estimate.total_runs))
    seconds = {part.name: 0.0 for part in estimate.parts}
    for part in estimate.parts:
        seconds[part.name] += float(part.times * part.time_s)
    named = top(seconds, KERNELS)
    words = _busiest(estimate.busy_s)

    def busy(part: Part) -> dict[str, Any]:
        return {word: part.busy_s.get(name, 0.0) for word, name in words.items()}

    def spent(part: Part) -> Mapping[str, Any]:
        return part.energy_by_j

    time = _stacks(estimate.parts, "time", seconds, busy, 1.0)
    joules = {part.name: 0.0 for part in estimate.parts}
    for part in estimate.parts:
        joules[part.name] += devices * float(part.times * part.energy_j)
    energy = _stacks(estimate.parts, "energy", joules, spent, devices)
    drawn, (left, right) = panels((11, 5), 2, ax)
    _panel(left, time, named, "s", "time")
    _panel(right, energy, named, "j", "energy")
    left.set_title(f"{estimate.name} on {estimate.device}", loc="left", size=11)
    handles, labels = left.get_legend_handles_labels()
    legend(
        drawn, right, ax, handles=handles[::-1], labels=labels[::-1], loc="outside right upper",
        frameon=False, fontsize=8, title="kernel", alignment="left",
    )  # fmt: skip
    return saved(drawn, path, ax)


def _busiest(busy_s: Mapping[str, Any]) -> dict[str, str]:
    """Each word of answers, and the resource behind it that is needed longest."""
    found: dict[str, str] = {}
    for name in sorted(busy_s, key=lambda name: float(busy_s[name])):
        found[BOTTLENECKS.get(name, name)] = name
    return found


def _stacks(
    parts: tuple[Part, ...], whole: str, totals: dict[str, float], split: Any, devices: float
) -> Stacks:
    """The whole by kernel, then each resource by kernel, the tallest first."""
    bars: Stacks = {}
    for part in parts:
        for word, each in split(part).items():
            bar = bars.setdefault(word, {})
            bar[part.name] = bar.get(part.name, 0.0) + devices * float(part.times) * float(each)
    heights = {word: sum(bar.values()) for word, bar in bars.items()}
    tall = [w for w in top(heights, BARS) if heights[w] > LEAST * sum(totals.values())]
    return {whole: totals, **{word: bars[word] for word in tall}}


def _panel(axes: Any, stacks: Stacks, named: list[str], dimension: str, name: str) -> None:
    """Bars side by side, the named kernels first from below."""
    base = np.zeros(len(stacks))
    for place, kernel in enumerate([*named, OTHERS]):
        if kernel == OTHERS:
            rest = [{k: v for k, v in bar.items() if k not in named} for bar in stacks.values()]
            heights = np.array([sum(bar.values()) for bar in rest])
        else:
            heights = np.array([bar.get(kernel, 0.0) for bar in stacks.values()])
        if not heights.any():
            continue
        colour = OTHERS_COLOUR if kernel == OTHERS else PALETTE[place % len(PALETTE)]
        axes.bar(
            range(len(stacks)), heights, 0.75, bottom=base, color=colour, label=kernel,
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        base += heights
    for place, height in enumerate(base):
        axes.annotate(
            show(float(height), dimension).replace(" ", "\n"), (place, height), (0, 2), size=7,
            textcoords="offset points", ha="center", linespacing=1.1,
        )  # fmt: skip
    axes.set_xticks(range(len(stacks)), list(stacks), rotation=30, ha="right")
    axes.axvline(0.5, color="grey", linewidth=0.6, linestyle=":")
    number_axis(axes.yaxis, dimension, name)
    plain_axes(axes)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.13 * float(base.max()) or 1.0)
