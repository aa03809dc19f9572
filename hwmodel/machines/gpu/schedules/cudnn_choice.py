"""Which kernel cuDNN's heuristic takes for a convolution on a Hopper GPU.

The heuristic (`CUDNN_HEUR_MODE_INSTANT`, torch's default) is a function of sizes and of the
device's properties, which the library evaluates without a GPU. What it answers is a list of
kernels, the best first, which stays the same in whole boxes of sizes: it is itself a decision tree
(CART; Breiman et al. 1984), over the sizes of the input, of windows, their product, and what is
left of multiples of 64 of the filters, points and terms.
So cuts were sought that part no list: of 143,000 convolutions of one group in 16 bits, 91,000 in
32, and 399,000 of groups and transposed ones, as image networks have them and near traced ones.
Of a window beyond what bulk copies reach, the kernel is the first on the list that copies none.

Of measured shapes that it did not see the tree names the library's kernel in 97 of 100 (tf32: 91;
all but one in groups, transposed 98), where their pads are told. A problem does not tell pads
apart; taken to keep the side (`_unpadded`), which one measured shape in eight does not, 93 of 100
are right (88).
cuDNN's own rule is not published. It is data of one version of the library (`cudnn_choice.csv`;
9.19, an H200), no law; a number format without a tree takes the one of as many bytes as are
nearest.
"""

import csv
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.windows import Axis
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.decision_tree import LEAF, Nodes
from hwmodel.quantity.arithmetic import where

Array = NDArray[np.float64]

FILE = Path(__file__).with_suffix(".csv")
"""Nodes, each with what lies below its limit right after it: bytes of an element and the form of
a convolution (one group, groups, phases); what is seen (place in `ASKED`), its limit, and the node
of what lies above; of a leaf the kernel, as a place in the menu."""
ASKED = (
    *("batch", "channels", "filters", "depth", "height", "width"),
    *("taps down the depth", "taps down", "taps across"),
    *("stride down the depth", "stride down", "stride across"),
    *("dilation down the depth", "dilation down", "dilation across"),
    *("pad before the depth", "pad above", "pad beside"),
    *("points of all images", "terms of a sum"),
    *("filters over 64", "points over 64", "terms over 64"),
    *("directions", "channels last", "bf16", "channels over 8", "filters over 8", "far"),
    *("groups", "share"),
)
"""What `seen` holds, in the file's order; "over": what is left of a multiple. Channels and filters
are those of a group, strides of a transposed convolution its phases, of whose points a share is."""
MOST_POINTS, MOST_OFFSET, MOST_STRIDE = 32, 20, 8
"""Points of a window, elements from its first to its last across, and stride, of bulk kernels."""
ALIGNED, ROW = 64, 8
"""Sides of the library's tiles, and channels of sixteen bytes, of which what is left is asked."""


@cache
def rows() -> dict[tuple[int, str], list[dict[str, str]]]:
    """Lines of the file by bytes of an element and form."""
    found: dict[tuple[int, str], list[dict[str, str]]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((int(row["element"]), row["form"]), []).append(row)
    return found


@cache
def tree(element: int, form: str) -> tuple[Nodes, NDArray[np.int64]]:
    """The tree for formats of so many bytes, and the kernels of its leaves."""
    nodes = rows()[element, form]
    seen_, above, kernels = (
        np.array([int(row[name] or LEAF) for row in nodes]) for name in ("seen", "above", "kernel")
    )
    limit = np.array([float(row["limit"] or 0) for row in nodes])
    return Nodes(seen_, limit, above), kernels


def seen(problem: ConvolutionProblem) -> Array:
    """What a tree asks of a convolution, the last axis one number each (`ASKED`)."""
    three = (*(Axis(1, 1, 1),) * (3 - len(problem.axes)), *problem.axes)
    patches = reduce(np.logical_and, (np.equal(axis.taps, axis.stride) for axis in three))
    sides, pads = zip(*(_unpadded(axis, patches) for axis in three), strict=True)
    filters = problem.filters / problem.phases
    points, depth = problem.batch, problem.channels
    for axis, side in zip(three, sides, strict=True):
        points, depth = points * side, depth * axis.taps * axis.phases
    found: list[Any] = [
        *(problem.batch, problem.channels, filters, *sides),
        *(axis.taps * axis.phases for axis in three),
        *(axis.stride * axis.phases for axis in three),
        *(axis.dilation for axis in three),
        *(*pads, points, depth),
        *(np.mod(each, ALIGNED) for each in (filters, points, depth)),
        *(len(problem.axes), problem.channels_last, problem.dtype_a == "bf16"),
        *(
            np.mod(problem.channels, ROW),
            np.mod(filters, ROW),
            far(problem),
            problem.groups,
            problem.share,
        ),
    ]
    return np.stack(np.broadcast_arrays(*(np.asarray(each, float) for each in found)), -1)


def far(problem: ConvolutionProblem) -> Any:
    """Whether points of a window lie beyond what bulk copies reach: no kernel of theirs runs."""
    axis = problem.axes[-1] if problem.axes else Axis(1, 1, 1)
    wide = np.greater((axis.taps - 1) * axis.dilation, MOST_OFFSET)
    strides = max((each.stride for each in problem.axes), default=1)
    return wide | np.greater(problem.taps, MOST_POINTS) | (strides > MOST_STRIDE)


def _unpadded(axis: Axis, patches: Any) -> tuple[Any, Any]:
    """(elements of the image without pads, pads at an end), which a problem does not tell apart.

    Pads are taken to keep the side; there are none where windows lie side by side, as `patches`. Of
    a transposed convolution the image is as long as a phase's places.
    """
    pad = where(patches, 0, axis.dilation * (axis.taps - 1) // 2)
    side = np.maximum(axis.side - 2 * pad, 1)
    return where(np.greater(axis.phases, 1), axis.outputs, side), pad


def kernel(problem: ConvolutionProblem, element: int) -> NDArray[np.int64]:
    """The place in the menu of the kernel that is taken."""
    asked = seen(problem)
    several, transposed = (np.greater(n, 1) for n in (problem.groups, problem.phases))
    found = np.zeros(asked.shape[:-1], np.int64)
    for form, here in (
        ("one", ~(several | transposed)), ("groups", several & ~transposed), ("phases", transposed)
    ):  # fmt: skip
        if np.any(here):
            nodes, kernels = tree(element, form)
            found = np.where(here, kernels[nodes.leaf(asked)], found)
    return found
