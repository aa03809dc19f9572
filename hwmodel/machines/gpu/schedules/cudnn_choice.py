"""Which kernel cuDNN's heuristic takes for a convolution on a Hopper GPU, as far as sizes tell.

The heuristic (`CUDNN_HEUR_MODE_INSTANT`, torch's default) is a function of sizes and of the
device's properties, which the library evaluates without a GPU: it was asked for 344,000
convolutions of one group in 16 bits, 82,000 in 32 and 424,000 of groups and transposed ones, near
traced ones, and names the tile of all 19,724 traced kernels that state theirs. A decision tree
for each (CART, Breiman et al. 1984; of entropy) over sizes and what divides them says how likely
each kernel of the menu is. The likeliest is the library's in 83 of 100 convolutions of measured
shapes that it did not see, in 96 of groups, in 88 of transposed ones (in 32 bits 76, 98 and 92);
three times as many answers brought five more of 100.
cuDNN's own rule is not published. It is data of one version of the library (`cudnn_choice.csv`;
9.19, an H200), no law; a number format without a tree takes the one of as many bytes as are
nearest.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.decision_tree import LEAF, Nodes

Array = NDArray[np.float64]

FILE = Path(__file__).with_suffix(".csv")
"""Nodes, each with what lies below its limit right after it: bytes of an element and the form of
a convolution; what is seen (place in `seen`), its limit, and the node of what lies above; of a leaf
kernels, as places in the menu, with their shares."""
FORMS = ("one", "groups", "phases")


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes, and `shares` of the menu's kernels, of leaves."""

    nodes: Nodes
    shares: Array

    def at(self, found: Array) -> Array:
        """Shares of the kernels where what is `seen` leads."""
        return self.shares[self.nodes.leaf(found)]


@cache
def rows() -> dict[tuple[int, str], list[dict[str, str]]]:
    """Lines of the file by bytes of an element and form."""
    found: dict[tuple[int, str], list[dict[str, str]]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((int(row["element"]), row["form"]), []).append(row)
    return found


@cache
def tree(element: int, form: str, kernels: int) -> Tree:
    """The tree for formats of so many bytes, whose menu has so many kernels."""
    nodes = rows()[element, form]
    shares = np.zeros((len(nodes), kernels))
    for at, row in enumerate(nodes):
        for kernel, share in (each.split(":") for each in row["chances"].split()):
            shares[at, int(kernel)] = float(share)
    seen_, above = (
        np.array([int(row[name] or LEAF) for row in nodes]) for name in ("seen", "above")
    )
    limit = np.array([float(row["limit"] or 0) for row in nodes])
    return Tree(Nodes(seen_, limit, above), shares)


def seen(problem: ConvolutionProblem) -> Array:
    """What a tree asks of a convolution, the last axis one number each.

    Its sizes and their products, what is left of tiles and slices, blocks of three tiles, which
    directions, layout and format; places, taps and side along the innermost direction and the
    others; groups, phases and the share of taps that phases have.
    """
    rows, filters, channels, taps, outputs, phases = (
        np.asarray(size, np.float64)
        for size in (
            *(problem.M, problem.filters, problem.channels),
            *(problem.taps, problem.outputs, problem.phases),
        )
    )
    filters = filters / phases
    last_outputs, last_taps, last_side = (
        np.asarray(size, np.float64)
        for size in (problem.last_outputs, problem.last_taps, problem.last_side)
    )
    depth = channels * taps
    whole = np.asarray(problem.whole_elements, np.float64) / problem.groups
    area = whole / (problem.batch * channels)
    found: list[Any] = [
        *(rows, filters, channels, taps, problem.batch, outputs),
        *(depth, whole, rows * filters, filters * depth),
        *(filters % size for size in (64, 128, 32, 96, 192, 256, 8)),
        *(channels % size for size in (64, 32, 8)),
        *(np.ceil(rows / m) * np.ceil(filters / n) for m, n in ((64, 64), (128, 128), (256, 128))),
        *(problem.directions, problem.channels_last, problem.dtype_a == "bf16"),
        *(last_outputs, outputs / last_outputs, last_taps, taps / last_taps),
        *(last_side, area / last_side, outputs / area, last_side / last_outputs),
        *(problem.groups, phases, problem.share),
    ]
    return np.stack(np.broadcast_arrays(*(np.asarray(each, float) for each in found)), -1)


def chances(problem: ConvolutionProblem, element: int, kernels: int) -> Array:
    """How likely each of the menu's kernels is to be taken."""
    found = seen(problem)
    one, groups, phases = (tree(element, form, kernels).at(found) for form in FORMS)
    several, transposed = (np.asarray(n)[..., None] > 1 for n in (problem.groups, problem.phases))
    return np.where(transposed, phases, np.where(several, groups, one))
