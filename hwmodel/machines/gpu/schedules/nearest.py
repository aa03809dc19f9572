"""A product whose least of each row is all that is kept: our kernel, `kernels/kmeans.py`.

A block holds `block_n` rows of A and walks the rows of B, `block_k` at a time: a product, then the
least of each of its rows with where it was. Neither the product nor the distances are written, so
that A is read once, and B by every block from the L2. The lengths of B's rows are a small kernel
before.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.fused_blocks import (
    WARP,
    block_operations,
    blocks_and_stream,
    resident,
)
from hwmodel.machines.gpu.schedules.triton_attention import power_of_two
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

LABEL_BYTES = 4
COMPARED = 6
"""Vector instructions for an element of the product: its distance, the less, where that was."""
BESIDE_SUMS = 90
"""Registers of a thread beside its share of the product (compiled for sm_90)."""
CHAIN = 600
"""Clocks of a step that hang on each other: the product, the least across lanes (before a fit)."""


@dataclass(frozen=True)
class NearestProblem:
    """`rows` of A and `others` of B, of `length` numbers each."""

    rows: Amount
    others: Amount
    length: Amount
    dtype_a: str
    dtype_b: str


@dataclass(frozen=True)
class NearestTile:
    """Points that a block holds, centroids that it takes at a time, its warps, stages of loads."""

    block_n: Amount = 128
    block_k: Amount = 64
    warps: Amount = 4
    stages: Amount = 2


MENU = (
    NearestTile(128, 64, 4, 2),
    NearestTile(128, 128, 8, 2),
    NearestTile(64, 64, 4, 2),
)
"""In fp16 with 128 dimensions, 128 points and two stages of 128 centroids are 96 KiB."""


def activity(problem: NearestProblem, tile: NearestTile, limits: Limits) -> Activity:
    """Two kernels, of which the first is short: see the module."""
    element, wide = bytes_of(problem.dtype_a), power_of_two(problem.length)
    steps = ceil_div(problem.others, tile.block_k)
    pairs = tile.block_n * tile.block_k * steps
    passed = tile.block_k * steps * problem.length * element
    block = Work(
        operations=block_operations(2 * pairs * wide, problem.dtype_a, COMPARED * pairs),
        read={"l2": passed, "port": passed},
    )
    stream = Work(
        read={"dram": (problem.rows + problem.others) * problem.length * element},
        written={"dram": problem.rows * LABEL_BYTES},
    )
    registers = tile.block_n * tile.block_k / (tile.warps * WARP) + BESIDE_SUMS
    on_each = resident(tile.warps, registers, limits)
    blocks = ceil_div(problem.rows, tile.block_n)
    return blocks_and_stream(blocks, on_each, block, steps * CHAIN, stream, limits, launches=2)
