"""Row kernels of torch: which of them runs, its launch, and what its blocks do, by a rule.

Dispatch (aten/src/ATen/native/cuda of torch 2.11: CUDALoops.cuh, layer_norm_kernel.cu, SoftMax.cu,
PersistentSoftmax.cuh):

- a copy of contiguous data is a device-to-device memory copy; elementwise kernels take 1024
  elements a block of 128 threads, in 16-byte accesses, and their last, partial block element by
  element;
- rows that are taken out of a table where they fill sixteen bytes are moved by a block for each,
  or for each 4 KiB of one (Indexing.cu, `vectorized_gather_kernel`); the device starts blocks at a
  pace, which binds where rows are short; others go element by element;
- norms take a block of 128 threads a row, 512 columns a turn, and read the row again to scale it
  (which a block alone on its processor does ahead, so that it waits for no row the L2 has lost);
  rows whose length is no multiple of 4 go element by element through two kernels, one for the
  moments (512 threads a row) and one to scale (256);
- softmax takes a warp a row up to 2048 columns, padded to a power of two; two rows up to 128, and
  below 32 a warp's lanes are shared among rows. For longer rows it takes a block of 1024 threads:
  in registers up to 9216 columns, of which more than 6144 leave room for one block per processor;
  in shared memory below 48 KiB, if 16-byte aligned; else it reads the row three times, 16 bytes of
  each thread a turn, and what is left one element a turn.

Which copies the driver does slowly is inferred from measurements: those of no multiple of 512
bytes, and those of whole 2 MiB pages from 512 MiB on.

`Pace`s are properties of the compiled kernels, fitted to H200 rows (four boards, torch 2.11).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import KEPT, SCHEDULERS, RowProblem, RowTile, missed
from hwmodel.machines.gpu.units import FREE
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.units import Amount

WARP = 32
MOST_BLOCKS = 32
"""Blocks that a processor holds (CUDA guide, capability 9.0)."""
FIELDS = tuple(field.name for field in fields(RowTile))


@dataclass(frozen=True)
class Pace:
    """Cycles of a block that runs alone, and issue slots of each warp: at start, and a step.

    A step is one element of each thread, or, in norms, one turn of the loop over columns.
    """

    start_cycles: float
    cycles: float
    start_slots: float
    slots: float


INSTRUCTIONS: Mapping[str, float] = {
    **{"erf": 26.0, "exp": 8.0, "divide": 8.0, "sigmoid": 16.0, "tanh": 16.0, "rsqrt": 2.0}
}
"""Instructions for an operation that is no single one: fitted for erf, else assumed (in kernels
that the memory binds)."""

MOVE_INSTRUCTIONS = 2.0
"""Instructions to load, convert and store an element."""

LONE_WARP_CYCLES = 2.28
"""Cycles for each instruction of a warp that is alone on its scheduler (fitted)."""

MAP_THREADS, MAP_PARTS = 128, 8
"""Threads of an elementwise block, elements of a thread."""

TAIL_CYCLES = 1020.0
"""What a full tail of 16-bit elements takes, one access each (fitted)."""

COPY_BLOCK_BYTES = 6144
COPY_FIRST, COPY_CYCLES = 0.71, 432.0
"""A copy's wait for its first load, in those of other kernels, and clocks of a full block of it:
one of a few bytes makes fewer of its loads (fitted)."""

COPY_UNIT_BYTES, COPY_PAGE_BYTES, COPY_PAGES_FROM_BYTES = 512, 2 << 20, 512 << 20

STRIDED_THREADS, STRIDED_PARTS = 128, 4
STRIDED = Pace(1639, 369, 0, 81.5)
"""Elementwise kernels on views (CUDALoops.cuh, launch_legacy_kernel: 128 threads of 4 elements);
the three numbers are fitted to decoder steps of dense models (H200, half of the steps measured)."""

TAKEN_BYTES, TAKEN_THREADS = 4096, 256
TAKEN_CYCLES, TAKEN_ISSUE, TAKEN_APART = 1700.0, 155.0, 1.35
"""A kernel that takes rows: bytes and threads of its largest block; clocks of one alone, whose row
waits for its place, and of one among many: blocks start one after the other (0.6 ns each, all
processors); and what the DRAM takes for rows that lie apart (fitted, H200)."""

LEAST_ROW = 64
"""Columns below which a plain reduction is a loop of one thread, its kernel an elementwise one."""

HELD = frozenset({"exp", "rsqrt", "sqrt"})
"""Kinds of operation of softmax and of norms: kernels of whole rows at any length."""

NORM_COLUMNS, NORM_RESIDENT, NORM_VECTOR = 512, 16, 4
NORM: Mapping[tuple[bool, bool], Pace] = {
    (False, False): Pace(1477, 1495, 134, 18.3),
    (False, True): Pace(2029, 1052, 161, 18.3),
    (True, False): Pace(3011, 1890, 251, 38.2),
    (True, True): Pace(3270, 1996, 381, 38.2),
}
"""By (with a mean, 32-bit); cycles by turn, which waits for its load, slots by element."""

NORM_MISS_CYCLES = 590.0
"""More for a turn whose second read goes to the DRAM."""

MOMENT_THREADS, SCALE_THREADS = 512, 256
MOMENTS = Pace(2330, 1135, 316, 58.7)
SCALE = Pace(0, 623, 0, 50.0)

SOFTMAX_WARP_COLUMNS, SOFTMAX_WARP_BYTES = 2048, 8192
SOFTMAX_WARP: Mapping[bool, Pace] = {
    False: Pace(0, 245, 36, 39.0),
    True: Pace(0, 245, 36, 24.5),
}
"""By 32-bit."""

LOGARITHMS = "log softmax"
LOG_CYCLES = 105.0
"""Cycles of an element of a warp's row where logarithms are written: no division (fitted to losses
of one H200, as the next)."""

SOFTMAX_WARPS, SOFTMAX_PAIRED_COLUMNS = 4, 128
"""Warps of a block, and columns up to which a warp takes two rows at a time."""

SOFTMAX_ROW_SLOTS, SOFTMAX_SHUFFLE_SLOTS, SOFTMAX_SHUFFLE_CYCLES = 11.0, 4.7, 11.0
"""Instructions of a warp for each of its rows, and for each time that its lanes halve in the two
reductions of it; cycles of the latter."""

SOFTMAX_PAD_CYCLES = 39.0
"""Cycles of an element of the padded row, beyond those of a real one."""

SOFTMAX_REGISTERS = 30
"""Registers of a thread beside one for each element (assumed)."""

SOFTMAX_THREADS, SOFTMAX_HELD, SOFTMAX_HELD_BY_TWO = 1024, 9, 6
SOFTMAX_SHARED_BYTES = 48 * 1024 - 128
SOFTMAX_REGISTER = Pace(0, 743, 51, 85.6)
SOFTMAX_SHARED = Pace(0, 622, 504, 28.5)
SOFTMAX_READ = Pace(1480, 371, 504, 36.8)
SOFTMAX_TURN_CYCLES, SOFTMAX_REST_CYCLES = 950.0, 1284.0
"""Where a row is read three times: cycles of a turn of 16 bytes a thread beside those of its
elements, and of each turn of one element over the rest of the row."""

LOG_READ, LOG_TURN_CYCLES = Pace(1480, 113, 504, 25.0), 1656.0

VECTOR_BYTES = 16
SOFTMAX_UNALIGNED_SLOTS = 13.1

WARP_WAIT_CYCLES, BLOCK_WAIT_CYCLES = 1332.0, 1765.0
"""From the end of a softmax's block to the first load of the next, of 128 and of 1024 threads."""


