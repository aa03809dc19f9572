"""The kernels that cuBLAS 13 launches for 16-bit products whose rows begin off 16 bytes.

Tiles, warps and residents are read from the names and grids of 1,370 launches of an H200
(validation/data, launches.csv); which of them runs `cublas_copied_choice` says.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas_copied_choice
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.quantity.dtypes import base_of

Array = NDArray[Any]

WORD_BYTES, ELEMENT_BYTES = 4, 2
"""What a copy moves."""

MMA_LANES, WMMA_LANES, SINGLE_LANES, TALL_LANES, ALONE_LANES = 0.691, 0.53, 0.66, 0.87, 0.495
"""What copies take over those of 4 bytes, run ahead: in mma, in wmma, of single elements, of these
in 256 x 128, and in wmma."""

FOURS = 1.24
"""The same of single elements where K is a multiple of 4, for no known reason."""

SHALLOW = 1.95
"""Matrix instructions of kernels for single elements over others': they are half as deep."""

PADDED = 0.45
"""Share of the copies beyond the matrix' edge that are issued all the same."""

AHEAD_WAIT, SINGLE_WAIT, STAGE_WAITS, ALONE_WAITS = 881.0, 927.0, (591.0, 403.0), (352.0, 345.0)
"""Clocks that a slice waits: mma, single, wmma of one stage and of two, and element by element."""

WMMA_ISSUE, ALONE_ISSUE, SINGLE_ISSUE = 18.7, 14.9, 7.0
"""Clocks between copies of one warp that nothing else of the warp fills."""

STORED_BYTES = 5.8
"""Bytes at the rate of bulk stores that storing an element takes: threads store it alone."""

BEGIN = 0.8
"""Their launch over that of bulk kernels, whose blocks come in clusters."""

MEMSET = 0.84
"""The node that clears counters, in launches (2.1 us)."""

ADDING, ADDED_PART, ADDED_WAVE, ADDERS = 0.84, 104.0, 2250.0, 4
"""The kernel that adds parts: over the reduction of bulk kernels, clocks for each part and each
wave of its blocks, of which so many share a processor."""
ADDED_M, ADDED_N = 16, 32
"""Rows and columns of such a block (read from grids)."""

NARROW_N, NARROW_M = 8, 10
"""Columns of a block, most rows (read from names and grids)."""
NARROW_RESIDENT, NARROW_TWO, NARROW_THREE = 5, 6, 8
"""Blocks that share a processor, by registers: of kernels for two rows and for three others."""

NARROW_WORDS_M, NARROW_WORDS_N, NARROW_WORDS_K = 6, (800, 1600), 5000
"""Of fp32: columns from which on two rows pass the vector units, and up to four; most rows of up to
such a K."""


@dataclass(frozen=True, eq=False)
class Kernels:
    """Kernels of one width of copies as columns: `LibraryTile`'s fields, by name."""

    names: tuple[str, ...]
    block_n: Array
    block_m: Array
    block_k: Array
    warps: Array
    resident: Array
    lanes: Array
    wait: Array


def _wmma(width: int) -> dict[str, tuple[float, ...]]:
    """Tiles of 16 and 32, slices of 64 and 128, one stage or two; threads copy `width` bytes."""
    blocks = {(16, 64, 1): 32, (16, 64, 2): 22, (16, 128, 1): 21, (16, 128, 2): 13}
    blocks |= {(32, 64, 1): 9, (32, 64, 2): 6, (32, 128, 1): 8, (32, 128, 2): 5}
    words = width == WORD_BYTES
    waits, issue = (STAGE_WAITS, WMMA_ISSUE) if words else (ALONE_WAITS, ALONE_ISSUE)
    lanes = WMMA_LANES if words else ALONE_LANES
    found: dict[str, tuple[float, ...]] = {}
    for (side, depth, stages), resident in blocks.items():
        warps = side * side / 256
        copies = 2 * side * depth * ELEMENT_BYTES / width / 32 / warps
        wait = waits[stages - 1] + issue * copies
        found[f"wmma {side}x{depth}x{stages}"] = (side, side, depth, warps, resident, lanes, wait)
    return found


