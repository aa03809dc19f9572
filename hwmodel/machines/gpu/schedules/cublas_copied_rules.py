"""The kernels that cuBLAS 13 launches where threads copy: 16-bit rows off 16 bytes, and fp32.

Tiles, warps and residents are read from the names and grids of 2,450 launches of an H200
(validation/data, launches.csv); which of them runs `cublas_copied_choice` says.
"""

from dataclasses import dataclass, fields
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

ADDING, ADDED, ADDED_WAVE, ADDERS = 0.84, 104.0, 2250.0, 4
"""The kernel that adds parts: over the reduction of bulk kernels, clocks for each part and each
wave of its blocks, of which so many share a processor."""
FEW_PARTS, MORE_PARTS = 32, 0.5
"""Parts beyond which each of more takes half as long (5.3 us of 131 parts, 10 of 264)."""
ADDED_M, ADDED_N = 16, 32
"""Rows and columns of such a block (read from grids)."""

TURN = 400.0
"""Clocks from one part of a sum to the next that is added in turn."""

NARROW_N, NARROW_M = 8, 10
"""Columns of a block, most rows (read from names and grids)."""
NARROW_RESIDENT, NARROW_TWO, NARROW_THREE = 5, 6, 8
"""Blocks that share a processor, by registers: of kernels for two rows and for three others."""


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
    effort: Array
    added: Array


def _wmma(width: int) -> dict[str, tuple[float, ...]]:
    """Tiles of 16 and 32, slices of 32 to 128, one stage or two; threads copy `width` bytes."""
    blocks = {(16, 64, 1): 32, (16, 64, 2): 22, (16, 128, 1): 21, (16, 128, 2): 13}
    blocks |= {(16, 32, 1): 32, (16, 32, 2): 32, (32, 32, 1): 12, (32, 32, 2): 9}
    blocks |= {(32, 64, 1): 9, (32, 64, 2): 6, (32, 128, 1): 8, (32, 128, 2): 5}
    words = width == WORD_BYTES
    waits, issue = (STAGE_WAITS, WMMA_ISSUE) if words else (ALONE_WAITS, ALONE_ISSUE)
    lanes, effort = (WMMA_LANES, 1.0) if words else (ALONE_LANES, SHALLOW)
    found: dict[str, tuple[float, ...]] = {}
    for (side, depth, stages), resident in blocks.items():
        warps = side * side / 256
        copies = 2 * side * depth * ELEMENT_BYTES / width / 32 / warps
        wait = waits[stages - 1] + issue * copies
        name, shape = f"wmma {side}x{depth}x{stages}", (side, side, depth, warps, resident)
        found[name] = (*shape, lanes, wait, effort, ADDED)
    return found


MMA = {
    f"mma {n}x{m}": (n, m, 64, warps, resident, MMA_LANES, AHEAD_WAIT, 1.0, ADDED)
    for n, m, warps, resident in (
        *((256, 128, 8, 1), (128, 256, 8, 1), (256, 64, 4, 1)),
        *((128, 128, 4, 2), (128, 64, 4, 3), (64, 64, 4, 4), (64, 128, 4, 3), (64, 256, 4, 1)),
    )
}
SINGLE = {
    f"single {n}x{m}": (
        *(n, m, 32, w, resident, lanes),
        *(SINGLE_WAIT + SINGLE_ISSUE * (n + m) / w, SHALLOW, ADDED),
    )
    for n, m, w, resident, lanes in (
        (64, 64, 4, 5, SINGLE_LANES),
        (128, 128, 4, 2, SINGLE_LANES),
        (256, 128, 8, 1, TALL_LANES),
    )
}
"""Columns, rows and depth of tiles, warps, residents (read from names), lanes and waits."""

VECTOR_DEPTH = 8
"""Terms of K in a slice of fp32's kernels, whose copies hide beneath their products."""

VECTOR_PART = 494.0
"""Clocks that each part takes in the kernel that adds them: there one of tiles of its own."""

