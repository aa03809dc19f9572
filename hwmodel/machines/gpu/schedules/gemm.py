"""Schedule of a tiled GEMM on a GPU: what one thread block does, and how blocks cover the output.

C[M, N] = A[M, K] B[K, N], batched or grouped. A block owns a `block_m` x `block_n` tile of C (or a
1/`split` share of its sum over K), and streams `block_k`-deep slices of A and B through shared
memory in `stages` stages while the tensor cores multiply the slices that have arrived. Ragged edges
are padded: the tensor cores multiply whole tiles whatever M and N are.

Counts per block, with b the bytes per element of the operands and I = ceil(ceil(K / block_k) /
split) slices (derived from the loop nest; the register reuse is that of warpgroup instructions,
whose 64-row slabs each read their own rows of A and all of B from shared memory):

    matrix FLOP         2 block_m block_n block_k I
    shared read         slab_bytes I,  slab = (block_m block_n / 64 + 64-row side) block_k b
    shared written      (block_m + block_n) block_k b I, rows and columns beyond the edge apart
    through the port    the same, and 0.7 times more for rows that straddle two lines of 128 bytes
    from the L2         the same, less what a cluster of blocks multicasts to one another
    pipeline            I slices, counted: each costs the block a barrier and a chain of dependent
                        matrix instructions, so that a small tile waits rather than works
    copy                copy instructions of a thread each, counted, where no bulk copy engine can
                        be used
    port written        the tile of C, after the last slice and before the block's next tile

DRAM: A, B and C once, plus what the L2 forgets between waves. A wave of S blocks, rasterised in
near-square groups, touches (S/g block_m + g block_n) K b distinct bytes, g = sqrt(S block_m /
block_n); the part of A and B beyond the L2's capacity is read again for each wave. Split-K adds the
fp32 partial tiles, written and read through the L2, and one more launch that adds them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Distribution
from hwmodel.einsum.distribution import expected_tiles, touched_members
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, least, most, root, where
from hwmodel.quantity.dtypes import base_of, bytes_of, dtype, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

PARTIAL_BYTES = 4
"""Split-K partial sums are fp32."""

WARPGROUP_ROWS = 64
"""Rows of a Hopper warpgroup's matrix instruction (PTX ISA, wgmma: m64nNk16)."""


SCALED = ("fp8", "mxfp4", "nvfp4")
"""Operand formats whose products are multiplied by scale factors, read from memory."""

SCALED_STORE = 1.6
"""Cost of storing outputs that are scaled first, over that of plain ones (fitted: H200, fp8)."""

CONVERT = 1.0
"""Instructions of a lane for each element of a narrow B: a pair of int4 is made a pair of bf16 by a
logic operation on three operands and a fused multiply-add (Kim et al., arXiv 2211.10017; Frantar
et al., MARLIN, arXiv 2408.11743)."""

LANE_FLOP = 2
"""An instruction of the vector lanes takes the time of a multiply-add, two FLOP."""

LINE_BYTES = 128
STRADDLING = 0.7
"""Cost of a second line over that of the first (fitted: H200, cuBLAS 13.1, K a multiple of 8)."""

SECTOR_BYTES = 32
AHEAD, OFF_SECTOR = 0.2, 0.5
"""Of kernels of which few copies are under way: cost of straddling over that of others, and of rows
of which half begin within a sector of 32 bytes (fitted: H200, fp8 with a scale for each row)."""

OPERAND_SLOTS = 20.0
"""On the vector units a thread of a 16 x 16 block fetches block_m / 16 + block_n / 16 operands from
shared memory for block_m block_n / 256 multiply-adds; one fetch takes as long as two of them
(fitted: H200, fp32 products of cuBLAS 13.1)."""


