"""torch's grouped product on a Hopper GPU: a CUTLASS kernel of clusters, its tile set by the rows.

`torch._grouped_mm` (PyTorch, aten/src/ATen/native/cuda/GroupMM.cu) has two kernels, both persistent
and in clusters of two blocks along the rows: tiles of 64 x 128 with slices of 128 elements where
members have at most 128 rows on average or the output at most 128 columns; else 128 x 256 with
slices of 64. Every launch of 300 recorded on an H200 (validation/data, launches.csv) follows that
rule. Sizes are elements of bf16, the only format that this kernel takes; in others a slice is taken
to have as many bytes of the operand that is stored narrower.

A cluster of two works on one column of tiles of one member, and multicasts the slice of B. So a
member's rows are padded to two tiles, and a decode step, whose members have a row or two, keeps
half of the blocks busy with padding. Counts of one cluster and column of tiles, with b bytes per
element, s slices of depth d, tile m x n (derived from that loop nest):

    matrix FLOP        2 (2m) n d s            padded rows are multiplied too
    port               (rows + 2n) d s b       B reaches both blocks
    L2                 (rows + n) d s b
    DRAM               A, B and C once, and what the L2 forgets (schedules/gemm.py)
    stream             s slices that come from the DRAM, as B does for the first stripe of a member:
                       a few are under way, so that each takes its share of the latency
    port written       rows n b, after the last slice; the small kernel works on two tiles in turn
                       ("pingpong"), so that one is stored while the other is multiplied

Where the pitch of a row is no multiple of 128 bytes, slices straddle memory lines, and the copy
engine reads at a pace of its own (`engine`).
"""

from dataclasses import replace

import numpy as np

from hwmodel.einsum.distribution import expected_tiles, touched_members
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import (
    GemmProblem,
    GemmTile,
    conversions,
    dram_bytes,
    narrowest,
    sides_bytes,
)
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

FEW = 128
"""Mean rows of a member, or columns, up to which the small kernel runs."""

CLUSTER = 2
"""Blocks of a cluster, along the rows."""

BF16_BYTES, MOST_DEEPER = 2, 2
"""Slices of narrower formats are deeper, twice at the most: members are seldom much deeper."""

FP8_SLICES = (128, 64)
"""Elements of K in a slice of e4m3, of the small and the large tile (inferred from times: as many
as of bf16)."""

PIECE_BYTES, STREAMED_PIECES = 128, 256
"""A slice comes in pieces of a row of B; so many take the time of one `slice` of a stream, which
one of weights that are stored narrower than the rows takes too (assumed)."""

LINE_BYTES = 128
"""Rows that begin on multiples of it are read at the DRAM's full pace."""


def menu() -> tuple[GemmTile, ...]:
    """The large tile; `resolved` puts the small one in its place."""
    return (GemmTile(128, 256, 64, multicast=CLUSTER, persistent=1),)


def resolved(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The tile that the kernel's rule takes for these rows."""
    mean_rows = floor_div(problem.M, problem.members)
    few = (np.asarray(mean_rows) <= FEW) | (np.asarray(problem.N) <= FEW)
    column = 0 * tile.block_n
    deeper = min(MOST_DEEPER, BF16_BYTES / narrowest(problem))
    return replace(
        tile,
        block_m=where(few, 64, tile.block_m) + column,
        block_n=where(few, 128, tile.block_n) + column,
        block_k=where(few, 128, tile.block_k) * deeper + column,
    )


def resolved_rows(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The same of the kernel for fp8 with a scale for each row.

    Its slices have half the bytes, and it starts every tile anew: the addresses of the next tile's
    operands are written only then (inferred from times).
    """
    found = resolved(tile, problem, limits)
    few = found.block_m < tile.block_m
    return replace(found, block_k=where(few, *FP8_SLICES), persistent=0 * found.block_n)


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One call: the kernel that writes addresses, then clusters over all members' tiles."""
    element = element_bytes(problem.dtype_a)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    high = CLUSTER * tile.block_m
    stripes = _stripes(problem, high)
    columns = ceil_div(problem.N, tile.block_n)
    clusters = stripes * columns
    slots = floor_div(limits.processors, CLUSTER)
    slices = ceil_div(problem.K, tile.block_k)
    rows, width = problem.M / stripes, problem.N / columns
    first = least((1, _touched(problem) / stripes))
    staged = sides_bytes(problem, rows, CLUSTER * width) * problem.K
    depth = tile.block_k * slices
    pieces = tile.block_n * ceil_div(tile.block_k * narrowest(problem), PIECE_BYTES)
    if narrowest(problem) < element:
        pieces = most((pieces, STREAMED_PIECES))
    mainloop = Work(
        operations={(unit, "flop", dtype): 2 * high * tile.block_n * depth},
        read={
            "port": staged,
            "l2": sides_bytes(problem, rows, width) * problem.K,
            "stream": slices * CLUSTER * first * pieces / STREAMED_PIECES,
        },
        written={"shared": staged},
        live={"processors": CLUSTER},
        slots={"fill": 1 - tile.persistent},
    )
    output = rows * width * bytes_of(problem.dtype_out)
    hidden = where(np.asarray(tile.block_m) < menu()[0].block_m, output, 0 * output)
    converted = conversions(problem, CLUSTER * tile.block_n * depth)
    mainloop = Overlap((mainloop, Work(written={"port": hidden}), converted))
    epilogue = Work(written={"port": output - hidden})
    read, written = dram_bytes(problem, tile, limits)
    ragged = where(problem.K * element % LINE_BYTES == 0, 0.0, 1.0)
    body = Overlap(
        (
            Waves(clusters, slots, Serial((mainloop, epilogue))),
            Work(read={"dram": read, "engine": ragged * read}, written={"dram": written}),
        )
    )
    return Serial((Work(slots={"launch": 1}), body))


def _touched(problem: GemmProblem) -> Amount:
    """Members that have rows."""
    if problem.routing is None:
        return problem.members
    return touched_members(problem.routing, problem.members)


def _stripes(problem: GemmProblem, high: Amount) -> Amount:
    """Stripes of `high` rows, of all members together."""
    if problem.routing is None:
        return problem.members * ceil_div(problem.M / problem.members, high)
    return most((1, expected_tiles(problem.routing, problem.members, high)))