def menu() -> tuple[RowTile, ...]:
    """One open record, which `filled` fills in by the library's rule."""
    return (RowTile(),)


def form(
    reduces: bool,
    counts: Mapping[tuple[str, str], Amount],
    inputs: Sequence[str],
    strided: bool = False,
    taken: bool = False,
) -> str:
    """What torch runs, by the names of `RULES`; `taken`: rows out of a table."""
    kinds = {kind for kind, _ in counts}
    if reduces:
        return "norm" if "exp" not in kinds else LOGARITHMS if "log" in kinds else "softmax"
    if taken:
        return "gather"
    if strided:
        return "strided"
    return "copy" if len(inputs) == 1 and kinds <= FREE else "map"


def instructions(counts: Mapping[tuple[str, str], Amount]) -> Amount:
    """Instructions that the lanes issue for operations counted by (kind, dtype)."""
    return sum(
        count * INSTRUCTIONS.get(kind, 1.0)
        for (kind, _), count in counts.items()
        if kind not in FREE
    )


def filled(tile: RowTile, problem: RowProblem, limits: Limits) -> RowTile:
    """The kernel that torch runs for `problem`, at every point."""
    found = RULES[problem.form](problem, limits)
    if isinstance(tile.elements, int):
        return found
    column = tile.elements * 0 + 1
    return RowTile(**{name: getattr(found, name) * column for name in FIELDS})


def _copy(problem: RowProblem, limits: Limits) -> RowTile:
    size = problem.read_bytes
    pages = (size >= COPY_PAGES_FROM_BYTES) & (size % COPY_PAGE_BYTES == 0)
    slow = (size % COPY_UNIT_BYTES != 0) | pages
    return RowTile(
        elements=COPY_BLOCK_BYTES / problem.item_bytes,
        warps=SCHEDULERS,
        resident=8,
        engine=where(slow, 1, 0),
        chain=_whole(least((1, size / COPY_BLOCK_BYTES)) * COPY_CYCLES),
        first=COPY_FIRST,
    )