@dataclass(frozen=True)
class GemmProblem:
    """`batch` products of [M, K] by [K, N]; `members` and `routing` make the M rows ragged.

    With `routing`, M is the number of rows of all members together and there is one [K, N] matrix
    for each member that has rows. `bias_bytes` are those of a vector that the epilogue adds.
    `distinct` is the share of A's elements that lie in memory: below 1 where its rows overlap, as
    the windows of a convolution do. `pitch` is how many elements lie between its rows in memory
    (0: K), as many as an image has channels.
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
    bias_bytes: Amount = 0
    distinct: Amount = 1
    pitch: Amount = 0

    @property
    def row(self) -> Amount:
        """Elements from one row of A to the next."""
        return self.K if isinstance(self.pitch, int) and self.pitch == 0 else self.pitch


@dataclass(frozen=True)
class GemmTile:
    """The launch record: tile sizes in elements, pipeline stages, K splits, blocks per processor.

    A kernel launches with these numbers and the model predicts with them. Fields may be arrays: a
    whole menu is one record. Blocks are numbered down `group_m` block rows before the next column,
    so that a wave covers a patch of the output and not a stripe. `multicast` blocks of a cluster
    share the slices of their longer side; `copy_bytes` is what one thread's copy instruction moves
    (0: a bulk copy engine moves whole slices). `persistent` blocks (1) take tile after tile, and
    load the next one's first slices while they finish the last. A tile's columns leave in `parts`
    stores, one after the other.
    """

    block_m: Amount
    block_n: Amount
    block_k: Amount = 64
    stages: Amount = 4
    warps: Amount = 8
    split: Amount = 1
    resident: Amount = 1
    group_m: Amount = 8
    multicast: Amount = 1
    copy_bytes: Amount = 0
    persistent: Amount = 0
    parts: Amount = 1

    def shared_bytes(self, element_bytes: float) -> Amount:
        """Shared memory of one block: the staged slices of A and B."""
        return self.stages * (self.block_m + self.block_n) * self.block_k * element_bytes


def dram_bytes(problem: GemmProblem, tile: GemmTile, limits: Limits) -> tuple[Amount, Amount]:
    """(read, written) at the DRAM: compulsory traffic plus the L2's misses between waves."""
    touched = _matrices(problem)
    a = problem.batch * problem.M * problem.K * bytes_of(problem.dtype_a) * problem.distinct
    b = touched * problem.K * problem.N * bytes_of(problem.dtype_b)
    c = problem.batch * problem.M * problem.N * bytes_of(problem.dtype_out)
    waves, wave = wave_bytes(problem, tile, limits)
    footprint = a / problem.batch + b / problem.batch
    forgotten = 1 - least((1.0, limits.capacity_bytes["l2"] / footprint))
    again = problem.batch * waves * wave - (a + b)
    return a + b + problem.bias_bytes + most((again, 0.0)) * forgotten, c


