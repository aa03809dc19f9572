"""Which kernel cuDNN's heuristic takes for a convolution on a Hopper GPU, as far as sizes tell.

A forest of decision trees (Breiman 2001) over sizes and what divides them: the mean of its leaves'
shares of the kernels that were traced there. cuDNN's own rule is not published; the likeliest of 76
kernels is the one that ran in 46 of 100 convolutions that the forest did not see. It is data of one
version of the library (`cudnn_choice.csv`, fitted to the traces of `cudnn_kernels`), no law; a
number format without a forest takes the one of as many bytes as are nearest.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.gpu.schedules.convolution import PAD_BYTES, ConvolutionProblem
from hwmodel.quantity.dtypes import element_bytes

Array = NDArray[np.float64]

FILE = Path(__file__).with_suffix(".csv")
"""Bytes of an element, tree, node; what is seen (place in `seen`) and its limit, the nodes below
and above; of a leaf kernels, as places in the menu, with their shares."""
LEAF = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes as columns; `shares` of the menu's kernels, of leaves."""

    seen: NDArray[np.int64]
    limit: Array
    below: NDArray[np.int64]
    above: NDArray[np.int64]
    shares: Array

    def at(self, found: Array) -> Array:
        """Shares of the kernels where what is `seen` leads."""
        node = np.zeros(found.shape[:-1], np.int64)
        while (inner := self.seen[node] != LEAF).any():
            place = np.maximum(self.seen[node], 0)
            value = np.take_along_axis(found, place[..., None], -1)[..., 0]
            after = np.where(value <= self.limit[node], self.below[node], self.above[node])
            node = np.where(inner, after, node)
        return self.shares[node]


@cache
def forest(element: int, kernels: int) -> tuple[Tree, ...]:
    """The trees for formats of so many bytes, whose menu has so many kernels."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["element"]) == element]
    found: list[Tree] = []
    for number in sorted({int(row["tree"]) for row in rows}):
        nodes = [row for row in rows if int(row["tree"]) == number]
        shares = np.zeros((len(nodes), kernels))
        for at, row in enumerate(nodes):
            for kernel, share in (each.split(":") for each in row["chances"].split()):
                shares[at, int(kernel)] = float(share)
        seen_, below, above = (
            np.array([int(row[name]) for row in nodes]) for name in ("seen", "below", "above")
        )
        limit = np.array([float(row["limit"]) for row in nodes])
        found.append(Tree(seen_, limit, below, above, shares))
    return tuple(found)


def seen(problem: ConvolutionProblem) -> Array:
    """What trees ask of a convolution, the last axis one number each.

    Its sizes and their products, blocks of two tiles, what is left of tiles and slices, which
    directions, layout and format.
    """
    rows, filters, channels, taps = (
        np.asarray(size, np.float64)
        for size in (problem.M, problem.filters, problem.channels, problem.taps)
    )
    element = element_bytes(problem.dtype_a)
    depth = channels * taps
    found: list[Any] = [
        *(rows, filters, channels, taps, problem.batch, problem.outputs),
        problem.image_elements / (rows * channels),
        *(filters % 64, filters % 128, channels % 64),
        *(channels * element % PAD_BYTES, filters * element % PAD_BYTES),
        *(depth, rows * filters, rows * filters * depth),
        *(np.ceil(rows / m) * np.ceil(filters / m) for m in (128, 64)),
        *(filters % 192, filters % 96, channels % 32),
        *(problem.directions, problem.channels_last, problem.dtype_a == "bf16"),
        filters * depth,
    ]
    return np.stack(np.broadcast_arrays(*(np.asarray(each, float) for each in found)), -1)


def chances(problem: ConvolutionProblem, element: int, kernels: int) -> Array:
    """How likely each of the menu's kernels is to be taken."""
    found = seen(problem)
    trees = forest(element, kernels)
    return sum((tree.at(found) for tree in trees), np.zeros(1)) / len(trees)
