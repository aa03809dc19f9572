"""Which tile cuBLAS 13 launches on a Hopper GPU: the least of a rough cost, over a short menu.

The library ranks its kernels by an estimate of its own, before it runs any; so the tile is named
here without a time, by counts of clocks that need no rate of the device. Two families of kernels.
Where every row of A, B and C begins on a multiple of 16 bytes, persistent kernels (named nvjet)
move slices of 128 bytes with the bulk copy engine. One side of a tile, along M or N, is a multiple
of 64, the rows of a warpgroup's matrix instruction; the other is a multiple of 8, and is most often
the least whose grid still fits one or two waves. Elsewhere older kernels copy operands
thread by thread; their tiles are powers of two and several share a processor (those of 16 bits and
of fp32 are in `cublas_copied_rules`).

Tiles, their limits and the alignments are read from the names and grids of the kernels launched
for some 1,800 shapes (validation/data, launches.csv). The weights of the costs are fitted to those
choices, so that the chosen tile takes no longer, by the model, than the launched one: the two agree
within 2 % on average. Sizes are elements, costs are clocks of one processor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import PARTIAL_BYTES, GemmProblem
from hwmodel.quantity.arithmetic import floor_div, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount

Array = NDArray[Any]

SLICE_BYTES = 128
"""Bytes of K in one slice: the widest row that the copy engine swizzles without conflicts."""

COPIED_SLICE_BYTES = 64
ROW_STEP = 8
"""The matrix instruction's columns come in eights (PTX ISA, wgmma)."""

LEAST_STEPS = 20
"""Slices that bulk kernels leave to each part of a split sum (read from grids)."""

LEAST_POWER, LEAST_COPIED = 4, 2
"""The same of tf32 kernels, and of those that copy by threads (fitted)."""

MOST_SPLITS = 64

POINTS = 4096
"""Points weighed at once: a menu of tiles for so many stays in the cache (measured)."""


@dataclass(frozen=True)
class Candidates:
    """A menu as columns (candidates x 1).

    `along` is the side that is a multiple of 64 and `across` the most of the other one; `by_rows`
    is 1 where `along` lies along M. `waves` in how many waves the grid should fit, by shrinking
    `across` (0: it is kept, unless the operand is smaller); `split` how often the device
    is filled by splitting K (0: never). `resident` blocks share a processor, and matrix
    instructions take `effort` times as long as a warpgroup's.
    """

    along: Array
    across: Array
    by_rows: Array
    waves: Array
    split: Array
    resident: Array
    effort: Array
    shrinks: bool = False
    """Whether `across` shrinks to fit waves, or the operand."""

    @cached_property
    def unsplit(self) -> int:
        """How many candidates stand before the first that splits K."""
        return int(np.sum(self.split == 0))

    def whole(self) -> "Candidates":
        """Those that never split K."""
        columns = [each.name for each in fields(self) if each.name != "shrinks"]
        kept: dict[str, Any] = {name: getattr(self, name)[: self.unsplit] for name in columns}
        return replace(self, **kept)


def candidates(rows: Sequence[tuple[float, ...]], shrinks: bool = False) -> Candidates:
    """A menu from rows of (along, across, by_rows, waves, split[, resident, effort])."""
    full = [(*row, *(1.0, 1.0)[: 7 - len(row)]) for row in rows]
    return Candidates(*np.array(full, dtype=np.float32).T[:, :, None], shrinks=shrinks)


def _fitting(limits: dict[int, int], fixed: Sequence[tuple[int, int, int]]) -> Candidates:
    """Tiles that fit waves, within each width's limit; fixed ones; and those that split K."""
    rows = [(a, limits[a], o, w, 0) for a in (64, 128, 192, 256) for o in (0, 1) for w in (1, 2)]
    rows += [(a, b, o, 0, 0) for a, b, o in fixed]
    rows += [(a, limits[a], 0, 0, 1) for a in (64, 128, 256)]
    rows += [(64, 64, 0, 0, 1), (128, 64, 0, 0, 1), (128, 128, 0, 0, 1), (64, limits[64], 1, 0, 1)]
    rows += [(a, limits[a], 0, w, 1) for a in (64, 128) for w in (0.5, 0.25)]
    return candidates(rows, shrinks=True)


