"""GEMM calls of cuBLAS 13 on a Hopper GPU: the tile that the library picks, and what it then does.

`cublas_rules` says which tile; here it is counted. Bulk kernels are persistent: a block takes tile
after tile, and loads the next one's first slices while it finishes the last. The slices of one side
of a tile are multicast within a cluster of blocks. Kernels that copy thread by thread run several
blocks on a processor, whose products and copies take turns; each waits for a chain of dependent
instructions in every slice, which residents hide for one another.

Counts per block are those of `gemm`, with these additions:

    DRAM     after the last byte has come, the tile that needs it is still to be finished: "queue"
    copied   copies and products in series; the matrix instructions of older kernels take `effort`
             times as long as a warpgroup's; 2 pipeline slots a slice, shared among residents
    split    parts of K are added by a kernel of its own, through the L2; operands that exceed it
             drive the parts out to the DRAM meanwhile (seen in counters: 9.33 MB for 5 x 97 x 4808)
"""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas_copied, cublas_vector
from hwmodel.machines.gpu.schedules import cublas_copied_rules as copied_rules
from hwmodel.machines.gpu.schedules import cublas_rules as rules
from hwmodel.machines.gpu.schedules.cublas_clusters import (
    PASSED_ON,
    SOONER,
    begun,
    clusters,
    shared_bytes,
)
from hwmodel.machines.gpu.schedules.cublas_traffic import HALF, dram_bytes
from hwmodel.machines.gpu.schedules.gemm import (
    OPERAND_SLOTS,
    PARTIAL_BYTES,
    SCALED_STORE,
    GemmProblem,
    conversions,
    divides,
    is_scaled,
    lines,
    narrowest,
    on_sector,
    paired,
    sectors,
    sides_bytes,
    slab,
)
from hwmodel.machines.gpu.schedules.library_tile import Grid, LibraryTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Waves, Work

Array = NDArray[np.float64]
Given = TypeVar("Given", GemmProblem, Limits)

BULK_BYTES = 16
"""Alignment that the bulk copy engine needs of every row (CUDA C++ Programming Guide, TMA)."""

WIDEST_COPY_BYTES = 4
"""Kernels for alignments of 4 and 8 bytes run at one speed, so that both copy 4 (fitted)."""

OLDER = ("tf32",)
"""Formats whose bulk kernels (sm90_xmma, cutlass_80) start every tile anew (inferred)."""
OLDER_FILL = 0.7
"""What such a start takes over one of fp32's tiles (fitted)."""

CLUSTER, SMALL_CLUSTER = 4, 2
"""Blocks that share a slice by multicast: four where their grid leaves the odd processors idle, and
where two of them are a pair that multiplies together."""

COUNTED = 2
"""Tiles of a processor beyond which they are handed out by a counter (all of 3,305 launches)."""

COPIED_CHAIN, VECTOR_CHAIN = 1.0, 1.0
"""Pipeline slots of a slice that is copied by threads, and multiplied by the matrix or the vector
units (fitted)."""


ADDED_WAITS = (63.0, 1742.0)
"""Clocks that the kernel waits which adds parts: for each, and for a wave of its blocks."""

LEAST_STORED = 120
"""Bytes of a row of C in the time that storing a shorter one takes (fitted to millions of rows
of 8 columns and terms: some 5 clocks a row)."""

TORN_READ, TORN_WRITTEN = 2 / 4, 1 / 4
"""Sectors of a row of 128 bytes that begins within one: five are written for four, of which two are
read (millions of rows of C at half the rate: 1.8 TB/s for 3.1)."""

OFF_SECTOR = 0.2
"""What rows that begin within a sector of 32 bytes ask of the port besides what they straddle (as
`cublas_clusters.PASSED_ON`)."""

ROWWISE_M, ROWWISE_N = 128, 128
"""Tile of the kernel for a scale a row."""

