"""Which kernel cuBLAS 13 launches for 16-bit products whose rows begin off 16 bytes.

The library is taken to launch what is fastest by the counts of `cublas_copied` in clocks, within
conditions that are read, like tiles, warps and residents, from the names and grids of 1,370
launches of an H200 (validation/data, launches.csv). It does so for half of its products; the others
take as long within a few per cent on average.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.cublas_rules import POINTS
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.quantity.dtypes import base_of

Array = NDArray[Any]

WORD_BYTES, ELEMENT_BYTES = 4, 2
"""What a copy moves."""

LANES = 3.93
"""Copies of 4 bytes, run ahead, that a processor passes in a clock (for the choice; see `copy`)."""

MMA_LANES, WMMA_LANES, SINGLE_LANES, TALL_LANES = 0.875, 0.59, 0.7, 0.97
"""What copies take over those: in mma, in wmma, of single elements, of these in 256 x 128."""

FOURS = 1.25
"""The same of single elements where K is a multiple of 4, for no known reason."""

SHALLOW = 2.0
"""Matrix instructions of kernels for single elements over others': they are half as deep."""

PADDED = 0.64
"""Share of the copies beyond the matrix' edge that are issued all the same."""

PRODUCT = 1.27
"""Clocks of products over those at the datasheet's rate (for the choice)."""

AHEAD_WAIT, SINGLE_WAIT, ONE_WAIT, TWO_WAIT = 325.0, 558.0, 387.0, 203.0
"""Clocks that a slice waits: mma, single, wmma of one stage and of two."""

WMMA_ISSUE, SINGLE_ISSUE = 20.5, 10.7
"""Clocks between copies of one warp that nothing else of the warp fills."""

STORED_BYTES = 5.5
"""Bytes at the rate of bulk stores that storing an element takes: threads store it alone."""

MEMSET = 0.84
"""The node that clears counters, in launches (2.1 us)."""

ADDING, ADDED_PART, ADDED_WAVE, ADDERS = 0.65, 104.0, 2250.0, 4
"""The kernel that adds parts: over the reduction of bulk kernels, clocks for each part and each
wave of its blocks, of which so many share a processor."""
ADDED_M, ADDED_N = 16, 32
"""Rows and columns of such a block (read from grids)."""

NARROW_N, NARROW_M = 8, 10
"""Columns of a block, most rows (read from names and grids)."""
NARROW_RESIDENT, NARROW_TWO, NARROW_THREE = 5, 6, 8
"""Blocks that share a processor, by registers: of kernels for two rows and for three others."""

NARROW_K, WIDE_N, NARROW_WIDE_M, DEEP = (2400, 1200), 2000, 6, 6
"""Up to so many rows, and for more, those of such a K pass the vector units; the former from such
a width on, too, where K is no more than so many times as long (as far as launches showed it)."""
NARROW_LEAST_N = 800
"""Columns from which on the latter do so."""
NARROW_WORDS_M, NARROW_WORDS_N, NARROW_WORDS_K = 6, (800, 1600), 5000
"""The same of fp32: columns from which on two rows pass them, and up to four; most rows of up to
such a K."""
FEW_ROWS, LONG_K, LONG_N = 16, 3000, 5000
"""For so few rows mma runs from such sizes on."""
FEW_NARROW_N, FEW_N, FEW_K, FEW_SPLITS = 500, 1500, 1500, (33, 16, 6)
"""For them wmma splits K in so many parts at most, below two widths and above; tiles of 32 stand in
for those of 16 below such a K only."""
SPLIT_N, SPLIT_M, SPLIT_K = 600, (5, 10), (1450, 1000, 500, 1300, 700)
"""Least K that wmma splits: of few rows and columns below so many rows, below so many, and from
them on; of few rows; of more."""
TALL_M, TALL_K, TALL_N = 8, 400, 2100
"""Of few rows whole sums have tiles of 32 from so many rows on and below such a K; split ones up to
such a width."""
LONG_SUM, WHOLE_N = (2500, 2200), (6400, 8000)
"""Least K that is split at all of few rows, and of up to `MORE_ROWS`, from such widths on."""
MORE_ROWS = 64
WHOLE_K = (600, 300)
"""K from which on wmma runs no such wide products of up to 32 rows, and of up to `MORE_ROWS`."""
TWO_STAGES_N, DEEPER, DEEPER_K = 2500, 128, 2000
"""Columns from which on whole sums of few rows run in two stages; slices of split ones from `FEW_N`
and such a K on."""