WIDE = ((256, 128, 0), (192, 192, 0), (320, 128, 0), (256, 160, 0), (256, 128, 1))
BULK = _fitting({64: 176, 128: 304, 192: 208, 256: 160}, WIDE)
"""A tile's fp32 sums fill the registers of one warpgroup, or of the two that work on it."""

PROMOTED = _fitting(
    {64: 256, 128: 160, 192: 96, 256: 32}, ((128, 128, 0), (128, 160, 0), (128, 160, 1))
)
"""fp8 sums that are moved to fp32 registers on the way take up twice as many of those."""

WHOLE, WHOLE_PROMOTED = BULK.whole(), PROMOTED.whole()
"""The same of kernels that never split K."""

POWERS = candidates(
    [(a, b, 0, 0, 0) for a, b in ((64, 64), (64, 128), (128, 64), (128, 128), (64, 256))]
    + [(256, 128, 0, 0, 0), (128, 256, 0, 0, 0)]
    + [(a, 64, 0, 0, 1) for a in (64, 128, 256)]
)
"""Tiles of tf32: powers of two (sm90_xmma), and those that split K (cutlass_80)."""


def _copied(rows: Sequence[tuple[int, int, int, float]], *narrow: float) -> Candidates:
    """Each (along N, along M, resident, effort) and the narrow kernel.

    Whole, split to fill the device once, and split to level many waves (read from grids).
    """
    few = [(NARROW, NARROW_ROWS, 0, 0, 0, 6, effort) for effort in narrow]
    both = [(n, m, 0, 0, s, resident, e) for s in (0, 1, 4) for n, m, resident, e in rows]
    return candidates([*few, *both])


NARROW, NARROW_ROWS = 8, 8
"""Columns of a block that reads K once, for so few rows (gemmSN): no matrix instructions."""

MMA_SIDES = ((256, 128, 1), (128, 256, 1), (128, 128, 2), (256, 64, 1))
PAIRED = _copied(
    (*((n, m, r, 1.0) for n, m, r in (*MMA_SIDES, (128, 64, 3), (64, 64, 4), (32, 32, 6))),), 0.0
)
"""Formats of a byte: copies of 4 (as cutlass_80, m16n8k16)."""

WORDS = _copied((*((n, m, r, 1.0) for n, m, r in (*MMA_SIDES, (128, 64, 2), (64, 64, 3))),))
"""tf32 copied by threads (cutlass_80, m16n8k8)."""

MATRIX_SHARE, PORT_SHARE, L2_BYTES_PER_CLOCK = 0.894, 0.879, 4997.0
LEAST_SLICE, TILE, STORE = 210.6, 4670.0, 0.7
"""Clocks of a slice at least, of each tile, and of each byte of it stored."""

SPLIT, PARTIAL = 3584.0, 0.49
"""Clocks of a second kernel, and of the partial sums over those of the L2's bandwidth."""

DRAM_BYTES_PER_CLOCK, COMPUTE_WEIGHT = 2732.0, 0.173
COPY_PER_CLOCK, COPIED_LATENCY, COPIED_STORE = 3.2, 350.0, 0.15
"""Copy instructions a clock; clocks of a slice that nothing hides; of each output."""


@dataclass(frozen=True)
class Choice:
    """The tile chosen for each point: sides, splits of K, blocks, residents, effort.

    Arrays over points, and plain numbers of one point.
    """

    block_m: Any
    block_n: Any
    split: Any
    blocks: Any
    resident: Any
    effort: Any


