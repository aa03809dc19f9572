"""A picture of a topology: its links drawn as wide and as dark as they are loaded.

Devices stand lowest, network cards and switches above them by how far they are from a device, or
inside of them where switches of a layer are linked with each other. matplotlib and networkx are
loaded when asked for.
"""

from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.network.routes import Routes, busiest, load_bytes, routes
from hwmodel.network.topology import Topology
from hwmodel.quantity.units import show

LOOKS = {"device": ("#0072B2", "o"), "switch": ("#009E73", "s"), "nic": ("#E69F00", "^")}
"""Colour (Okabe and Ito 2008) and marker of each kind of node."""

LETTERS: dict[str, Any] = {
    "textcoords": "offset points",
    "ha": "center",
    "size": 7,
    "bbox": {"facecolor": "white", "alpha": 0.8, "pad": 0.6, "linewidth": 0},
}
"""How names are written, so that they are read on top of a wide link."""

LABELLED = 40
"""Nodes up to which each one bears its name."""


def draw(topology: Topology, path: Path, matrix: Any = None) -> None:
    """Write one picture; `matrix` is bytes `[from, to]`, by default one byte between any two.

    A link's colour is the time that its fuller direction takes, as a part of the slowest link's.
    """
    from matplotlib import colors as colours
    from matplotlib import figure as figures
    from matplotlib.cm import ScalarMappable

    known = routes(topology)
    count = len(known.devices)
    sent = np.ones((count, count)) - np.eye(count) if matrix is None else matrix
    seconds = load_bytes(sent, known) / known.bandwidth_bytes_per_s
    places = _places(topology)
    figure: Any = figures.Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots()
    scale: Any = colours.Normalize(0, float(seconds.max()) or 1.0)
    shade = ScalarMappable(norm=scale, cmap="viridis_r")
    for link in topology.links:
        ends = [places[name] for name in link.between]
        used = max(seconds[i] for i in _resources(known, link.between))
        width = 0.6 + (0.8 if topology.sides else 3.4) * scale(used)
        way = _bent(*ends) if topology.sides else zip(*ends, strict=True)
        axes.plot(*way, color=shade.to_rgba(used), linewidth=width, zorder=1)
    for kind, (colour, marker) in LOOKS.items():
        mine = [node.name for node in topology.nodes if node.kind == kind]
        if mine:
            x, y = zip(*(places[name] for name in mine), strict=True)
            label = f"{kind} ({len(mine)})"
            axes.scatter(x, y, s=70, color=colour, marker=marker, label=label, zorder=2)
    if len(topology.nodes) <= LABELLED:
        for name, (x, y) in places.items():
            axes.annotate(name, (x, y), (0, -14), **LETTERS)
    name, longest_s = busiest(sent, known)
    words = topology.title or topology.name
    sends = ", a byte from each to each" if matrix is None else ""
    fullest = f"fullest link{sends}: {name}, {show(longest_s, 's')}"
    axes.set_title(f"{words}\n{fullest}", fontsize=11)
    figure.colorbar(shade, ax=axes, label="time of the link's bytes [s]", shrink=0.7)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    axes.margins(0.06)
    axes.set_axis_off()
    figure.savefig(path, dpi=130)


def _resources(known: Routes, between: tuple[str, str]) -> list[int]:
    start, end = between
    names = {f"{start} > {end}", f"{end} > {start}", f"{start} - {end}"}
    return [i for i, link in enumerate(known.links) if link in names]


def _places(topology: Topology) -> dict[str, tuple[float, float]]:
    """Layers above the devices, each in the order of what it stands on.

    Circles where a layer has links of its own; by distance where there are only devices; planes of
    a torus beside each other.
    """
    import networkx

    if topology.sides:
        return _planes(topology)
    graph = networkx.Graph(topology.graph())
    if len(topology.devices) == len(topology.nodes):
        spread: Any = networkx.kamada_kawai_layout(graph)
        return {name: (float(x), float(y)) for name, (x, y) in spread.items()}
    far: Any = networkx.multi_source_dijkstra_path_length(graph, set(topology.devices))
    height: dict[str, int] = {name: int(steps) for name, steps in far.items()}
    layers: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for node in topology.nodes:
        layers[height[node.name]].append(node.name)
    if any(height[start] == height[end] for start, end in graph.edges):
        spread = networkx.shell_layout(graph, layers[::-1], rotate=0)
        return {name: (float(x), float(y)) for name, (x, y) in spread.items()}
    places: dict[str, tuple[float, float]] = {}
    for level, names in enumerate(layers):
        below = {
            name: np.mean([places[n][0] for n in graph[name] if n in places] or [0.5])
            for name in names
        }
        ordered = sorted(names, key=lambda n: float(below[n])) if level else names
        for i, name in enumerate(ordered):
            places[name] = ((i + 0.5) / len(ordered), float(level))
    return places


def _planes(topology: Topology) -> dict[str, tuple[float, float]]:
    """Devices of a torus: the last two sides as planes, those of the others side by side."""
    *_, rows, columns = (1, *topology.sides)
    number = np.arange(len(topology.devices))
    plane, row, column = number // (rows * columns), number // columns % rows, number % columns
    x, y = plane * (columns + 0.8) + column + 0.2 * row, row + 0.25 * column
    return dict(zip(topology.devices, zip(x.tolist(), y.tolist(), strict=True), strict=True))


def _bent(start: tuple[float, float], end: tuple[float, float]) -> tuple[Any, Any]:
    """A way between two nodes that bends aside, the more the longer it is: none hides another."""
    along = np.linspace(0, 1, 24)
    across_x, across_y = end[0] - start[0], end[1] - start[1]
    far = np.hypot(across_x, across_y)
    aside = 0.18 * max(far - 1.1, 0.0) / far * 4 * along * (1 - along)
    x = start[0] + along * across_x - aside * across_y
    return x, start[1] + along * across_y + aside * across_x