def _map(problem: RowProblem, limits: Limits) -> RowTile:
    total = problem.rows * problem.cols
    block = MAP_THREADS * MAP_PARTS
    each = MOVE_INSTRUCTIONS + problem.instructions / total
    issue = MAP_PARTS * each * (MAP_THREADS / WARP / SCHEDULERS)
    tail = ceil_div(total % block, MAP_THREADS) / MAP_PARTS * (2 / problem.item_bytes)
    return RowTile(
        elements=block,
        warps=MAP_THREADS // WARP,
        resident=limits.max_threads / MAP_THREADS,
        chain=_whole(issue * LONE_WARP_CYCLES),
        issue=_whole(issue),
        last=_whole(tail * TAIL_CYCLES),
    )


def _strided(problem: RowProblem, limits: Limits) -> RowTile:
    """Elementwise on views or broadcasts: one access an element, at an address that is computed."""
    total = problem.rows * problem.cols
    each = STRIDED.slots + problem.instructions / total
    warps = STRIDED_THREADS / WARP
    return RowTile(
        elements=STRIDED_THREADS * STRIDED_PARTS,
        warps=STRIDED_THREADS // WARP,
        resident=limits.max_threads / STRIDED_THREADS,
        chain=_whole(STRIDED.start_cycles + STRIDED_PARTS * STRIDED.cycles),
        issue=_whole(STRIDED_PARTS * each * warps / SCHEDULERS),
    )


def _taken(problem: RowProblem, limits: Limits) -> RowTile:
    """Rows out of a table: in sixteen bytes a thread, or one access an element where they do not.

    What the L2 has lost of a table that it does not hold is read again.
    """
    row_bytes = problem.written_bytes / problem.rows
    parts = ceil_div(row_bytes, TAKEN_BYTES)
    threads = least((TAKEN_THREADS, ceil_div(row_bytes, VECTOR_BYTES * WARP) * WARP))
    kept = least((1, KEPT * limits.capacity_bytes["l2"] / problem.read_bytes))
    again = most((0, problem.written_bytes / problem.read_bytes - 1)) * (1 - kept)
    wide = RowTile(
        elements=problem.cols / parts,
        warps=threads / WARP,
        resident=least((MOST_BLOCKS, limits.max_threads / threads)),
        chain=_whole(TAKEN_CYCLES),
        issue=_whole(TAKEN_ISSUE),
        rereads=(1 + again) * TAKEN_APART - 1,
    )
    aligned = row_bytes % VECTOR_BYTES == 0
    return _either(aligned, wide, replace(_strided(problem, limits), rereads=wide.rereads))


def _norm(problem: RowProblem, limits: Limits) -> RowTile:
    mean, cols = problem.passes > 2, problem.cols
    turns = ceil_div(cols, NORM_COLUMNS)
    in_flight = least((problem.rows, NORM_RESIDENT * limits.processors))
    crowded = where(problem.rows > limits.processors, 1, 0)
    late = crowded * turns * missed(in_flight, problem, limits) * NORM_MISS_CYCLES
    half, single, wide = NORM[mean, False], NORM[mean, True], problem.item_bytes > 2
    step = where(wide, single.cycles, half.cycles)
    start = where(wide, single.start_cycles, half.start_cycles)
    start_slots = where(wide, single.start_slots, half.start_slots)
    warps = NORM_COLUMNS / NORM_VECTOR / WARP
    elements = ceil_div(cols, NORM_VECTOR * WARP) * NORM_VECTOR
    scalar = where(cols % NORM_VECTOR != 0, 1, 0)
    vector = RowTile(
        elements=cols,
        warps=warps,
        resident=NORM_RESIDENT,
        chain=_whole(start + (turns - 1) * step + late),
        issue=_whole((warps * start_slots + elements * half.slots) / SCHEDULERS),
        rereads=1,
    )
    moments, scale = _by_element(MOMENT_THREADS, cols), _by_element(SCALE_THREADS, cols)
    twice = RowTile(
        elements=cols,
        warps=MOMENT_THREADS // WARP,
        resident=limits.max_threads / MOMENT_THREADS,
        chain=moments[0],
        issue=moments[1],
        second=1,
        second_resident=limits.max_threads / SCALE_THREADS,
        second_chain=scale[0],
        second_issue=scale[1],
    )
    return _either(scalar == 1, twice, vector)


def _by_element(threads: int, cols: Amount) -> tuple[Amount, Amount]:
    """(chain, issue) of a norm's kernel that walks a row element by element."""
    pace = MOMENTS if threads == MOMENT_THREADS else SCALE
    chain = pace.start_cycles + cols / threads * pace.cycles
    slots = threads / WARP * pace.start_slots + cols / WARP * pace.slots
    return _whole(chain), _whole(slots / SCHEDULERS)