@np.errstate(over="ignore")  # of sizes whose clocks no single precision holds
def bulk(problem: GemmProblem, menu: Candidates, limits: Limits) -> Choice:
    """The tile of the bulk kernels: rounds of tiles against the DRAM, as the library weighs them.

    Clocks of a slice of 128 bytes are the same in every format: a b / 32 in the matrix units, and a
    row or column a clock from shared memory, 2 through the port.
    """
    sizes = _sizes(problem)
    others = _single(problem.batch), _single(limits.processors)
    points = max(sizes[0].shape[1], *(each.size for each in others))
    if points <= POINTS:
        return _bulk(problem, menu, sizes, others)
    found: list[Choice] = []
    for start in range(0, points, POINTS):
        piece = slice(start, start + POINTS)
        m, n, k = (each[:, piece] if each.shape[1] > 1 else each for each in sizes)
        batch, processors = (each[piece] if each.size > 1 else each for each in others)
        found.append(_bulk(problem, menu, (m, n, k), (batch, processors)))
    names = [field.name for field in fields(Choice)]
    return Choice(**{n: np.hstack([getattr(each, n) for each in found]) for n in names})


def _bulk(
    problem: GemmProblem,
    menu: Candidates,
    sizes: tuple[Array, Array, Array],
    others: tuple[Array, Array],
) -> Choice:
    element = element_bytes(problem.dtype_a)
    (m, n, k), (batch, processors) = sizes, others
    along, by_rows = menu.along, menu.by_rows > 0
    side, other = np.where(by_rows, m, n), np.where(by_rows, n, m)
    strips = side / along
    np.ceil(strips, out=strips)
    each = batch * strips
    across = menu.across
    if menu.shrinks:
        across = menu.waves * processors / each  # of stripes, as many as fit so many waves
        np.floor(across, out=across)
        np.maximum(across, 1, out=across)
        across *= ROW_STEP
        np.divide(other, across, out=across)
        np.ceil(across, out=across)
        across *= ROW_STEP
        np.minimum(across, menu.across, out=across)
    stripes = other / across
    np.ceil(stripes, out=stripes)
    tiles = each * stripes
    slices = np.ceil(k * (element / SLICE_BYTES))
    least = LEAST_STEPS if menu.shrinks else LEAST_POWER
    whole = menu.unsplit
    split = np.ones_like(tiles)
    split[whole:] = _fill(tiles[whole:], processors, slices, least)
    blocks = tiles * split
    area, both = along * across, along + across
    shared = np.maximum(along * (stripes > 1), across * (strips > 1))
    clustered = np.asarray(blocks <= most_clustered(processors), dtype=np.float32)
    clustered *= 0.25
    clustered += 0.5
    slice_ = (both - shared * clustered) * np.minimum(blocks, processors)
    slice_ *= SLICE_BYTES / L2_BYTES_PER_CLOCK
    at_least = area / 64
    at_least += both + along
    np.maximum(slice_, at_least, out=slice_)
    np.divide(area, 32 * MATRIX_SHARE, out=at_least)
    np.maximum(slice_, at_least, out=slice_)
    both *= 2
    both /= PORT_SHARE
    np.maximum(slice_, both, out=slice_)
    np.maximum(slice_, LEAST_SLICE, out=slice_)
    clocks = np.ceil(slices / split) * slice_
    area *= STORE * 2
    area += TILE
    clocks += area
    rounds = blocks / processors
    clocks *= np.ceil(rounds, out=rounds)
    clocks[whole:] += _reduction(m, n, batch, split[whole:])
    stream = (m * k + n * k) * element + m * n * bytes_of(problem.dtype_out)
    cost = np.maximum(clocks, stream / DRAM_BYTES_PER_CLOCK)
    clocks *= COMPUTE_WEIGHT
    cost += clocks
    return _least(cost, menu, across, split, blocks)


