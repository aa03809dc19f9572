"""Marlin's experts: weights of 4 bits, widened on their way to products in 16 bits.

One kernel for all experts' rows (vLLM, csrc/moe/marlin_moe_wna16, recalled). Rows of an expert are
padded to blocks of 8, 16, 32, 48 or 64, the first of which the rows of an expert on average fill to
less than nine tenths:

    block = first b of (8, 16, 32, 48, 64) with tokens picks / experts < 0.9 b, else 64

which published times of int4 show, as steps where it changes. Blocks of rows times columns are laid
end to end, and each processor takes an equal stretch of their slices of K, so that no wave is half
empty; where a stretch ends inside a tile sums are added through the L2. Each block of rows reads
and widens all weights of its expert anew, and multiplies by instructions of a warp.

Where devices divide the experts it is the average of all devices' rows over the experts of one,
so that blocks are padded more.
"""

from hwmodel.einsum.distribution import expected_tiles, touched_members
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile, conversions
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, where
from hwmodel.quantity.dtypes import base_of, bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

ROWS = (8, 16, 32, 48, 64)
FILLED = 0.9
COLUMNS, DEPTH = 256, 64
"""Columns and depth of a tile (recalled)."""

PADDED = {"mxfp4": (256, 128)}
"""What vLLM rounds sizes of experts up to, where it does: columns, of gate and up together, and
depth (recalled)."""

MENU = (GemmTile(ROWS[-1], COLUMNS, DEPTH, stages=4, warps=8),)


def resolved(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The tile, rows of its blocks as the rule has them."""
    return GemmTile(block_rows(problem), tile.block_n, tile.block_k, stages=4, warps=8)


def block_rows(problem: GemmProblem) -> Amount:
    """Rows of a block.

    >>> block_rows(GemmProblem(M=384 * 8, N=4096, K=7168, members=384))
    16
    """
    found: Amount = ROWS[-1]
    ways = 1 if problem.routing is None else problem.routing.ways
    filling = problem.M * ways / problem.members
    for rows in reversed(ROWS[:-1]):
        found = where(filling < FILLED * rows, rows, found)
    return found


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One product: launch, and equal stretches of all blocks' slices."""
    routing = problem.routing
    if routing is None:
        blocks, touched = ceil_div(problem.M, tile.block_m), problem.members
    else:
        blocks = expected_tiles(routing, problem.members, tile.block_m)
        touched = touched_members(routing, problem.members)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    wide_of, deep_of = PADDED.get(base_of(problem.dtype_b), (1, 1))
    high, deep = wide_of * ceil_div(problem.N, wide_of), deep_of * ceil_div(problem.K, deep_of)
    matrix, weight = high * deep, bytes_of(problem.dtype_b)
    wide = bytes_of(problem.dtype_a)
    rows = problem.M * problem.K * wide
    written = problem.M * problem.N * bytes_of(problem.dtype_out)
    tiles = blocks * ceil_div(high, tile.block_n)
    widened = conversions(problem, blocks * matrix).operations
    work = Work(
        operations={(unit, "flop", dtype): 2 * blocks * tile.block_m * matrix, **widened},
        read={"l2": blocks * matrix * weight + tiles * tile.block_m * problem.K * wide},
        slots={"fill": tiles / limits.processors},
    )
    stream = Work(read={"dram": touched * matrix * weight + rows}, written={"dram": written})
    return Serial((Work(slots={"launch": 1}), Overlap((work, stream))))
