"""Picture: what SRAM holds while a network runs, layer by layer and patch by patch, in KiB.

Layers run from left to right. Where a library plans its arena, every buffer is a block from the
layer that fills it to the last that reads it, at its place; a copy begins half a layer before, and
what kernels keep lies on top. Else bars are the bytes that are live: grey steps are whole maps;
orange is the stage that runs tile by tile (its tile, and below it in a lighter shade the whole
output map beside it), blue the layers after it. The dashed line is the machine's SRAM.
"""

from pathlib import Path
from typing import Any

from hwmodel.einsum.workloads.patches import Patched, patched
from hwmodel.machines.mcu.arena import arena
from hwmodel.machines.mcu.libraries import Runtime, library
from hwmodel.machines.mcu.planner import kept_bytes, plan, size

KIB = 1024
FAR = 5
"""Multiple of what is drawn from which on a machine's SRAM is left out of the picture."""


def draw(
    schedule: Patched, path: str | Path, *, sram_bytes: float, used: Runtime | None = None
) -> None:
    """Draw a schedule under a library (default TinyEngine) into a file (.png, .svg or .pdf)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plot: Any = pyplot
    figure, axes = plot.subplots(figsize=(9.0, 4.2), layout="constrained")
    runtime = used or library(None)
    highest = (_blocks if runtime.planned else _bars)(axes, schedule, runtime)
    count, limit = len(schedule.network.layers), sram_bytes / KIB
    if limit < FAR * highest:
        axes.axhline(limit, color="black", linestyle="--", linewidth=1)
        axes.text(count - 0.6, limit, f"SRAM {limit:,.0f} KiB", ha="right", va="bottom")
    names: dict[int, int] = {}
    for place, layer in enumerate(schedule.network.layers):
        names.setdefault(layer.block, place)
    if len(names) > 1:
        axes.set_xticks(list(names.values()), [str(block) for block in names], fontsize=8)
    axes.set_xlabel("layers in order" + ("; numbers mark blocks" if len(names) > 1 else ""))
    axes.set_xlim(-0.6, count - 0.4)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plot.close(figure)


def _blocks(axes: Any, schedule: Patched, used: Runtime) -> float:
    """Every buffer of a planned arena: steps across, bytes up; returns the highest, in KiB."""
    placed = plan(schedule)
    colours = ("#6baed6", "#3182bd", "#9ecae1", "#08519c")
    for at, each in enumerate(placed):
        held, low = each.buffer, each.offset / KIB
        axes.broken_barh(
            [(held.first / 2 - 0.5, (held.last - held.first + 1) / 2)],
            (low, held.bytes / KIB),
            facecolors=colours[at % len(colours)],
            edgecolor="white",
            linewidth=0.5,
        )
    how = f"{schedule.grid} x {schedule.grid} patches" if schedule.tiles else "layer by layer"
    most, kept = size(placed), kept_bytes(schedule)
    highest = (most + kept) / KIB
    ends = (-0.5, len(schedule.network.layers))
    axes.broken_barh([ends], (most / KIB, kept / KIB), facecolors="#bdbdbd", edgecolor="white")
    axes.text(0, (most + kept / 2) / KIB, "multipliers of channels", va="center", fontsize=8)
    axes.set_title(
        f"{schedule.network.name}, {how}: {highest:,.1f} KiB of arena by {used.name}", loc="left"
    )
    axes.set_ylabel("place in the arena, KiB")
    return highest


def _bars(axes: Any, schedule: Patched, used: Runtime) -> float:
    """Live bytes of every layer, beside those layer by layer; returns the most, in KiB."""
    in_place = used.in_place
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
    most = max(each.bytes for each in held) / KIB
    axes.set_title(
        f"{schedule.network.name}: {max(whole):,.1f} KiB layer by layer, {most:,.1f} KiB as drawn"
        + (f" ({schedule.overhead:.1%} more MACs)" if fused else ""),
        loc="left",
    )
    axes.set_ylabel("live SRAM, KiB")
    axes.legend(frameon=False)
    return max(most, *whole)
