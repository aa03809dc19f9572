"""Picture: live SRAM of every layer of a network, layer by layer and patch by patch, in KiB.

Layers run from left to right. Grey steps are whole maps; orange is the stage that runs tile by tile
(its tile, and below it in a lighter shade the whole output map beside it), blue the layers after
it. The dashed line is the machine's SRAM.
"""

from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads.patches import Patched, patched
from hwmodel.machines.mcu.arena import arena

KIB = 1024


def draw(schedule: Patched, path: str | Path, *, sram_bytes: float, in_place: bool = True) -> None:
    """Draw a schedule beside layer by layer into a file (.png, .svg or .pdf)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plot: Any = pyplot
    figure, axes = plot.subplots(figsize=(9.0, 4.2), layout="constrained")
    whole = [held.bytes / KIB for held in arena(patched(schedule.network), in_place=in_place)]
    held = arena(schedule, in_place=in_place)
    places = range(len(whole))
    axes.bar(places, whole, width=1.0, color="#d9d9d9", label="layer by layer")
    fused = [i for i in places if held[i].fused]
    rest = [i for i in places if not held[i].fused]
    if fused:
        beside = [held[i].beside / KIB for i in fused]
        tiles = [held[i].own / KIB for i in fused]
        words = f"a tile of {schedule.grid} x {schedule.grid}"
        axes.bar(fused, beside, color="#fdd0a2", label="the stage's output, whole")
        axes.bar(fused, tiles, bottom=beside, color="#e6550d", label=words)
    axes.bar(rest, [held[i].bytes / KIB for i in rest], color="#3182bd", label="on whole maps")
    limit = sram_bytes / KIB
    axes.axhline(limit, color="black", linestyle="--", linewidth=1)
    axes.text(len(whole) - 0.6, limit, f"SRAM {limit:,.0f} KiB", ha="right", va="bottom")
    most = max(each.bytes for each in held) / KIB
    axes.set_title(
        f"{schedule.network.name}: {max(whole):,.1f} KiB layer by layer, {most:,.1f} KiB as drawn"
        + (f" ({schedule.overhead:.1%} more MACs)" if fused else ""),
        loc="left",
    )
    names: dict[int, int] = {}
    for place, layer in enumerate(schedule.network.layers):
        names.setdefault(layer.block, place)
    axes.set_xticks(list(names.values()), [str(block) for block in names], fontsize=8)
    axes.set_xlabel("layers in order; numbers mark blocks")
    axes.set_ylabel("live SRAM, KiB")
    axes.set_xlim(-0.6, len(whole) - 0.4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plot.close(figure)
