"""Sums of each target's rows: our kernels, `kernels/kmeans.py`.

Added one by one (`sorted` 0), every number is an atomic operation at its target. Those of a line of
128 bytes, made together by a warp, are one request to the slice of the L2 that has the line, and a
slice takes its requests one after the other, whatever line they are to (a grid of an H200: 212
million a second at one line; 650 billion additions over 8,192 targets and more are that times 32
and 96 slices). So the sums take as long as the fullest slice, which holds lines by a hash:

    fullest = max(hottest + (rows - hottest) lines / slices,
                  rows / targets max(1 + a x^0.3, x + min(b sqrt(x), c))),
    x = (targets - 1) lines / slices

of rows that are added, each of so many lines. Sorted first, a block adds up its runs of equal
targets by a product with their membership and adds once for each run, so that atomics are a number
for each target and block; the sort of 32-bit labels with their places, radix passes over the DRAM,
comes before.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.fused_blocks import (
    MOST_REGISTERS,
    block_operations,
    blocks_and_stream,
    resident,
)
from hwmodel.machines.gpu.schedules.torch_scatter import ScatterProblem
from hwmodel.machines.gpu.schedules.triton_attention import power_of_two
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Repeat, Serial, Work

LABEL_BYTES, PLACE_BYTES, SUM_BYTES = 4, 8, 4
PASSES = 4
"""Radix passes of a byte of the label each (recalled: CUB's radix sort)."""
LINE_NUMBERS, SLICES = 32, 96
"""Of the L2: fp32 numbers that one request adds, and slices that hold lines (H200, see above)."""
PAIRS, UNEVEN, MOST_UNEVEN = 2.0, 1.6, 9.0
"""Lines of the fullest slice: beyond one where there are few, beyond their mean over its square
root, and at most (from rows fitted)."""
MEMBERS = 6
"""Vector instructions for a pair of points of a block, of which runs are found."""
LANES = 4
"""Vector instructions of a number: loads, conversion, the addition."""
CHAIN, CHAIN_POINT, CHAIN_ALONE = 1200, 170, 2500
"""Clocks of a block that hang on each other (labels, places, rows, sums), for each of its points,
and where they are added alone (H200)."""


@dataclass(frozen=True)
class SumTile:
    """Points of a block, its warps, and whether they come in the order of their clusters."""

    points: Amount = 64
    warps: Amount = 4
    sorted: Amount = 1


SORTED = (SumTile(64, 4, 1), SumTile(128, 8, 1))
"""Added run by run: a block multiplies its points by at most as many runs."""

ADDED = (SumTile(32, 4, 0),)
"""Added point by point, with atomics."""
MENU = (*SORTED, *ADDED)


def fullest(rows: Amount, hottest: Amount, problem: ScatterProblem) -> Amount:
    """Requests to the fullest slice of the L2: see the module."""
    lines = ceil_div(problem.cols, LINE_NUMBERS)
    others = (problem.touched - 1) * lines / SLICES
    least_of_all = hottest + (rows - hottest) * lines / SLICES
    beyond = least((UNEVEN * others**0.5, MOST_UNEVEN))
    uneven = most((1 + PAIRS * others**0.3, others + beyond))
    return most((least_of_all, rows / problem.touched * uneven))


def activity(problem: ScatterProblem, tile: SumTile, limits: Limits) -> Activity:
    """Zeros, a sort where there is one, and the kernel that adds: see the module."""
    ordered = tile.sorted > 0
    blocks = ceil_div(problem.sources, tile.points)
    numbers = problem.sources * problem.cols
    runs = least((problem.sources, problem.touched + blocks))
    added = where(ordered, runs, problem.sources) * (problem.cols + 1)
    hottest = where(ordered, ceil_div(problem.hottest, tile.points) + 1, problem.hottest)
    rows = where(ordered, runs, problem.sources)
    chain = where(ordered, CHAIN + CHAIN_POINT * tile.points, CHAIN_ALONE)
    wide = power_of_two(problem.cols)
    pairs = where(ordered, tile.points**2, 0)
    block = Work(
        operations=block_operations(
            2 * pairs * wide, "bf16", MEMBERS * pairs + LANES * tile.points * wide
        ),
    )
    labels = LABEL_BYTES + where(ordered, PLACE_BYTES, 0)
    sums = problem.targets * (problem.cols + 1) * SUM_BYTES
    stream = Work(
        read={"dram": numbers * problem.item_bytes + problem.sources * labels},
        written={"dram": 2 * sums, "l2": most((added, 0)) * SUM_BYTES},
        atomics=(LINE_NUMBERS * SLICES * fullest(rows, hottest, problem), 0),
    )
    on_each = resident(tile.warps, MOST_REGISTERS, limits)
    adds = blocks_and_stream(blocks, on_each, block, chain, stream, limits, launches=3)
    moved = problem.sources * PASSES * (LABEL_BYTES + PLACE_BYTES)
    sort = Work(
        slots={"reduction": 1},
        read={"dram": moved + problem.sources * LABEL_BYTES},
        written={"dram": moved + problem.sources * PLACE_BYTES},
    )
    return Serial((Repeat(where(ordered, 1, 0), sort), adds))
