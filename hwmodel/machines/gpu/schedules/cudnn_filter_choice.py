"""Which kernel cuDNN's heuristic takes for a gradient of filters on a Hopper GPU.

It was asked for 52,000 near layers of image networks and traced shapes (9.19, an H200; without a
GPU). A decision tree for each width of numbers (CART, Breiman et al. 1984; of entropy) over sizes
and what divides them says how likely each kernel is: the likeliest is the library's for 77 in 100
that it did not see. A number format without a tree takes the one of as many bytes as are nearest.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.gpu.schedules.decision_tree import LEAF, Nodes
from hwmodel.machines.gpu.schedules.filter_gradient import FiltersProblem

Array = NDArray[np.float64]

FILE = Path(__file__).with_suffix(".csv")
"""Nodes, each with what lies below its limit right after it: bytes of an element; what is seen
(place in `seen`), its limit, and the node of what lies above; of a leaf kernels, as places in the
menu, with their shares."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes, and `shares` of the menu's kernels, of leaves."""

    nodes: Nodes
    shares: Array


@cache
def tree(element: int, kernels: int) -> Tree:
    """The tree for formats of so many bytes, whose menu has so many kernels."""
    with FILE.open(encoding="utf-8", newline="") as file:
        nodes = [row for row in csv.DictReader(file) if int(row["element"]) == element]
    shares = np.zeros((len(nodes), kernels))
    for at, row in enumerate(nodes):
        for kernel, share in (each.split(":") for each in row["chances"].split()):
            shares[at, int(kernel)] = float(share)
    seen_, above = (
        np.array([int(row[name] or LEAF) for row in nodes]) for name in ("seen", "above")
    )
    limit = np.array([float(row["limit"] or 0) for row in nodes])
    return Tree(Nodes(seen_, limit, above), shares)


def seen(problem: FiltersProblem) -> Array:
    """What a tree asks of a gradient, the last axis one number each."""
    places, points, channels, filters = (
        np.asarray(size, np.float64)
        for size in (problem.summed, problem.points, problem.channels, problem.filters)
    )

    def tiles(m: int, n: int) -> Array:
        return points * np.ceil(channels / m) * np.ceil(filters / n)

    found: list[Any] = [
        *(places, points, channels, filters, points * channels, points * channels * filters),
        *(places * filters, places * points * channels * filters, problem.directions),
        *(problem.channels_last, problem.dtype_a == "bf16", channels % 8, filters % 8),
        *(channels % 64, filters % 64, channels % 32, filters % 128, channels % 128),
        *(tiles(64, 64), tiles(128, 128), tiles(64, 128), tiles(128, 64), problem.groups),
    ]
    return np.stack(np.broadcast_arrays(*(np.asarray(each, float) for each in found)), -1)


def chances(problem: FiltersProblem, element: int, kernels: int) -> Array:
    """How likely each of the menu's kernels is to be taken."""
    found = tree(element, kernels)
    return found.shares[found.nodes.leaf(seen(problem))]


def middle(chances: Array, time: Array) -> NDArray[np.int64]:
    """Index of the middle of chances over times, along the last axis.

    Chances over times are weighed, so that what is predicted is as likely a half too long as twice
    too short.
    """
    weight = chances / time
    order = np.argsort(time, axis=-1)
    passed = np.cumsum(np.take_along_axis(weight, order, -1), axis=-1)
    place = (passed < passed[..., -1:] / 2).sum(axis=-1)
    return np.take_along_axis(order, place[..., None], -1)[..., 0]