LAUNCH_CLOCKS, MEMSET_CLOCKS, ADDING_CLOCKS = 4811.0, 4158.0, 2633.0
STORED_PER_CLOCK, CLOCK_PRODUCTS, DRAM_PER_CLOCK, PART_CLOCKS = 18.9, 2048.0, 2056.0, 7e-4
"""For the choice: clocks of a launch, a memset and an addition, bytes stored and multiply-adds of a
processor in a clock, bytes of the DRAM, clocks of an element of a part that is added."""

LEAST_SLICES, MOST_SPLITS = 2, 64
WHOLE, BY_BLOCKS, BY_PROCESSORS = 0, 1, -1
"""Kinds of splits: none, to fill all slots of blocks, to fill processors; 2 and more: in turn."""

SPLIT_HELD = 1.15
"""What splits of wmma are held for, over their time by these counts (fitted to choices)."""


@dataclass(frozen=True)
class Kernels:
    """A menu as columns (candidates x 1): `LibraryTile`'s fields, kinds of split.

    `wmma` are stages of its kernels, 0 of others.
    """

    n: Array
    m: Array
    k: Array
    warps: Array
    resident: Array
    lanes: Array
    wait: Array
    beneath: Array
    wmma: Array
    kind: Array


def _menu(rows: list[tuple[float, ...]], kinds: tuple[int, ...]) -> list[tuple[float, ...]]:
    return [(*row, kind) for kind in kinds for row in rows]


def _wmma(width: int) -> list[tuple[float, ...]]:
    """Tiles of 16 and 32, slices of 64 and 128, one stage or two; threads copy `width` bytes."""
    blocks = {(16, 64, 1): 32, (16, 64, 2): 22, (16, 128, 1): 21, (16, 128, 2): 13}
    blocks |= {(32, 64, 1): 9, (32, 64, 2): 6, (32, 128, 1): 8, (32, 128, 2): 5}
    found: list[tuple[float, ...]] = []
    for (side, depth, stages), resident in blocks.items():
        warps = side * side / 256
        copies = 2 * side * depth * ELEMENT_BYTES / width / 32 / warps
        wait = (ONE_WAIT if stages == 1 else TWO_WAIT) + WMMA_ISSUE * copies
        lanes = WMMA_LANES if width == WORD_BYTES else SINGLE_LANES
        beneath = int(width == ELEMENT_BYTES)
        found.append((side, side, depth, warps, resident, lanes, wait, beneath, stages))
    return found


MMA_TILES = ((256, 128, 8, 1), (128, 256, 8, 1), (256, 64, 4, 1), (128, 128, 4, 2), (128, 64, 4, 3))
MMA: list[tuple[float, ...]] = [
    (n, m, 64, warps, resident, MMA_LANES, AHEAD_WAIT, 0, 0) for n, m, warps, resident in MMA_TILES
]
SINGLE: list[tuple[float, ...]] = [
    (n, m, 32, warps, resident, lanes, SINGLE_WAIT + SINGLE_ISSUE * (n + m) / warps, 1, 0)
    for n, m, warps, resident, lanes in (
        (64, 64, 4, 5, SINGLE_LANES),
        (128, 128, 4, 2, SINGLE_LANES),
        (256, 128, 8, 1, TALL_LANES),
    )
]
SPLIT_KINDS, ALL_KINDS = (WHOLE, BY_BLOCKS, BY_PROCESSORS), (WHOLE, 1, -1, 2, 3, 4)


def _columns(rows: list[tuple[float, ...]]) -> Kernels:
    return Kernels(*np.array(rows, dtype=np.float32).T[:, :, None])


MENUS = {
    WORD_BYTES: _columns(_menu(MMA, ALL_KINDS) + _menu(_wmma(WORD_BYTES), SPLIT_KINDS)),
    ELEMENT_BYTES: _columns(_menu(SINGLE, ALL_KINDS)),
}
"""By the bytes of a copy."""
SINGLE_FP16 = _columns(_menu(SINGLE, ALL_KINDS) + _menu(_wmma(ELEMENT_BYTES), SPLIT_KINDS))
"""Single elements of fp16, which wmma copies too, in place of narrow kernels."""


