"""Products in cuBLAS that threads copy: 16-bit rows that begin off multiples of 16 bytes, and fp32.

The bulk copy engine cannot serve them. Older kernels copy thread by thread, 4 bytes a copy where
rows begin on multiples of 4 (or 8), else one element, and that is what they spend their time on:

    mma      4 bytes, several slices ahead (cutlass_80, m16n8k16); products and copies take turns
    wmma     4 bytes, one slice or two, blocks of one or four warps, each of which copies one word
             after the other (cutlass_80_wmma, m16n16k16)
    single   an element at a time, through registers; products hide beneath (cutlass_75, m16n8k8)
    narrow   few rows, an element at a time: blocks of 8 columns walk all of K (gemmSN, gemv)
    vector   fp32 without TF32, on the vector units (xmma ffma): slices of 8 terms, each of which
             waits as long as two or three of its products take

A slice takes a block's own wait, and what all blocks of the processor copy and multiply. K is split
to fill the processors, and a kernel of its own adds the parts; or in two to four parts that level
the last wave, added to C in turn behind counters that a memset clears.

Which of them runs `cublas_copied_rules` says. Constants are fitted to the times of kernels traced
on an H200 (cuBLAS 13.1, validation/data, launches.csv), of shapes for fitting; with the kernel
known, times of the other shapes are 6 % off, in fp32 5 %.
"""

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas_copied_rules as rules
from hwmodel.machines.gpu.schedules.cublas_traffic import HALF, dram_bytes
from hwmodel.machines.gpu.schedules.gemm import (
    PARTIAL_BYTES,
    GemmProblem,
    conversions,
    lines,
    sides_bytes,
)
from hwmodel.machines.gpu.schedules.library_tile import Grid, LibraryTile, dealt
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Waves, Work

NARROW_BEGIN, NARROW_LANES = 2230.0, 4.1
"""Copies' time that beginning and ending such a block takes, and its columns in a step of K."""
NARROW_WAITS = (8.4, 20.7, 9.5, 13.4, 24.9)
"""Clocks that such a block waits in a step of K: of two rows, three, four, five or six, and more.
Kernels for two and four rows are compiled for these, others for more than they get."""


def activity(problem: GemmProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """One call, by tiles or, where the tile is `narrow`, columns by the vector units."""
    narrow = np.asarray(tile.narrow)
    if not narrow.any():
        return product(problem, tile, limits)
    if narrow.all():
        return columns_of(problem, tile, limits)
    either = Repeat(1 - narrow, product(problem, tile, limits))
    return Serial((either, Repeat(narrow, columns_of(problem, tile, limits))))


def product(problem: GemmProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """Blocks of tiles, and what adds the parts of split sums."""
    grid = Grid.of(problem, tile, limits)
    blocks, resident, slices, depth = grid.blocks, grid.resident, grid.slices, grid.depth
    m, n = problem.M / grid.rows, problem.N / grid.columns
    staged = sides_bytes(problem, m, n) * depth
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    area = tile.block_m * tile.block_n
    products = Work(
        operations={(unit, "flop", dtype): 2 * area * depth * tile.effort},
        live={"processors": 1 / resident},
    )
    element = element_bytes(problem.dtype_a)
    issued = rules.issued(tile.block_m + tile.block_n, m + n) * element * depth
    copies = Work(
        read={
            "copy": issued * tile.lanes / most((tile.copy_bytes, 1)),
            "port": staged * lines(problem.row * element),
            "l2": staged,
        },
        written={"shared": staged},
    )
    converted = conversions(problem, tile.block_n * depth)
    both = Overlap((products, converted)) if converted.operations else products
    # Elements that are copied one by one pass the registers, and products hide beneath them.
    single = where(tile.copy_bytes < rules.WORD_BYTES, 1.0, 0.0)
    waits = Work(slots={"cycle": slices * tile.wait})
    if unit == "vector":
        block: Activity = Overlap((products, copies, waits))
    else:
        block = Serial((Overlap((Repeat(single, both), copies)), Repeat(1 - single, both), waits))
    partial = where(tile.split > 1, 1.0, 0.0) * (1 - tile.in_turn)
    # Kernels for words hand on parts in the format of the output, most others in fp32 (names).
    item = where(single > 0, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    partial_bytes = partial * tile.split * problem.batch * problem.M * problem.N * item
    turned = where(tile.split > 1, 1.0, 0.0) * tile.in_turn
    epilogue = Work(
        written={
            "port": m * n * rules.STORED_BYTES * (1 + turned),
            "l2": m * n * item * partial,
        }
    )
    read, written = dram_bytes(problem, tile, limits)
    operands = sides_bytes(problem, problem.M, problem.N) * problem.K
    parts = partial_bytes + turned * (tile.split - 1) * written
    spilled = parts * where(operands > limits.capacity_bytes["l2"] / HALF, 1.0, 0.0)
    body = Overlap(
        (
            Waves(blocks, limits.processors * resident, Serial((block, epilogue))),
            Work(slots={"cycle": turned * tile.split * rules.TURN}),
            Serial(
                (
                    Work(read={"dram": read}, written={"dram": written + spilled}),
                    Work(slots={"queue": 1}),
                )
            ),
        )
    )
    adding = Work(
        read={"l2": partial_bytes},
        slots={
            "reduction": partial * rules.ADDING,
            "cycle": partial * added(problem, tile, limits),
        },
    )
    return Serial((Work(slots={"launch": rules.BEGIN + turned * rules.MEMSET}), body, adding))


def added(
    problem: GemmProblem,
    tile: LibraryTile,
    limits: Limits,
    waits: tuple[float, float] = (rules.ADDED, rules.ADDED_WAVE),
) -> Amount:
    """Clocks that the kernel waits which adds parts: for each, and for waves of its blocks."""
    rows, columns = ceil_div(problem.M, rules.ADDED_M), ceil_div(problem.N, rules.ADDED_N)
    waves = rows * columns * problem.batch / (rules.ADDERS * limits.processors)
    part, wave = waits
    few = least((tile.split, rules.FEW_PARTS))
    parts = few + rules.MORE_PARTS * (tile.split - few)
    return parts * where(tile.added > 0, tile.added, part) + waves * wave


def columns_of(problem: GemmProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """Few rows: blocks of columns walk K, an element of each column and row at a time."""
    m = tile.block_m
    blocks = problem.batch * ceil_div(problem.N, rules.NARROW_N)
    resident = dealt(blocks, tile.resident, limits)
    held = where(m <= 2, 2, 2 * ceil_div(m, 2))  # rows of the kernel that is compiled for so many
    copies = (NARROW_LANES + held) * problem.K + NARROW_BEGIN
    two, three, four, six, more = NARROW_WAITS
    step = where(m == 4, four, where(m <= 6, six, more))
    step = where(m <= 2, two, where(m == 3, three, step))
    wait = step * problem.K
    unit = ("vector", "flop", "fp32")
    walk = Work(
        operations={unit: 2 * m * rules.NARROW_N * problem.K},
        read={"copy": copies},
        live={"processors": 1 / resident},
    )
    read, written = dram_bytes(problem, tile, limits)
    slots = limits.processors * resident
    body = Overlap(
        (
            Waves(blocks, slots, Overlap((walk, Work(slots={"cycle": wait})))),
            Work(read={"dram": read}, written={"dram": written}),
        )
    )
    return Serial((Work(slots={"launch": rules.BEGIN}), body))
