"""A picture of a placement: which device holds which expert, and affinity before and after.

Above, experts of each layer coloured by device, consecutive and as placed. Below, transitions of
the pair of layers with the strongest affinity, with experts in order of number and in order of
device: what is kept gathers in the blocks on the diagonal. matplotlib is loaded when asked for.
"""

from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.experts.placement import Placement, contiguous, flows
from hwmodel.experts.statistics import Counts, Routing


def draw(routing: Routing, placed: Placement, path: str | Path) -> None:
    """Write the picture (format by the path's ending)."""
    import matplotlib
    from matplotlib import colors as colours_of
    from matplotlib import figure as figures

    table = np.array(placed.assignment)
    figure: Any = figures.Figure(figsize=(11, 8), layout="constrained")
    panels = 2 if routing.transitions else 1  # loads alone have no transitions to show
    axes: Any = figure.subplots(panels, 2, height_ratios=(1, 2)[:panels], squeeze=False)
    colours: Any = matplotlib.colormaps["turbo"].resampled(placed.devices)
    plain = contiguous(placed.layers, placed.experts, placed.devices)
    rows = ((np.array(plain.assignment), "consecutive experts"), (table, "placed"))
    shown: Any = None
    image: Any = None
    for axis, (devices, title) in zip(axes[0], rows, strict=True):
        shown = axis.imshow(
            devices, cmap=colours, vmin=-0.5, vmax=placed.devices - 0.5, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        axis.set(title=f"device of each expert: {title}", xlabel="expert", ylabel="layer")
        step = max(1, len(placed.layers) // 12)
        axis.set_yticks(range(0, len(placed.layers), step), placed.layers[::step])
    figure.colorbar(shown, ax=axes[0], label="device", ticks=_ticks(placed.devices))
    if not routing.transitions:
        figure.savefig(path, dpi=130)
        return
    pair = max(routing.transitions, key=lambda at: _concentration(routing.transitions[at]))
    affinity = routing.affinity(*pair)
    scale: Any = colours_of.PowerNorm(0.5, 0.0, float(affinity.max()))  # small shares show too
    for axis, each in zip(axes[1], (plain, placed), strict=True):
        order = [np.argsort(each.assignment[each.layers.index(x)], kind="stable") for x in pair]
        image = axis.imshow(affinity[order[0]][:, order[1]], cmap="magma", norm=scale)
        crossing = flows(routing, each)[pair]
        share = 1 - np.trace(crossing) / crossing.sum()
        axis.set(
            title=f"P(next expert | expert), {share:.1%} cross",
            xlabel=f"expert of layer {pair[1]}, by device",
            ylabel=f"expert of layer {pair[0]}, by device",
        )
        axis.set(xticks=[], yticks=[])
        held = each.held()
        for layer, rule in zip(pair, (axis.axhline, axis.axvline), strict=True):
            for line in np.cumsum(held[each.layers.index(layer)])[:-1] - 0.5:
                rule(line, color="white", linewidth=0.4, alpha=0.6)
    figure.colorbar(image, ax=axes[1], label="probability")
    figure.savefig(path, dpi=130)


def _concentration(counts: Counts) -> float:
    return float(counts.max(axis=1).sum() / max(counts.sum(), 1.0))


def _ticks(devices: int) -> list[int]:
    return list(range(0, devices, max(1, devices // 8)))