BEYOND, BEYOND_FAST = 7.0, 3.0
"""What a row of that tile beyond an edge costs the L2 over one within, alone and in clusters: rows
of zeros cross to the processor as others do (counted), but are not joined (fitted: H200)."""

MOST_BEYOND = 8000
"""Such rows at a time beyond which more of them cost no more (the same)."""


def menu() -> tuple[LibraryTile, ...]:
    """One record, whose sizes the rules fill in."""
    return (LibraryTile(0, 0),)


def resolved(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The tile that the library launches for these operands."""
    return _resolved(tile, problem, limits, rules.PROMOTED if is_scaled(problem) else rules.BULK)


def resolved_fast(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The same where fp8 sums stay in the matrix units (`use_fast_accum`)."""
    return _resolved(tile, problem, limits, rules.BULK)


def resolved_alike(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The same of kernels that others built alike: clusters share one side, tiles go unnumbered."""
    return _alike(resolved(tile, problem, limits), problem, limits)


def resolved_whole(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The same where K is never split."""
    table = rules.WHOLE_PROMOTED if is_scaled(problem) else rules.WHOLE
    return _alike(_resolved(tile, problem, limits, table), problem, limits)


def _alike(found: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    blocks = ceil_div(problem.M, found.block_m) * ceil_div(problem.N, found.block_n)
    few = problem.batch * blocks * found.split <= rules.most_clustered(limits.processors)
    nothing = 0 * (found.multicast * blocks)
    shared = where(few | (limits.pair > 1), CLUSTER, SMALL_CLUSTER)
    multicast = where(found.persistent > 0, shared, found.multicast) + nothing
    return replace(found, multicast=multicast, cluster_m=nothing, cluster_n=nothing)


def resolved_rows(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The tile for fp8 with a scale for each row and column: one for all sizes, alone, K whole.

    Read from 1,354 launches (nvjet_sm90_qqtst_128x128_128x6 ... ovscale, an H200's cuBLAS 13.1).
    """
    column = 0 * (problem.M * problem.N + limits.processors + tile.split)
    return replace(
        tile,
        block_m=ROWWISE_M + column,
        block_n=ROWWISE_N + column,
        block_k=rules.SLICE_BYTES + column,
        multicast=1 + column,
        persistent=1 + column,
        edged=BEYOND + column,
        late=1 + column,
        cluster_m=1 + column,
        cluster_n=1 + column,
    )


def resolved_rows_fast(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The same where fp8 sums stay in the matrix units: in clusters, as other bulk kernels."""
    alone = resolved_rows(tile, problem, limits)
    blocks = ceil_div(problem.M, ROWWISE_M) * ceil_div(problem.N, ROWWISE_N) + 0 * alone.multicast
    shared = clusters(problem, alone.block_m, alone.block_n, blocks, limits)
    return replace(alone, edged=BEYOND_FAST + 0 * alone.edged, late=0 * alone.late, **shared)


def _resolved(
    tile: LibraryTile, problem: GemmProblem, limits: Limits, table: rules.Candidates
) -> LibraryTile:
    problem = turned(problem)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    menu = rules.POWERS if dtype == "tf32" else table
    sizes = (problem.M, problem.N, problem.K, problem.batch, limits.processors)
    if all([isinstance(size, (int, float)) for size in sizes]):
        return replace(tile, **_at_one_point(problem, unit, menu, limits))
    shape = np.broadcast_shapes(*(np.shape(size) for size in sizes))
    aligned = np.broadcast_to(np.asarray(alignment(problem), dtype=np.float64), shape)
    by_bulk = _by_bulk(problem, unit, aligned)
    wide = aligned >= WIDEST_COPY_BYTES
    whole: dict[str, Array] = {}
    for points in (by_bulk, ~by_bulk & wide, ~by_bulk & ~wide):
        if not points.any():
            continue
        part, there = _within(points, problem), _within(points, limits)
        bulk = bool(by_bulk[points][0])
        found = _bulk(part, menu, there) if bulk else _copied(part, unit, aligned[points], there)
        for name, values in found.items():
            whole.setdefault(name, np.full(shape, getattr(tile, name), np.float64))[points] = values
    return replace(tile, **whole)


def turned(problem: GemmProblem) -> GemmProblem:
    """The product that is launched: one column, which lies in memory as a row does, is one row.

    Seen in launches: bulk kernels for all of 150 columns whose K and M are multiples of 8 (bf16,
    fp16), none for 159 others.
    """
    column = np.asarray(problem.N == 1)
    if not column.any() or problem.dtype_a != problem.dtype_b:
        return problem
    m, n = where(column, problem.N, problem.M), where(column, problem.M, problem.N)
    return replace(problem, M=m, N=n)


def _at_one_point(
    problem: GemmProblem, unit: str, menu: rules.Candidates, limits: Limits
) -> dict[str, Any]:
    """The fields of a tile for single sizes: numbers, whole where they are."""
    aligned = alignment(problem)
    if _by_bulk(problem, unit, aligned):
        found = _bulk(problem, menu, limits)
    else:
        found = _copied(problem, unit, np.array([aligned], dtype=np.float64), limits)
    numbers = {n: float(v[0] if np.ndim(v) else v) for n, v in found.items()}
    return {name: int(n) if n.is_integer() else n for name, n in numbers.items()}


def _by_bulk(problem: GemmProblem, unit: str, aligned: Any) -> Any:
    """Where the bulk copy engine can serve; one row of words is a vector, of bytes none."""
    element, single = element_bytes(problem.dtype_a), np.asarray(problem.M == 1)
    served = (aligned >= BULK_BYTES) | (single & (element < copied_rules.ELEMENT_BYTES))
    vector = single & (element > copied_rules.ELEMENT_BYTES)
    return served & ~vector & (unit == "matrix")


def _within(points: NDArray[np.bool_], given: Given) -> Given:
    """A problem, or limits, at some points only: each kind of kernel looks at its own."""
    if points.all():
        return given
    arrays = {field.name: getattr(given, field.name) for field in fields(given)}
    cut = {n: np.broadcast_to(a, points.shape)[points] for n, a in arrays.items() if np.ndim(a)}
    return replace(given, **cut)


def _bulk(problem: GemmProblem, table: rules.Candidates, limits: Limits) -> dict[str, Any]:
    """Fields of the bulk kernels' tiles."""
    found = rules.bulk(problem, table, limits)
    if table is rules.POWERS or limits.pair > 1:
        few = (found.blocks <= rules.most_clustered(limits.processors)) | (limits.pair > 1)
        cluster = {"multicast": where(few, CLUSTER, SMALL_CLUSTER)}
    else:
        cluster = clusters(problem, found.block_m, found.block_n, found.blocks, limits)
    return {
        "block_m": found.block_m,
        "block_n": found.block_n,
        "block_k": rules.SLICE_BYTES / narrowest(problem),
        "split": found.split,
        "resident": 1.0,
        "copy_bytes": 0.0,
        "persistent": 1.0,
        "effort": 1.0,
        **cluster,
    }


def _copied(problem: GemmProblem, unit: str, aligned: Array, limits: Limits) -> dict[str, Any]:
    """Fields of the tiles of kernels that copy thread by thread, of one width of copies."""
    element = element_bytes(problem.dtype_a)
    width = np.minimum(aligned, WIDEST_COPY_BYTES)
    if unit == "vector":
        return copied_rules.chosen(problem, unit, copied_rules.WORD_BYTES, limits)
    if element == copied_rules.ELEMENT_BYTES:
        return copied_rules.chosen(problem, unit, int(width.min()), limits)
    found = rules.copied(problem, rules.WORDS if element > 2 else rules.PAIRED, width, limits)
    fields_ = {
        "block_m": found.block_m,
        "block_n": found.block_n,
        "block_k": rules.COPIED_SLICE_BYTES / element,
        "split": found.split,
        "resident": found.resident,
        "multicast": 1.0,
        "copy_bytes": width,
        "persistent": 0.0,
        "effort": found.effort,
    }
    if element <= copied_rules.ELEMENT_BYTES:
        return fields_
    return copied_rules.narrowed(fields_, problem)


def alignment(problem: GemmProblem) -> Amount:
    """The largest power of two, up to 16 bytes, that divides the pitch of A, B and C.

    A narrow B has none: weights are packed for their kernel when they are loaded (MARLIN).
    """
    widths = element_bytes(problem.dtype_a), element_bytes(problem.dtype_b)
    inputs = {widths[0], max(widths)}
    output = problem.N * element_bytes(problem.dtype_out)
    pitches = [*(problem.K * width for width in inputs), output]
    if all([isinstance(pitch, int) for pitch in pitches]):
        return math.gcd(BULK_BYTES, *cast(list[int], pitches))
    return least(_power(pitch) for pitch in pitches)


def _power(pitch: Amount) -> Amount:
    size: Amount = 1
    for step in (2, 4, 8, 16):
        size = where(divides(step, pitch), step, size)
    return size


def activity(problem: GemmProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """One call: a product of matrices, or where one side is one, of a matrix and a vector.

    What `tile` says is of the former: tiles copied in bulk or by threads.
    """
    single = np.asarray(problem.N == 1) & (np.asarray(tile.cluster_m) == 0)
    problem = turned(problem)
    copied: NDArray[np.bool_] = np.asarray((tile.wait > 0) | (tile.narrow > 0))
    column: NDArray[np.bool_] = single | (copied & (problem.M == 1))
    threads = copied & ~column
    apart: NDArray[np.bool_] = np.asarray(_streams(problem, tile)) & ~(column | threads)
    alone = replace(tile, cluster_m=0, cluster_n=0)
    kinds: list[tuple[NDArray[np.bool_], Callable[[], Activity]]] = [
        (column, lambda: cublas_vector.activity(problem, limits)),
        (threads, lambda: cublas_copied.activity(problem, tile, limits)),
        (apart, lambda: product(problem, tile, limits)),
        (~(column | threads | apart), lambda: product(problem, alone, limits)),
    ]
    for points, made in kinds:
        if points.all():
            return made()
    return Serial(
        tuple(Repeat(where(p, 1.0, 0.0), made()) for p, made in kinds if np.asarray(p).any())
    )


def _streams(problem: GemmProblem, tile: LibraryTile) -> Any:
    """Whether tiles and the DRAM's stream go on side by side, as Hopper's kernels were timed."""
    _, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    return (np.asarray(tile.cluster_m) > 0) | (np.asarray(tile.copy_bytes) > 0) | (dtype in OLDER)


def product(problem: GemmProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """One GEMM call: launch, rounds of blocks over the DRAM's stream, reduction of split sums."""
    element, stored_bytes = element_bytes(problem.dtype_a), bytes_of(problem.dtype_out)
    grid = Grid.of(problem, tile, limits)
    rows, columns, blocks, resident = grid.rows, grid.columns, grid.blocks, grid.resident
    slices, depth = grid.slices, grid.depth
    area = tile.block_m * tile.block_n
    staged = sides_bytes(problem, problem.M / rows, problem.N / columns) * depth
    by_bulk = tile.persistent
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    chain = COPIED_CHAIN if unit == "matrix" else VECTOR_CHAIN
    operations = 2 * area * depth * tile.effort
    if unit == "vector":
        operations = operations * (1 + OPERAND_SLOTS * (1 / tile.block_m + 1 / tile.block_n))
    row_bytes, edged = problem.row * element, np.asarray(tile.edged) > 0
    beyond = sides_bytes(
        problem, tile.block_m - problem.M / rows, tile.block_n - problem.N / columns
    )
    beyond = least((beyond, MOST_BEYOND * element / least((blocks, limits.processors))))
    fetched = staged - shared_bytes(problem, tile, rows, columns) * depth
    # Kernels of warpgroups, whose clusters are known.
    groups = where(np.asarray(tile.cluster_m) > 0, 1.0, 0.0)
    passed = groups * (1 - PASSED_ON) * (staged - fetched)
    straddled = lines(row_bytes)
    off = straddled + groups * OFF_SECTOR * (1 - on_sector(row_bytes))
    products = Work(
        operations={(unit, "flop", dtype): operations},
        read={
            "shared": slab(tile, limits) * depth * element * by_bulk,
            "port": (paired(problem, tile, staged, depth, limits) - passed)
            * where(tile.late > 0, sectors(row_bytes), where(edged, 1, off)),
            "l2": fetched * where(edged, sectors(row_bytes), 1 + groups * (straddled - 1))
            + tile.edged * beyond * depth,
            "pipeline": slices * where(by_bulk > 0, 1, chain / resident),
        },
        written={"shared": staged},
        live={"processors": 1 / resident},
        slots={"fill": OLDER_FILL if dtype in OLDER else 1 - by_bulk},
    )
    copied = where(tile.copy_bytes > 0, staged / most((tile.copy_bytes, 1)), 0.0)
    copies = Work(read={"copy": where(by_bulk > 0, 0.0, copied)})
    converted = conversions(problem, tile.block_n * depth)
    if converted.operations:
        products = Overlap((products, converted))
    block = Overlap((products, copies)) if unit == "vector" else Serial((products, copies))
    stored = where(tile.split > 1, PARTIAL_BYTES, stored_bytes)
    scaled = is_scaled(problem)
    row = tile.block_n * stored
    row = where(groups > 0, most((row, LEAST_STORED)), row)
    epilogue = Work(written={"port": tile.block_m * row * (SCALED_STORE if scaled else 1)})
    read, written = dram_bytes(problem, tile, limits)
    # Rows of a tile that begin and end within a sector, whose halves do not meet in the L2.
    torn = groups * (1 - on_sector(problem.N * stored_bytes)) * written
    torn = where(written > limits.capacity_bytes["l2"] / HALF, torn, 0.0)
    read, written = read + TORN_READ * torn, written + TORN_WRITTEN * torn
    partial = where(tile.split > 1, 1.0, 0.0)
    partial_bytes = partial * tile.split * problem.batch * problem.M * problem.N * PARTIAL_BYTES
    operands = sides_bytes(problem, problem.M, problem.N) * problem.K
    spilled = partial_bytes * (1 - least((1.0, limits.capacity_bytes["l2"] / operands)))
    stream = Work(read={"dram": read}, written={"dram": written + spilled})
    slots = limits.processors * resident
    if np.any(_streams(problem, tile)):
        # Each tile has its share of the stream, so that one norm overlaps the two.
        share = Repeat(1 / blocks, stream)
        body = Waves(blocks, slots, Serial((block, epilogue, share)))
    else:
        tiles = Waves(blocks, slots, Serial((block, epilogue)))
        body = Overlap((tiles, Serial((stream, Work(slots={"queue": 1})))))
    # Kernels of warpgroups clear a counter of tiles where these are more than two to a processor.
    counted = where(blocks > COUNTED * limits.processors, 1.0, 0.0) * groups
    threads = where(np.asarray(tile.copy_bytes) > 0, 1.0, 0.0)
    idle = most((0.0, 1 - begun(tile, grid) / limits.processors))
    launches = 1 + counted * copied_rules.MEMSET - groups * SOONER * idle
    launch = Work(slots={"launch": launches, "scales": int(scaled)})
    known = most((groups, threads))
    waits = cublas_copied.added(problem, tile, limits, ADDED_WAITS) * partial * known
    reduction = Work(
        read={"l2": partial_bytes},
        written={"l2": partial_bytes * (1 - known)},
        slots={"reduction": partial, "cycle": waits},
    )
    return Serial((launch, body, reduction))
