"""A drawing of a spatial machine, and of where an estimate's time and energy go on it.

Left, the machine: memories and arrays from DRAM inwards, with their sizes. Right, the seconds that
each resource is needed, against the whole, and the joules of each component. matplotlib is loaded
when a picture is drawn.
"""

from pathlib import Path
from typing import Any

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.units import show
from hwmodel.show.pictures.style import figure, saved
from hwmodel.show.text import first
from hwmodel.spine.estimate import Estimate

COLOURS = {
    "dram": "#8c6bb1",
    "buffer": "#4292c6",
    "matrix": "#41ab5d",
    "vector": "#d95f0e",
    "register": "#74c476",
    "lane": "#fdae6b",
}
"""One colour for a memory or an array in all three drawings."""
ARRAYS = frozenset({"matrix", "vector"})
"""The arrays of a machine that can be drawn."""
LEAST = 0.001
"""Share of the energy below which a component is drawn with the others."""


def draw(estimate: Estimate, hardware: Hardware, path: str | Path) -> None:
    """Write the picture (format by the path's ending); of the first point, where there are many."""
    drawn = figure(12, 5.5)
    machine, time, energy = drawn.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _machine(machine, hardware)
    busy = {name: float(first(seconds)) for name, seconds in estimate.busy_s.items()}
    total_s = float(first(estimate.time_s))
    on_chip = {n: s for n, s in busy.items() if n not in ("register", "lane")}
    _bars(time, on_chip, total_s, "s", f"time: {show(total_s, 's')}")
    joules = {name: float(first(each)) for name, each in estimate.energy_by_j.items()}
    total_j = float(first(estimate.energy_j))
    _bars(energy, _main(joules, total_j), total_j, "j", f"energy: {show(total_j, 'j')}")
    drawn.suptitle(f"{estimate.name} on {hardware.title}")
    saved(drawn, path)


def _main(joules: dict[str, float], total_j: float) -> dict[str, float]:
    """Components worth a bar; the small ones together."""
    kept = {name: each for name, each in joules.items() if each >= LEAST * total_j}
    rest = sum(joules.values()) - sum(kept.values())
    return {**kept, "others": rest} if rest > 0 else kept


def _bars(axis: Any, values: dict[str, float], whole: float, unit: str, title: str) -> None:
    """Horizontal bars, the longest on top, each with its share of the whole."""
    order = sorted(values, key=lambda name: values[name])
    shares = [values[name] / whole if whole else 0.0 for name in order]
    axis.barh(order, shares, color=[COLOURS.get(name, "#969696") for name in order])
    for place, (name, share) in enumerate(zip(order, shares, strict=True)):
        words = f" {share:.1%}  {show(values[name], unit)}"
        inside = share > 0.55
        axis.text(
            share, place, words + " " * inside, va="center", ha="right" if inside else "left",
            color="white" if inside else "black", fontsize=9,
        )  # fmt: skip
    axis.set(title=title, xlim=(0, max(1.0, *shares) if shares else 1), xticks=[])
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


def _machine(axis: Any, hardware: Hardware) -> None:
    """DRAM, buffer and the arrays below it, as boxes joined by lines with their bandwidths."""
    axis.set(xlim=(0, 10), ylim=(0, 10), title="machine")
    axis.axis("off")
    dram, buffer = hardware.memory("dram"), hardware.memory("buffer")
    words = f"DRAM {dram.technology}".strip()
    _box(axis, (2, 8.4, 6, 1.2), words, COLOURS["dram"])
    rate = show(float(first(dram.bandwidth_bytes_per_s)), "bytes_per_s")
    _line(axis, (5, 8.4), (5, 7.2), rate)
    size = f"{float(first(buffer.capacity_bytes)) / 2**20:g} MiB"
    _box(axis, (1, 6.0, 8, 1.2), f"buffer, {size}", COLOURS["buffer"])
    rate = show(float(first(buffer.bandwidth_bytes_per_s)), "bytes_per_s")
    _line(axis, (3, 6.0), (3, 4.8), rate)
    _line(axis, (8.2, 6.0), (8.2, 4.8), "")
    for name, box in (("matrix", (0.4, 0.8, 5.4, 4.0)), ("vector", (6.6, 0.8, 3.2, 4.0))):
        array = hardware.arrays[name]
        rows, columns = int(first(array.rows)), int(first(array.columns))
        made = [f"{function} ({n:g} mac)" for function, n in array.macs.items()]
        own = next(m for m in hardware.memories.values() if m.array == name)
        lines = [
            f"{rows} x {columns}" if columns > 1 else f"{rows} lanes",
            *array.cycles,
            *made,
            f"{int(first(own.capacity_bytes))} B registers",
        ]
        title = f"{'2D' if name == 'matrix' else '1D'} array ({name})"
        _box(axis, box, "\n".join([title, *lines]), COLOURS[name])
    axis.text(5, 0.2, f"{show(float(first(hardware.clock_hz)), 'hz')}", ha="center", fontsize=9)


def _box(axis: Any, box: tuple[float, float, float, float], words: str, colour: str) -> None:
    from matplotlib import patches

    x, y, width, height = box
    axis.add_patch(patches.Rectangle((x, y), width, height, color=colour, alpha=0.85))
    axis.text(
        x + width / 2, y + height / 2, words, ha="center", va="center", fontsize=8.5, color="white"
    )


def _line(axis: Any, start: tuple[float, float], end: tuple[float, float], words: str) -> None:
    axis.plot((start[0], end[0]), (start[1], end[1]), color="black", linewidth=1)
    axis.text(start[0] + 0.2, (start[1] + end[1]) / 2, words, va="center", fontsize=9)