@np.errstate(over="ignore")  # of sizes whose clocks no single precision holds
def chosen(problem: GemmProblem, width: int, limits: Limits) -> dict[str, Any]:
    """Fields of the tiles for operands whose copies are so wide, of one point or many."""
    asked = (problem.M, problem.N, problem.K, problem.batch, limits.processors)
    sizes = np.broadcast_arrays(*(np.array(size, np.float32, ndmin=1) for size in asked))
    fp16 = base_of(problem.dtype_a) == "fp16"
    menu = SINGLE_FP16 if fp16 and width == ELEMENT_BYTES else MENUS[width]
    pieces = range(0, sizes[0].size, POINTS)
    parts = [_fastest(menu, width, *(size[at : at + POINTS] for size in sizes)) for at in pieces]
    found = {name: np.hstack([part[name] for part in parts]) for name in parts[0]}
    found = _columns_where(_is_narrow(width, fp16, *sizes[:3]), found, sizes[0])
    told = {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}
    apart = {"multicast": 1.0, "copy_bytes": float(width), "persistent": 0.0}
    apart["effort"] = SHALLOW if width == ELEMENT_BYTES else 1.0
    return told | apart


def _columns_where(narrow: Array, found: dict[str, Any], m: Array) -> dict[str, Any]:
    """The fields of tiles with those of the narrow kernel where it runs."""
    resident = np.where(m == 2, NARROW_TWO, np.where(m == 3, NARROW_THREE, NARROW_RESIDENT))
    fixed = {"block_m": m, "block_n": NARROW_N, "split": 1, "resident": resident}
    changed = {name: np.where(narrow, value, found[name]) for name, value in fixed.items()}
    return found | changed | {"narrow": narrow}


def narrowed(found: dict[str, Any], problem: GemmProblem) -> dict[str, Any]:
    """The fields of fp32's tiles, with those of the narrow kernel for few rows of many columns."""
    m, n, k = (np.array(size, np.float64, ndmin=1) for size in (problem.M, problem.N, problem.K))
    short = (m <= NARROW_WORDS_M) & (n >= NARROW_WORDS_N[1]) & (k <= NARROW_WORDS_K)
    few = ((m == 2) & (n >= NARROW_WORDS_N[0])) | ((m <= 4) & (n >= NARROW_WORDS_N[1])) | short
    return _columns_where((m == 1) | few, found, m)


def _is_narrow(width: int, fp16: bool, m: Array, n: Array, k: Array) -> Array:
    if width == WORD_BYTES or fp16:
        return m == 1
    fewest = m <= NARROW_WIDE_M
    short = (k < np.where(fewest, *NARROW_K)) & (fewest | (n >= NARROW_LEAST_N))
    return (m == 1) | ((m <= NARROW_M) & (short | (fewest & (n >= WIDE_N) & (k <= DEEP * n))))