def _softmax(problem: RowProblem, limits: Limits) -> RowTile:
    short = problem.cols <= SOFTMAX_WARP_COLUMNS
    short = short & (problem.row_bytes <= SOFTMAX_WARP_BYTES)
    return _either(short, _softmax_by_warp(problem, limits), _softmax_by_block(problem))


def _softmax_by_warp(problem: RowProblem, limits: Limits) -> RowTile:
    padded = np.exp2(np.ceil(np.log2(problem.cols)))
    lanes = least((padded, WARP))
    deep, held = where(padded <= SOFTMAX_PAIRED_COLUMNS, 2, 1), padded / lanes
    rows = SOFTMAX_WARPS * (WARP / lanes) * deep
    registers = SOFTMAX_WARPS * WARP * (SOFTMAX_REGISTERS + held)
    pace = SOFTMAX_WARP[False]
    each = where(problem.item_bytes > 2, SOFTMAX_WARP[True].slots, pace.slots)
    row = SOFTMAX_ROW_SLOTS + SOFTMAX_SHUFFLE_SLOTS * np.log2(lanes)
    cycles = LOG_CYCLES if problem.form == LOGARITHMS else pace.cycles
    chain = deep * (problem.cols / lanes * cycles + held * SOFTMAX_PAD_CYCLES)
    return RowTile(
        elements=rows * problem.cols,
        warps=SOFTMAX_WARPS,
        resident=most((1, least((limits.max_threads / 128, limits.registers / registers // 1)))),
        rows=rows,
        chain=_whole(chain + np.log2(lanes) * SOFTMAX_SHUFFLE_CYCLES),
        issue=_whole(SOFTMAX_WARPS * (pace.start_slots + deep * (row + held * each)) / SCHEDULERS),
        wait=WARP_WAIT_CYCLES,
    )


def _softmax_by_block(problem: RowProblem) -> RowTile:
    each = problem.cols / SOFTMAX_THREADS
    held = ceil_div(problem.cols, SOFTMAX_THREADS)
    in_registers = held <= SOFTMAX_HELD
    aligned = problem.row_bytes % 16 == 0
    shared = aligned & (problem.row_bytes < SOFTMAX_SHARED_BYTES)
    third = LOG_READ if problem.form == LOGARITHMS else SOFTMAX_READ
    first, second = SOFTMAX_REGISTER, SOFTMAX_SHARED
    slots = where(shared, second.slots, third.slots)
    slots = third.start_slots + each * (slots + where(aligned, 0, SOFTMAX_UNALIGNED_SLOTS))
    slots = where(in_registers, first.start_slots + held * first.slots, slots)
    longer = where(shared, each * second.cycles, _softmax_read(problem))
    return RowTile(
        elements=problem.cols,
        warps=SOFTMAX_THREADS // WARP,
        resident=where(in_registers & (held > SOFTMAX_HELD_BY_TWO), 1, 2),
        chain=_whole(where(in_registers, held * first.cycles, longer)),
        issue=_whole(slots * (SOFTMAX_THREADS / WARP / SCHEDULERS)),
        wait=BLOCK_WAIT_CYCLES,
        rereads=where(in_registers | shared, 0, 2),
    )


def _softmax_read(problem: RowProblem) -> Amount:
    """Cycles of a block that reads its row three times: by turns of 16 bytes, then one by one."""
    wide = VECTOR_BYTES / problem.item_bytes
    turns = floor_div(problem.cols, SOFTMAX_THREADS * wide)
    rest = ceil_div(problem.cols - turns * SOFTMAX_THREADS * wide, SOFTMAX_THREADS)
    logs = problem.form == LOGARITHMS
    whole, each = (LOG_TURN_CYCLES, LOG_READ) if logs else (SOFTMAX_TURN_CYCLES, SOFTMAX_READ)
    turn = whole + wide * each.cycles
    return SOFTMAX_READ.start_cycles + turns * turn + rest * SOFTMAX_REST_CYCLES


RULES: Mapping[str, Callable[[RowProblem, Limits], RowTile]] = {
    **{"copy": _copy, "map": _map, "strided": _strided, "gather": _taken},
    **{"norm": _norm, "softmax": _softmax, LOGARITHMS: _softmax},
}
"""By the form of a row operation."""


def _either(condition: object, one: RowTile, other: RowTile) -> RowTile:
    """One record where the condition holds, the other elsewhere."""
    if isinstance(condition, (bool, np.bool_)):
        return one if condition else other
    return RowTile(**{n: where(condition, getattr(one, n), getattr(other, n)) for n in FIELDS})


def _whole(cycles: Amount) -> Amount:
    """Cycles rounded up: a record of one point holds ints, as that of a sweep then does."""
    return ceil_div(cycles, 1)
