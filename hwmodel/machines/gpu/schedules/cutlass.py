"""vLLM's CUTLASS products of fp8 on Hopper, with a scale for each row and column.

The tile goes by the rows (vllm, csrc/quantization/w8a8/cutlass/c3x, sm90 fp8 dispatch, recalled;
the times of an H200 agree). Up to 64 rows the operands change places, so that 64 columns of the
output are a warpgroup's rows, and slices are 256 deep:

    rows of A      <= 16      <= 64      <= 128       more
    tile           16 x 64    64 x 64    64 x 128     128 x 128
    slice          256        256        128          128
    cluster        1          1          2            2

The sum over K is never split: with few columns a product is a chain of slices on few processors.
Two things are inferred from times. From 17 to 32 rows weights stream at a pace of their own
(`engine`), which 48 rows exceed: few of the wide slices are under way. And clusters are two tiles
of rows: where the last of an odd number of tiles has a neighbour that lies beyond the last row
altogether, the pair takes several times as long (as if copies of nothing were slow ones); 257 rows
take longer than 512, 777 longer than 1,024.
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import gemm
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.quantity.arithmetic import ceil_div, least, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

MENU = (GemmTile(128, 128, 128, stages=4, multicast=2, persistent=1),)

FEW, SOME, SLOW = 16, 64, (16, 32)
PAIRED_N = 256
"""Columns of a tile where two processors multiply together and the tiles fill all of them (pairs
of blocks on Blackwell are 256 wide; CUTLASS's dispatch was not read)."""

EMPTY = 75.0
"""Wait for each slice of a tile that lies beyond the rows, in the clocks that a slice takes at the
least, where pairs of tiles fill the processors; of fewer pairs the square of their share of it (191
products of the fitting half, H200, sitting 2026-11-29-ah; 176 others are 8 % off, 12 before)."""


def resolved(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The tile for these rows."""
    rows, column = np.asarray(problem.M), 0 * tile.block_n
    few = rows <= SOME
    across = PAIRED_N * (limits.pair > 1)
    tiles = ceil_div(problem.M, 128) * ceil_div(problem.N, PAIRED_N)
    wide = (across > 0) & (rows > 128) & (tiles >= limits.processors)
    return replace(
        tile,
        block_m=where(rows <= FEW, 16, where(rows <= 128, 64, 128)) + column,
        block_n=where(wide, PAIRED_N, where(few, 64, 128)) + column,
        block_k=where(few, 256, 128) + column,
        multicast=where(few, 1, 2) + column,
    )


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One product, and what it waits for."""
    rows = np.asarray(problem.M)
    slow = where((rows > SLOW[0]) & (rows <= SLOW[1]), 1.0, 0.0)
    weights = problem.N * problem.K * bytes_of(problem.dtype_b)
    tiles = ceil_div(problem.M, tile.block_m)
    alone = where(
        (tile.block_m == 128) & (limits.pair <= 1) & (tiles % tile.multicast != 0), 1.0, 0.0
    )
    columns = ceil_div(problem.N, tile.block_n)
    pairs = ceil_div(tiles, tile.multicast) * columns
    filled = least((1.0, tile.multicast * pairs / limits.processors))
    waits = EMPTY * alone * columns * ceil_div(problem.K, tile.block_k) * filled * filled
    product = gemm.activity(problem, tile, limits)
    return Serial(
        (
            Overlap((product, Work(read={"engine": slow * weights}))),
            Work(read={"pipeline": waits}),
        )
    )
