"""Schedule of a tiled GEMM on a GPU: what one thread block does, and how blocks cover the output.

C[M, N] = A[M, K] B[K, N], batched or grouped. A block owns a `block_m` x `block_n` tile of C (or a
1/`split` share of its sum over K), and streams `block_k`-deep slices of A and B through shared
memory in `stages` stages while the tensor cores multiply the slices that have arrived. Ragged edges
are padded: the tensor cores multiply whole tiles whatever M and N are.

Counts per block, with b the bytes per element of the operands and I = ceil(ceil(K / block_k) /
split) steps (derived from the loop nest; the register reuse is that of warpgroup instructions,
whose 64-row slabs each read their own rows of A and all of B from shared memory):

    matrix FLOP         2 block_m block_n block_k I
    shared read         slab_bytes I,  slab = (block_m block_n / 64 + 64-row side) block_k b
    shared written      (block_m + block_n) block_k b I     = bytes through the port and from the L2

DRAM: A, B and C once, plus what the L2 forgets between waves. A wave of S blocks, rasterised in
near-square groups, touches (S/g block_m + g block_n) K b distinct bytes, g = sqrt(S block_m /
block_n); the part of A and B beyond the L2's capacity is read again for each wave. Split-K adds the
fp32 partial tiles, written and read through the L2, and one more launch that adds them.
"""

from dataclasses import dataclass, replace

import numpy as np

from hwmodel.activity import Activity, Overlap, Serial, Waves, Work
from hwmodel.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.dtypes import bytes_of
from hwmodel.einsum.cascade import Distribution
from hwmodel.einsum.distribution import expected_tiles, touched_members
from hwmodel.gpu.units import product_unit
from hwmodel.hardware import Limits
from hwmodel.units import Amount

PARTIAL_BYTES = 4
"""Split-K partial sums are fp32."""

WARPGROUP_ROWS = 64
"""Rows of a Hopper warpgroup's matrix instruction (PTX ISA, wgmma: m64nNk16)."""


@dataclass(frozen=True)
class GemmProblem:
    """`batch` products of [M, K] by [K, N]; `members` and `routing` make the M rows ragged.

    With `routing`, M is the number of rows of all members together and there is one [K, N] matrix
    for each member that has rows.
    """

    M: Amount
    N: Amount
    K: Amount
    batch: Amount = 1
    dtype_a: str = "bf16"
    dtype_b: str = "bf16"
    dtype_out: str = "bf16"
    members: Amount = 1
    routing: Distribution | None = None


@dataclass(frozen=True)
class GemmTile:
    """The launch record: tile sizes in elements, pipeline stages, K splits, blocks per processor.

    A kernel launches with these numbers and the model predicts with them. Fields may be arrays: a
    whole menu is one record. Blocks are numbered down `group_m` block rows before the next column,
    so that a wave covers a patch of the output and not a stripe.
    """

    block_m: Amount
    block_n: Amount
    block_k: Amount = 64
    stages: Amount = 4
    warps: Amount = 8
    split: Amount = 1
    resident: Amount = 1
    group_m: Amount = 8

    def shared_bytes(self, element_bytes: float) -> Amount:
        """Shared memory of one block: the staged slices of A and B."""
        return self.stages * (self.block_m + self.block_n) * self.block_k * element_bytes


LIBRARY_TILES = (
    (256, 128),
    (128, 256),
    (128, 128),
    (64, 256),
    (256, 64),
    (64, 128),
    (128, 64),
    (64, 64),
    (16, 128),
    (32, 64),
)
"""Output tiles that Hopper GEMM libraries choose from (CUTLASS profiler's sm90 defaults; the two
narrow ones are the swapped forms for few rows). Prior: which of them a library uses is fitted."""

FILL = 0
"""In a menu: as many splits of K as fill the device once (`filled` puts the number)."""

MOST_SPLITS, LEAST_STEPS = 16, 4
"""No library splits K further, or below that many steps of `block_k` (prior)."""


def library_menu() -> tuple[GemmTile, ...]:
    """Every tile that a library kernel is modelled as choosing from, unsplit and split."""
    return tuple(
        GemmTile(m, n, split=split, resident=1 if m * n >= 128 * 128 else 2)
        for m, n in LIBRARY_TILES
        for split in (1, FILL)
    )