MMA = {
    f"mma {n}x{m}": (n, m, 64, warps, resident, MMA_LANES, AHEAD_WAIT)
    for n, m, warps, resident in (
        *((256, 128, 8, 1), (128, 256, 8, 1), (256, 64, 4, 1)),
        *((128, 128, 4, 2), (128, 64, 4, 3)),
    )
}
SINGLE = {
    f"single {n}x{m}": (n, m, 32, w, resident, lanes, SINGLE_WAIT + SINGLE_ISSUE * (n + m) / w)
    for n, m, w, resident, lanes in (
        (64, 64, 4, 5, SINGLE_LANES),
        (128, 128, 4, 2, SINGLE_LANES),
        (256, 128, 8, 1, TALL_LANES),
    )
}
"""Columns, rows and depth of tiles, warps, residents (read from names), lanes and waits."""


def _columns(kernels: dict[str, tuple[float, ...]]) -> Kernels:
    narrow = {cublas_copied_choice.NARROW: SINGLE["single 64x64"]}  # fields that it does not read
    every = kernels | narrow
    return Kernels(tuple(every), *np.array(list(every.values()), dtype=np.float64).T)


KERNELS = {
    WORD_BYTES: _columns(MMA | _wmma(WORD_BYTES)),
    ELEMENT_BYTES: _columns(SINGLE | _wmma(ELEMENT_BYTES)),
}
"""By the bytes of a copy."""


def chosen(problem: GemmProblem, width: int, limits: Limits) -> dict[str, Any]:
    """Fields of the tiles for operands whose copies are so wide, of one point or many.

    Which kernel and how K is split `cublas_copied_choice` says; several single elements of K are
    copied at once where it is a multiple of 4.
    """
    choice = cublas_copied_choice.chosen(problem, base_of(problem.dtype_a), width, limits)
    kernels = KERNELS[width]
    place = np.array([kernels.names.index(name) for name in choice.names])[choice.kernel]
    names = ("block_n", "block_m", "block_k", "warps", "resident", "lanes", "wait")
    found = {name: getattr(kernels, name)[place] for name in names}
    m, n, k = (np.asarray(size, np.float64) for size in (problem.M, problem.N, problem.K))
    fours = (width == ELEMENT_BYTES) & (k % 4 == 0)
    found["lanes"] = found["lanes"] * np.where(fours, FOURS, 1)
    tiles = problem.batch * np.ceil(m / found["block_m"]) * np.ceil(n / found["block_n"])
    filled = np.floor(-choice.parts * limits.processors / tiles)
    parts = np.where(choice.parts < 0, filled, choice.parts)
    split = np.maximum(np.minimum(parts, np.ceil(k / found["block_k"])), 1)
    found |= {"split": split, "in_turn": choice.in_turn * (split > 1)}
    found = _columns_where(choice.narrow | (m == 1), found, m)  # one row is a vector
    told = {name: np.atleast_1d(np.asarray(v, np.float64)) for name, v in found.items()}
    apart = {"multicast": 1.0, "copy_bytes": float(width), "persistent": 0.0}
    apart["effort"] = SHALLOW if width == ELEMENT_BYTES else 1.0
    return told | apart


def _columns_where(narrow: Array, found: dict[str, Any], m: Array) -> dict[str, Any]:
    """The fields of tiles with those of the narrow kernel where it runs."""
    resident = np.where(m == 2, NARROW_TWO, np.where(m == 3, NARROW_THREE, NARROW_RESIDENT))
    fixed = {"block_m": m, "block_n": NARROW_N, "split": 1, "resident": resident}
    changed = {name: np.where(narrow, value, found[name]) for name, value in fixed.items()}
    return found | changed | {"narrow": narrow}


def narrowed(found: dict[str, Any], problem: GemmProblem, few_too: bool) -> dict[str, Any]:
    """The fields of words' tiles, with those of narrow kernels for one row, or few of fp32's."""
    m, n, k = (np.array(size, np.float64, ndmin=1) for size in (problem.M, problem.N, problem.K))
    short = (m <= NARROW_WORDS_M) & (n >= NARROW_WORDS_N[1]) & (k <= NARROW_WORDS_K)
    few = ((m == 2) & (n >= NARROW_WORDS_N[0])) | ((m <= 4) & (n >= NARROW_WORDS_N[1])) | short
    return _columns_where((m == 1) | (few & few_too), found, m)


def issued(full: Any, inside: Any) -> Any:
    """Copies that are issued for so many elements, of which so many lie inside the matrix."""
    return PADDED * full + (1 - PADDED) * inside