VECTOR = {
    f"{name} {n}x{m}": (n, m, VECTOR_DEPTH, warps, resident, 0.0, wait, effort, added)
    for name, n, m, warps, resident, wait, effort, added in (
        ("ffma", 256, 128, 8, 1, 811.0, 1.01, VECTOR_PART),
        ("ffma", 128, 256, 8, 1, 811.0, 1.01, VECTOR_PART),
        ("ffma", 128, 128, 4, 2, 263.0, 1.126, VECTOR_PART),
        ("ffma", 256, 64, 4, 2, 309.0, 1.146, 1763.0),
        ("ffma", 64, 256, 4, 2, 285.0, 1.155, VECTOR_PART),
        ("ffma", 128, 64, 4, 2, 517.0, 0.921, VECTOR_PART),
        ("ffma", 64, 128, 4, 2, 353.0, 1.124, VECTOR_PART),
        ("ffma", 128, 32, 2, 4, 666.0, 1.268, 896.0),
        ("ffma", 32, 128, 4, 4, 357.0, 1.3, VECTOR_PART),
        ("ffma", 64, 64, 4, 4, 274.0, 1.251, VECTOR_PART),
        ("ffma", 64, 32, 2, 9, 246.0, 1.784, VECTOR_PART),
        ("ffma", 32, 64, 4, 4, 457.0, 1.102, VECTOR_PART),
        ("ffma", 32, 32, 2, 12, 373.0, 1.502, VECTOR_PART),
        ("simt", 32, 128, 4, 6, 283.0, 3.69, ADDED),
        ("simt", 64, 128, 4, 4, 517.0, 0.921, ADDED),
        ("simt", 256, 128, 8, 1, 765.0, 1.346, ADDED),
        ("simt", 128, 256, 8, 1, 765.0, 1.346, ADDED),
        ("simt", 128, 128, 8, 2, 263.0, 1.126, ADDED),
        ("simt", 128, 64, 4, 4, 517.0, 0.921, ADDED),
        ("simt", 128, 32, 4, 6, 283.0, 3.69, ADDED),
        ("simt", 64, 64, 4, 6, 424.0, 1.401, ADDED),
        ("largek", 64, 8, 4, 12, 611.0, 5.17, ADDED),
    )
}
"""Columns and rows of fp32's tiles, warps, residents, clocks that a slice waits and what products
take over the vector units' rate: xmma ffma, cutlass simt, and sgemm_largek, whose parts are added
to C by atomics."""


def _columns(kernels: dict[str, tuple[float, ...]]) -> Kernels:
    any_ = next(iter(kernels.values()))  # fields that it does not read
    narrow = {cublas_copied_choice.NARROW: any_}
    every = kernels | narrow
    return Kernels(tuple(every), *np.array(list(every.values()), dtype=np.float64).T)


KERNELS = {
    ("matrix", WORD_BYTES): _columns(MMA | _wmma(WORD_BYTES)),
    ("matrix", ELEMENT_BYTES): _columns(SINGLE | _wmma(ELEMENT_BYTES)),
    ("vector", WORD_BYTES): _columns(VECTOR),
}
"""By the unit that multiplies and the bytes of a copy."""


def chosen(problem: GemmProblem, unit: str, width: int, limits: Limits) -> dict[str, Any]:
    """Fields of the tiles for operands whose copies are so wide, of one point or many.

    Which kernel and how K is split `cublas_copied_choice` says; several single elements of K are
    copied at once where it is a multiple of 4.
    """
    dtype = "fp32" if unit == "vector" else base_of(problem.dtype_a)
    choice = cublas_copied_choice.chosen(problem, dtype, width, limits)
    kernels = KERNELS[unit, width]
    place = np.array([kernels.names.index(name) for name in choice.names])[choice.kernel]
    names = [each.name for each in fields(kernels) if each.name != "names"]
    found: dict[str, Any] = {name: getattr(kernels, name)[place] for name in names}
    m, n, k = (np.asarray(size, np.float64) for size in (problem.M, problem.N, problem.K))
    fours = (width == ELEMENT_BYTES) & (k % 4 == 0)
    found["lanes"] = found["lanes"] * np.where(fours, FOURS, 1)
    tiles = problem.batch * np.ceil(m / found["block_m"]) * np.ceil(n / found["block_n"])
    filled = np.floor(-choice.parts * limits.processors / tiles)
    parts = np.where(choice.parts < 0, filled, choice.parts)
    split = np.maximum(parts, 1)  # some of which may have nothing to add
    found |= {"split": split, "in_turn": choice.in_turn * (split > 1)}
    found = _columns_where(choice.narrow | (m == 1), found, m)  # one row is a vector
    told = {name: np.atleast_1d(np.asarray(v, np.float64)) for name, v in found.items()}
    apart = {"multicast": 1.0, "copy_bytes": float(width), "persistent": 0.0}
    return told | apart


def _columns_where(narrow: Array, found: dict[str, Any], m: Array) -> dict[str, Any]:
    """The fields of tiles with those of the narrow kernel where it runs."""
    resident = np.where(m == 2, NARROW_TWO, np.where(m == 3, NARROW_THREE, NARROW_RESIDENT))
    fixed = {"block_m": m, "block_n": NARROW_N, "split": 1, "resident": resident}
    changed = {name: np.where(narrow, value, found[name]) for name, value in fixed.items()}
    return found | changed | {"narrow": narrow}


def narrowed(found: dict[str, Any], problem: GemmProblem) -> dict[str, Any]:
    """The fields of words' tiles, with those of the narrow kernel for one row."""
    m = np.array(problem.M, np.float64, ndmin=1)
    return _columns_where(m == 1, found, m)


def issued(full: Any, inside: Any) -> Any:
    """Copies that are issued for so many elements, of which so many lie inside the matrix."""
    return PADDED * full + (1 - PADDED) * inside
