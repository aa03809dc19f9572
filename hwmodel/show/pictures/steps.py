"""Steps of training side by side: where their seconds go, and how the rate grows with devices.

A bar a step, from below: what no schedule goes below (its bound), kernels above that, what is
computed again, exchanges that nothing hides, waits in the pipeline and for slower replicas, the
optimiser; shares of the step's seconds. The right panel has tokens a second over devices, and the
line on which the step on the fewest devices would scale.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.show.pictures.style import PALETTE, legend, number_axis, panels, plain_axes, saved
from hwmodel.systems.training.trained import Trained

BOUND = "bound"


def steps(
    found: Trained | Sequence[Trained], path: str | Path | None = None, *, ax: Any = None
) -> Any:
    """Draw where the seconds of steps go, and their rates over devices.

    Returns the figure; writes it to `path`. `ax` are two axes to draw into. Raises `InputError` for
    no step.
    """
    every = [found] if isinstance(found, Trained) else list(found)
    if not every:
        raise InputError("steps: expected a step of training or several, found none")
    bars = [{BOUND: step.bound_s, **step.reasons_s} for step in every]
    names = list(dict.fromkeys(name for bar in bars for name in bar))
    names.sort(key=lambda name: (name != BOUND, not name.startswith("kernels")))
    drawn, (left, right) = panels((11, 5), 2, ax)
    base, took_s = np.zeros(len(every)), np.array([float(step.step_time_s) for step in every])
    for place, name in enumerate(names):
        heights = np.array([max(0.0, float(bar.get(name, 0.0))) for bar in bars]) / took_s
        colour = PALETTE[place % len(PALETTE)]
        left.bar(range(len(every)), heights, 0.75, bottom=base, color=colour, label=name)
        base += heights
    left.set_xticks(range(len(every)), [f"{step.devices:,}" for step in every])
    left.set_xlabel("devices")
    number_axis(left.yaxis, None, "share of a step")
    left.set_title(every[0].name, loc="left", size=11)
    order = sorted(every, key=lambda step: step.devices)
    count = np.array([float(step.devices) for step in order])
    rates = np.array([float(step.tokens_per_s) for step in order])
    right.plot(count, rates, marker="o", color=PALETTE[0], label="predicted")
    right.plot(count, rates[0] * count / count[0], linestyle=":", color="grey", label="linear")
    number_axis(right.xaxis, None, "devices", log=True)
    number_axis(right.yaxis, None, "tokens a second", log=True)
    for axes in (left, right):
        plain_axes(axes)
    handles, labels = left.get_legend_handles_labels()
    legend(
        drawn, right, ax, handles=handles[::-1], labels=labels[::-1], loc="outside right upper",
        frameon=False, fontsize=8,
    )  # fmt: skip
    return saved(drawn, path, ax)
