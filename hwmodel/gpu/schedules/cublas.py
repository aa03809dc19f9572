"""Tiles that cuBLAS 13 chooses from on a Hopper GPU, and the sizes that it gives them.

Two kinds of kernel. Where every row of A, B and C begins on a multiple of 16 bytes, persistent
kernels move slices with the bulk copy engine and multicast them within clusters; their tiles come
in steps of 8 along the rows (tokens), so that the library picks one whose grid just fills one or
two waves. Elsewhere older kernels copy thread by thread, at most 4 bytes an instruction even where
the alignment is 8, and their tiles are powers of two. fp32 products run on the vector units with
tiles of the second kind. Sizes are elements; the side along N is `block_n`.

The menu is recalled from kernel names of cuBLAS 12.4 to 13.1 (nvjet, 64 to 256 by 8 to 256; sm80
and SIMT kernels) and pruned: tiles whose absence hardly raised the error are left out. Splits of K
fill the device once. Alignment rules and the constants below are inferred from times on an H200.
"""

from dataclasses import dataclass, replace

import numpy as np

from hwmodel.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.dtypes import bytes_of
from hwmodel.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.gpu.units import product_unit
from hwmodel.hardware import Limits
from hwmodel.units import Amount

BULK_BYTES = 16
"""Alignment that the bulk copy engine needs of every row (CUDA C++ Programming Guide, TMA)."""

SLICE_BYTES = 128
"""Bytes of K in one slice: the widest row that the copy engine swizzles without conflicts."""

COPIED_SLICE_BYTES = 64
WIDEST_COPY_BYTES = 4
"""Kernels for alignments of 4 and 8 bytes run at one speed, so that both copy 4 (fitted)."""

MOST_OUTPUTS = 256 * 160
"""Outputs of a tile whose fp32 sums still fit the registers of two warpgroups (fitted)."""

ROW_STEP = 8
"""The matrix instruction's columns, here rows of tokens, come in eights (PTX ISA, wgmma)."""

OLDER = ("tf32",)
"""Formats whose kernels keep to tiles that are powers of two (inferred from times)."""

CLUSTER = 4
"""Blocks that share a slice by multicast (names of nvjet kernels: 2x1, 1x2, 4x1)."""

FILL = 0
"""In a menu: as many splits of K as fill the device once."""

MOST_SPLITS, LEAST_STEPS = 64, 4
"""No library splits K further, or below that many slices (fitted)."""

COLUMNS = (64, 128, 192, 256)
WAVES = (1, 2)
WIDE = ((256, 128), (256, 256))
"""(most rows, columns) of the tiles for grids of many waves."""

SPLIT = ((128, 128), (128, 256), (64, 64), (128, 64), (64, 128))
"""(most rows, columns) of the tiles that split K."""

COPIED = ((128, 128), (128, 256), (32, 128), (32, 64), (32, 32), (64, 128), (128, 64), (64, 64))
"""(rows, columns) of the tiles of kernels that copy thread by thread; the first five split K."""


@dataclass(frozen=True)
class LibraryTile(GemmTile):
    """A candidate: a bulk tile, and the tile that takes its place where rows are not aligned.

    `block_m` is the most rows that the bulk tile may have; `waves` in how many waves its grid
    should fit (0: it keeps `block_m`).
    """

    waves: Amount = 0
    copied_m: Amount = 128
    copied_n: Amount = 128


def menu() -> tuple[LibraryTile, ...]:
    """Every candidate; the copied tiles, split and not, are dealt out over the bulk ones."""
    bulk = [(256, n, waves, 1) for n in COLUMNS for waves in WAVES]
    bulk += [(m, n, 0, 1) for m, n in WIDE]
    unsplit = len(bulk)
    bulk += [(m, n, 0, FILL) for m, n in SPLIT]
    candidates: list[LibraryTile] = []
    for place, (m, n, waves, split) in enumerate(bulk):
        copied_m, copied_n = COPIED[place % unsplit % len(COPIED)]
        candidates.append(
            LibraryTile(
                m,
                n,
                split=split,
                multicast=CLUSTER,
                waves=waves,
                copied_m=copied_m,
                copied_n=copied_n,
            )
        )
    return tuple(candidates)


def resolved(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The tile with its sizes for these operands: path, rows that fit the waves, splits."""
    bulk = _bulk(problem)
    column = 0 * tile.block_n
    element = bytes_of(problem.dtype_a)
    block_n = where(bulk, tile.block_n, tile.copied_n)
    block_m = where(bulk, _rows(tile, problem, limits), tile.copied_m)
    block_k = where(bulk, SLICE_BYTES, COPIED_SLICE_BYTES) / element
    blocks = problem.batch * ceil_div(problem.M, block_m) * ceil_div(problem.N, block_n)
    deepest = floor_div(ceil_div(problem.K, block_k), LEAST_STEPS)
    wanted = most((1, least((floor_div(limits.processors, blocks), deepest, MOST_SPLITS))))
    return replace(
        tile,
        block_m=block_m,
        block_n=block_n,
        block_k=block_k + column,
        split=where(tile.split == FILL, wanted, tile.split),
        multicast=where(bulk, tile.multicast, 1) + column,
        copy_bytes=where(bulk, 0, _copy_bytes(problem)) + column,
        persistent=where(bulk, 1, 0) + column,
    )


def _rows(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> Amount:
    """Rows of a bulk tile: the fewest, in steps of 8, whose grid fits the wanted waves."""
    registers = floor_div(MOST_OUTPUTS // ROW_STEP, tile.block_n) * ROW_STEP
    columns = problem.batch * ceil_div(problem.N, tile.block_n)
    stripes = most((1, floor_div(tile.waves * limits.processors, columns)))
    wanted = ceil_div(ceil_div(problem.M, stripes), ROW_STEP) * ROW_STEP
    if problem.dtype_a in OLDER:
        wanted = 2.0 ** np.ceil(np.log2(wanted))
    return least((wanted, tile.block_m, registers))


def _bulk(problem: GemmProblem) -> object:
    """Whether every row of the operands and of the output is aligned for bulk copies."""
    unit, _ = product_unit(problem.dtype_a, problem.dtype_b)
    needed = BULK_BYTES if unit == "matrix" else np.inf
    single = unit == "matrix" and np.asarray(problem.M) == 1
    return (np.asarray(_alignment(problem)) >= needed) | single


def _copy_bytes(problem: GemmProblem) -> Amount:
    """Bytes that one copy instruction moves: the alignment, at most what the kernels use."""
    unit, _ = product_unit(problem.dtype_a, problem.dtype_b)
    widest = BULK_BYTES if unit == "vector" else WIDEST_COPY_BYTES
    return least((_alignment(problem), widest))


def _alignment(problem: GemmProblem) -> Amount:
    """The largest power of two, up to 16 bytes, that divides the pitch of A, B and C."""
    pitches = (
        problem.K * bytes_of(problem.dtype_a),
        problem.K * bytes_of(problem.dtype_b),
        problem.N * bytes_of(problem.dtype_out),
    )
    return least(_power(pitch) for pitch in pitches)


def _power(pitch: Amount) -> Amount:
    size: Amount = 1
    for step in (2, 4, 8, 16):
        size = where(pitch % step == 0, step, size)
    return size