def _fastest(
    menu: Kernels, width: int, m: Array, n: Array, k: Array, batch: Array, processors: Array
) -> dict[str, Array]:
    """The candidate of least clocks at each point."""
    rows, columns = np.ceil(m / menu.m), np.ceil(n / menu.n)
    tiles = batch * rows * columns
    slices = np.ceil(k / menu.k)
    slots = processors * np.where(menu.kind == BY_BLOCKS, menu.resident, 1)
    fill = np.where(menu.kind > 1, menu.kind, np.floor(slots / tiles))
    parts = np.minimum(_most_parts(menu, m, n), np.floor(slices / LEAST_SLICES))
    fixed = (m <= FEW_ROWS) & (menu.wmma > 0) & (n >= FEW_N) & (menu.kind == BY_BLOCKS)
    fill = np.minimum(np.where(fixed, FEW_SPLITS[-1], fill), parts)
    split = np.where(menu.kind == WHOLE, 1, np.maximum(fill, 1))
    in_turn = (menu.kind > 1) & (split > 1)
    each = np.ceil(tiles * split / processors)
    turns = np.ceil(each / menu.resident)
    steps = np.ceil(slices / split)
    copies = issued(menu.m + menu.n, m / rows + n / columns) * (ELEMENT_BYTES / width) * menu.k
    copies *= menu.lanes * np.where((width == ELEMENT_BYTES) & (k % 4 == 0), FOURS, 1) / LANES
    area = menu.m * menu.n
    products = area * menu.k * (PRODUCT / CLOCK_PRODUCTS)
    busy = np.where(menu.beneath > 0, np.maximum(products, copies), products + copies)
    stored = (m / rows) * (n / columns) * (STORED_BYTES / STORED_PER_CLOCK)
    clocks = steps * (each * busy + turns * menu.wait) + each * stored * (1 + in_turn)
    waves = batch * np.ceil(m / ADDED_M) * np.ceil(n / ADDED_N) / (ADDERS * processors)
    added = ADDING_CLOCKS + split * ADDED_PART + waves * ADDED_WAVE
    added += split * batch * m * n * PART_CLOCKS
    clocks += np.where(in_turn, MEMSET_CLOCKS, np.where(split > 1, added, 0))
    stream = (m * k + n * k + m * n) * (batch * ELEMENT_BYTES / DRAM_PER_CLOCK)
    cost = np.maximum(clocks, stream) + LAUNCH_CLOCKS
    cost = np.where((split > 1) & (menu.wmma > 0), cost * SPLIT_HELD, cost)
    never = _never(menu, width, split, m, n, k)
    best, points = np.argmin(np.where(never, np.inf, cost), axis=0), np.arange(m.size)
    names = {"block_n": "n", "block_m": "m", "block_k": "k", "warps": "warps"}
    names |= {name: name for name in ("resident", "lanes", "wait")}
    found = {name: getattr(menu, column)[best, 0] for name, column in names.items()}
    found["lanes"] = found["lanes"] * np.where((width == ELEMENT_BYTES) & (k % 4 == 0), FOURS, 1)
    return {**found, "split": split[best, points], "in_turn": in_turn[best, points]}


def _most_parts(menu: Kernels, m: Array, n: Array) -> Array:
    """In how many parts K is split at most."""
    most_ = np.where(n < FEW_NARROW_N, FEW_SPLITS[0], np.where(n < FEW_N, *FEW_SPLITS[1:]))
    return np.where((m <= FEW_ROWS) & (menu.wmma > 0), most_, MOST_SPLITS)


def _never(menu: Kernels, width: int, split: Array, m: Array, n: Array, k: Array) -> Array:
    """Candidates that are launched for no such sizes."""
    few, small, wmma = m <= FEW_ROWS, menu.m == FEW_ROWS, menu.wmma > 0
    edge = np.where(m < SPLIT_M[0], SPLIT_K[0], np.where(m < SPLIT_M[1], *SPLIT_K[1:3]))
    least_k = np.where(few, np.where(n < SPLIT_N, edge, SPLIT_K[3]), SPLIT_K[4])
    tall = np.where(split > 1, n < TALL_N, (m >= TALL_M) & (k < TALL_K))
    wide = np.where(few, n >= WHOLE_N[0], (m <= MORE_ROWS) & (n >= WHOLE_N[1]))
    short = k < np.where(few, *LONG_SUM)
    never = small & ~few
    never |= few & wmma & ~small & ((k >= FEW_K) | (n < SPLIT_N) | ~tall)
    never |= (split > 1) & wide & short & (width == WORD_BYTES)
    never |= few & small & (split == 1) & (menu.wmma > 1) & (n < TWO_STAGES_N)
    never |= few & small & (split > 1) & (menu.k < DEEPER) & (n >= FEW_N) & (k >= DEEPER_K)
    longest = np.where(m <= 2 * FEW_ROWS, *WHOLE_K)
    never |= ~few & wmma & (m <= MORE_ROWS) & (n >= WHOLE_N[1]) & (k >= longest)
    never |= few & ~wmma & (width == WORD_BYTES) & ((k < LONG_K) | (n < LONG_N))
    never |= (split > 1) & wmma & (k < least_k)
    return never | ((menu.kind != WHOLE) & (split == 1))


def issued(full: Any, inside: Any) -> Any:
    """Copies that are issued for so many elements, of which so many lie inside the matrix."""
    return PADDED * full + (1 - PADDED) * inside