def copied(
    problem: GemmProblem, menu: Candidates, copy_bytes: Array | float, limits: Limits
) -> Choice:
    """The tile of the kernels that copy thread by thread: products and copies take turns."""
    element = element_bytes(problem.dtype_a)
    m, n, k = _sizes(problem)
    batch, processors = _single(problem.batch), _single(limits.processors)
    narrow = menu.along == NARROW
    tile_n, tile_m = menu.along, np.where(narrow, np.minimum(m, menu.across), menu.across)
    rows, columns = np.ceil(m / tile_m), np.ceil(n / tile_n)
    tiles = batch * rows * columns
    slices = np.ceil(k * element / COPIED_SLICE_BYTES)
    fill = _fill(tiles, processors * menu.resident * menu.split, slices, LEAST_COPIED)
    split = np.where(menu.split > 0, fill, 1.0)
    blocks = tiles * split
    area = tile_m * tile_n
    product = area / 64 * menu.effort
    width = _single(copy_bytes)
    copies = (m / rows + n / columns) * COPIED_SLICE_BYTES / width / COPY_PER_CLOCK
    each = np.ceil(blocks / processors)
    turns = np.ceil(each / menu.resident)
    steps = np.ceil(slices / split)
    clocks = steps * np.maximum(each * (product + copies), turns * COPIED_LATENCY)
    clocks = clocks + each * area * COPIED_STORE + _reduction(m, n, batch, split)
    cost = (1 + COMPUTE_WEIGHT) * clocks + TILE
    cost = np.where(narrow & (m > NARROW_ROWS), np.inf, cost)
    return _least(cost, menu, tile_m, split, blocks)


def most_clustered(processors: Amount) -> Amount:
    """How many of so many processors clusters of four or eight fill: some groups have two over.

    132 processors run 30 clusters of four (read from grids).
    """
    return floor_div(10 * processors, 11)


def _sizes(problem: GemmProblem) -> tuple[Array, Array, Array]:
    """M, N, K as rows (1 x points); in single precision, since costs are rough and this is hot."""
    sizes = (problem.M, problem.N, problem.K)
    m, n, k = (np.array(size, dtype=np.float32, ndmin=2, copy=None) for size in sizes)
    if m.shape == n.shape == k.shape:
        return m, n, k
    m, n, k = np.broadcast_arrays(m, n, k)
    return m, n, k


def _single(value: Amount) -> Array:
    """A number or an array in single precision, as all costs are: one array alike another."""
    return np.asarray(value, dtype=np.float32)


def _fill(tiles: Array, slots: Array | float, slices: Array, least: int) -> Array:
    """As many parts of K as fill the slots once, and leave `least` slices to each."""
    parts = np.minimum(np.floor(slots / tiles), np.floor(slices / least))
    return np.clip(parts, 1, MOST_SPLITS)


def _reduction(m: Array, n: Array, batch: Array, split: Array) -> Array:
    """Clocks of the kernel that adds the parts of split sums."""
    moved = split * batch * m * n * (2 * PARTIAL_BYTES / L2_BYTES_PER_CLOCK)
    return np.where(split > 1, SPLIT + PARTIAL * moved, 0.0)


def _least(cost: Array, menu: Candidates, across: Array, split: Array, blocks: Array) -> Choice:
    """The candidate of least cost at each point."""
    best: NDArray[np.intp] = np.argmin(cost, axis=0)
    points = cast(NDArray[np.intp], np.arange(cost.shape[1]))
    lone = int(best[0]) if len(points) == 1 else None

    def chosen(column: Array) -> Any:
        if lone is not None:
            return column.item(lone)
        return column[best, points if column.shape[1] > 1 else 0].astype(np.float64)

    along, other, by_rows = chosen(menu.along), chosen(across), chosen(menu.by_rows) > 0
    return Choice(
        block_m=where(by_rows, along, other),
        block_n=where(by_rows, other, along),
        split=chosen(split),
        blocks=chosen(blocks),
        resident=chosen(menu.resident),
        effort=chosen(menu.effort),
    )