def wave_bytes(problem: GemmProblem, tile: GemmTile, limits: Limits) -> tuple[Amount, Amount]:
    """How many waves of tiles there are, and operands' bytes that one reads, near square."""
    slots = limits.processors * tile.resident
    blocks_m, blocks_n = _row_blocks(problem, tile), ceil_div(problem.N, tile.block_n)
    wave = least((slots, blocks_m * blocks_n))
    across = most((1, least((blocks_n, root(wave * tile.block_m / tile.block_n)))))
    along = most((1, least((blocks_m, wave / across))))
    rows = along * tile.block_m * bytes_of(problem.dtype_a) * problem.distinct
    columns = across * tile.block_n * bytes_of(problem.dtype_b)
    return blocks_m * blocks_n / wave, (rows + columns) * problem.K


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
    element = element_bytes(problem.dtype_a)
    rows, columns = _row_blocks(problem, tile), ceil_div(problem.N, tile.block_n)
    blocks = problem.batch * rows * columns * tile.split
    resident = most((1, least((tile.resident, ceil_div(blocks, limits.processors)))))
    slices = ceil_div(ceil_div(problem.K, tile.block_k), tile.split)
    depth = slices * tile.block_k
    area = tile.block_m * tile.block_n
    staged = sides_bytes(problem, problem.M / rows, problem.N / columns) * depth
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    operations = 2 * area * depth
    if unit == "vector":
        operations = operations * (1 + OPERAND_SLOTS * (1 / tile.block_m + 1 / tile.block_n))
    mainloop = Work(
        operations={(unit, "flop", dtype): operations},
        read={
            "shared": slab(tile, limits) * depth * element,
            "port": paired(problem, tile, staged, depth, limits) * lines(problem.row * element),
            "l2": staged - clustered(problem, tile, rows, columns) * depth,
            "pipeline": slices,
            "copy": where(tile.copy_bytes > 0, staged / most((tile.copy_bytes, 1)), 0.0),
        },
        written={"shared": staged},
        live={"shared": tile.shared_bytes(element), "processors": 1 / resident},
        slots={"fill": 1 - tile.persistent},
    )
    stored = where(tile.split > 1, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    scaled = is_scaled(problem)
    epilogue = Work(written={"port": area * stored * (SCALED_STORE if scaled else 1)})
    read, written = dram_bytes(problem, tile, limits)
    body = Overlap(
        (
            Waves(blocks, limits.processors * resident, Serial((mainloop, epilogue))),
            Work(read={"dram": read}, written={"dram": written}),
        )
    )
    partial = where(tile.split > 1, 1.0, 0.0)
    partial_bytes = partial * tile.split * problem.batch * problem.M * problem.N * PARTIAL_BYTES
    reduction = Work(
        read={"l2": partial_bytes}, written={"l2": partial_bytes}, slots={"reduction": partial}
    )
    launch = Work(slots={"launch": 1, "scales": int(scaled)})
    return Serial((launch, body, reduction))


def slab(tile: GemmTile, limits: Limits) -> Amount:
    """Elements that the matrix instructions of one step of K read from shared memory.

    Where two processors share an instruction its sums lie in a memory of their own, and each reads
    its rows of A and its half of B once (PTX ISA, tcgen05.mma, cta_group::2).
    """
    shared = tile.block_m + tile.block_n / limits.pair
    return where(limits.pair > 1, shared, _warpgroups(tile))


def _warpgroups(tile: GemmTile) -> Amount:
    """The same where each warpgroup holds its sums in registers, and reads all of B."""
    side = least((tile.block_m, tile.block_n))
    long = where(side >= WARPGROUP_ROWS, side, most((tile.block_m, tile.block_n)))
    return tile.block_m * tile.block_n / WARPGROUP_ROWS + long


def lines(row_bytes: Amount) -> Amount:
    """Requests for a slice of rows over those of rows that begin on a 128-byte line.

    A row `row_bytes` after the last begins on a multiple of gcd(row_bytes, 128), so that a share
    1 - gcd / 128 of the slices straddles two lines.
    """
    common = 16 + 16 * _whole(row_bytes, 32) + 32 * _whole(row_bytes, 64)
    common = common + 64 * _whole(row_bytes, 128)
    return 1 + STRADDLING * (1 - common / LINE_BYTES)


def sectors(row_bytes: Amount) -> Amount:
    """The same of copies that hardly run ahead: a row that begins within a sector asks for more."""
    return 1 + (lines(row_bytes) - 1) * AHEAD + (1 - on_sector(row_bytes)) * OFF_SECTOR


def on_sector(row_bytes: Amount) -> Amount:
    """1 where all rows begin on a sector, else 0."""
    return _whole(row_bytes, SECTOR_BYTES)


def _whole(size: Amount, of: int) -> Amount:
    return where(divides(of, size), 1.0, 0.0)


def divides(power: int, size: Amount) -> Any:
    """Whether a size is a multiple of a power of two (by a division, exact then: it is hot)."""
    if isinstance(size, int):
        return size % power == 0
    parts = size / power
    return parts == np.floor(parts)


def clustered(problem: GemmProblem, tile: GemmTile, rows: Amount, columns: Amount) -> Amount:
    """Bytes of a step of K that a block gets from its cluster and not from the L2."""
    shared_b = where(rows > 1, tile.block_n, 0) * element_bytes(problem.dtype_b)
    shared_a = where(columns > 1, tile.block_m, 0) * element_bytes(problem.dtype_a)
    fetched = sides_bytes(problem, problem.M / rows, problem.N / columns)
    return least((most((shared_a, shared_b)), fetched)) * (1 - 1 / tile.multicast)


def paired(
    problem: GemmProblem, tile: GemmTile, staged: Amount, depth: Amount, limits: Limits
) -> Amount:
    """Bytes of `staged` that a block fetches itself, where its pair fetches half of a side."""
    if isinstance(limits.pair, int) and limits.pair == 1:
        return staged
    rows, columns = _row_blocks(problem, tile), ceil_div(problem.N, tile.block_n)
    together = replace(tile, multicast=limits.pair)
    return staged - clustered(problem, together, rows, columns) * depth


def sides_bytes(problem: GemmProblem, rows: Amount, columns: Amount) -> Amount:
    """Bytes that a block of so many rows of A and columns of B fetches for a step of K."""
    return rows * element_bytes(problem.dtype_a) + columns * element_bytes(problem.dtype_b)


def narrowest(problem: GemmProblem) -> int | float:
    """Bytes of an element of the operand that is stored narrower: its rows fill the slices."""
    return min(element_bytes(problem.dtype_a), element_bytes(problem.dtype_b))


def is_scaled(problem: GemmProblem) -> bool:
    """Whether sums are multiplied by scale factors before they are stored."""
    return base_of(problem.dtype_a) in SCALED


def conversions(problem: GemmProblem, columns: Amount) -> Work:
    """What a step of K costs the vector lanes where B is stored narrower than A.

    Each of the `columns` elements of B that a block multiplies is converted once, in registers.
    """
    if dtype(problem.dtype_b).bits >= dtype(problem.dtype_a).bits:
        return Work()
    return Work(operations={("vector", "flop", "fp32"): LANE_FLOP * CONVERT * columns})


def fits(tile: GemmTile, problem: GemmProblem, limits: Limits) -> bool:
    """Whether the block's staged slices fit into one processor's shared memory."""
    needed = tile.shared_bytes(element_bytes(problem.dtype_a)) * tile.resident
    return bool(np.all(needed <= limits.shared_per_block_bytes))