def filled(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The tile with `FILL` replaced by the splits whose blocks fill the slots, at least one."""
    blocks = problem.batch * _row_blocks(problem, tile) * ceil_div(problem.N, tile.block_n)
    slots = limits.processors * tile.resident
    deepest = floor_div(ceil_div(problem.K, tile.block_k), LEAST_STEPS)
    wanted = most((1, least((floor_div(slots, blocks), deepest, MOST_SPLITS))))
    return replace(tile, split=where(tile.split == FILL, wanted, tile.split))


def grouped_menu() -> tuple[GemmTile, ...]:
    """Tiles of a grouped product: no split, since there are many members."""
    return tuple(tile for tile in library_menu() if tile.split == 1)


def dram_bytes(problem: GemmProblem, tile: GemmTile, limits: Limits) -> tuple[Amount, Amount]:
    """(read, written) at the DRAM: compulsory traffic plus the L2's misses between waves."""
    touched = _matrices(problem)
    a = problem.batch * problem.M * problem.K * bytes_of(problem.dtype_a)
    b = touched * problem.K * problem.N * bytes_of(problem.dtype_b)
    c = problem.batch * problem.M * problem.N * bytes_of(problem.dtype_out)
    slots = limits.processors * tile.resident
    blocks_m, blocks_n = _row_blocks(problem, tile), ceil_div(problem.N, tile.block_n)
    wave = least((slots, blocks_m * blocks_n))
    across = most((1, least((blocks_n, np.sqrt(wave * tile.block_m / tile.block_n)))))
    along = most((1, least((blocks_m, wave / across))))
    waves = blocks_m * blocks_n / wave
    streamed = waves * (
        along * tile.block_m * problem.K * bytes_of(problem.dtype_a)
        + across * tile.block_n * problem.K * bytes_of(problem.dtype_b)
    )
    footprint = a / problem.batch + b / problem.batch
    forgotten = 1 - least((1.0, limits.capacity_bytes["l2"] / footprint))
    again = problem.batch * streamed - (a + b)
    return a + b + most((again, 0.0)) * forgotten, c


def _matrices(problem: GemmProblem) -> Amount:
    """How many B matrices are read: one per batch entry, or one per member that has rows."""
    if problem.routing is None:
        return problem.batch
    return touched_members(problem.routing, problem.members)


def _row_blocks(problem: GemmProblem, tile: GemmTile) -> Amount:
    """Blocks along M, of one batch entry or of all members together."""
    if problem.routing is None:
        return ceil_div(problem.M, tile.block_m)
    return expected_tiles(problem.routing, problem.members, tile.block_m)


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One GEMM call: launch, waves of blocks over the DRAM stream, reduction of split sums."""
    element = bytes_of(problem.dtype_a)
    blocks = problem.batch * _row_blocks(problem, tile) * ceil_div(problem.N, tile.block_n)
    steps = ceil_div(ceil_div(problem.K, tile.block_k), tile.split)
    area = tile.block_m * tile.block_n
    side = least((tile.block_m, tile.block_n))
    slab = where(side >= WARPGROUP_ROWS, side, most((tile.block_m, tile.block_n)))
    depth = steps * tile.block_k
    staged = (tile.block_m + tile.block_n) * depth * element
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    block = Work(
        operations={(unit, "flop", dtype): 2 * area * depth},
        read={
            "shared": (area / WARPGROUP_ROWS + slab) * depth * element,
            "port": staged,
            "l2": staged,
        },
        written={"shared": staged},
        live={"shared": tile.shared_bytes(element)},
        slots={"fill": 1},
    )
    read, written = dram_bytes(problem, tile, limits)
    body = Overlap(
        (
            Waves(blocks * tile.split, limits.processors * tile.resident, block),
            Work(read={"dram": read}, written={"dram": written}),
        )
    )
    partial = where(tile.split > 1, 1.0, 0.0)
    partial_bytes = partial * tile.split * problem.batch * problem.M * problem.N * PARTIAL_BYTES
    reduction = Work(
        read={"l2": partial_bytes}, written={"l2": partial_bytes}, slots={"reduction": partial}
    )
    return Serial((Work(slots={"launch": 1}), body, reduction))


def fits(tile: GemmTile, problem: GemmProblem, limits: Limits) -> bool:
    """Whether the block's staged slices fit into one processor's shared memory."""
    needed = tile.shared_bytes(bytes_of(problem.dtype_a)) * tile.resident
    return bool(np.all(needed <= limits.shared_per_block_bytes))


def swapped(tile: GemmTile) -> GemmTile:
    """The tile of the transposed product, in which A and B change places."""
    return replace(tile, block_m=tile.block_n, block_n=tile.block_m)
