"""A picture of what limits attention: clocks of each unit per 128 x 128 scores, by head dimension.

One panel for a head dimension, one group of bars for a machine, one bar for a unit; the unit that
limits is drawn full, the others pale, and above each group stands the rate that the whole kernel is
predicted to reach. matplotlib is loaded when asked for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwmodel.machines.gpu.attention_units import Units

COLOURS = {
    "matrix": "#1b6ca8",
    "exp": "#d1495b",
    "vector": "#edae49",
    "shared": "#3d8361",
    "tensor": "#7d5ba6",
}
WIDTH = 0.8
PALE = 0.35


def draw(found: Sequence[Units], path: str | Path) -> None:
    """Write the picture (format by the path's ending)."""
    from matplotlib import figure as figures

    head_dims = sorted({each.head_dim for each in found})
    figure: Any = figures.Figure(figsize=(4 * len(head_dims) + 1, 4), layout="constrained")
    axes: Any = figure.subplots(1, len(head_dims), squeeze=False)[0]
    for axis, head_dim in zip(axes, head_dims, strict=True):
        _panel(axis, [each for each in found if each.head_dim == head_dim])
        axis.set_title(f"head dimension {head_dim}")
    axes[0].set_ylabel("clocks per 128 × 128 scores")
    handles: list[Any] = []
    from matplotlib import patches

    for name, colour in COLOURS.items():
        handles.append(patches.Patch(color=colour, label=name))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(COLOURS), frameon=False)
    figure.suptitle("FlashAttention-4, forward: busy clocks of each unit (full colour: limits)")
    figure.savefig(path, dpi=130)


def _panel(axis: Any, machines: Sequence[Units]) -> None:
    """Groups of bars, a machine each."""
    each_width = WIDTH / len(COLOURS)
    tallest = max(max(machine.clocks.values()) for machine in machines)
    for position, machine in enumerate(machines):
        for place, (name, colour) in enumerate(COLOURS.items()):
            if name not in machine.clocks:
                continue
            left = position - WIDTH / 2 + place * each_width
            limits = name in machine.limits
            axis.bar(
                left, machine.clocks[name], each_width, align="edge", color=colour,
                alpha=1.0 if limits else PALE,
            )  # fmt: skip
        rate = machine.rates_flop_per_s["as it is"] / 1e15
        top = max(machine.clocks.values()) + 0.02 * tallest
        axis.text(position, top, f"{rate:.2f} PFLOP/s", ha="center", va="bottom", fontsize=8)
    axis.set_xticks(range(len(machines)), [machine.machine for machine in machines])
    axis.set_ylim(0, 1.1 * tallest)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
