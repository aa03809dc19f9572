"""torch's cumulative sums: which of three kernels runs, and what its blocks wait for.

Kernels (aten/src/ATen/native/cuda/ScanUtils.cuh of torch 2.11, recalled):

- one row along contiguous memory: CUB's scan, one pass over the data after a small kernel that
  clears its flags; its blocks wait for what the ones before them add up to;
- many rows along contiguous memory: blocks of 512 threads, `width` of them along a row and the rest
  over rows, so that both are filled alike; a block sums 2 `width` numbers of each of its rows at a
  turn, in a tree whose levels wait for each other, one turn after the other;
- down the outer axis: a thread a column, which adds number after number; each waits for its load.

Paces are clock cycles of a block, elements are numbers; fitted to half of 117 shapes of one H200.
"""

from dataclasses import dataclass

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, kernel
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Serial, Work

WARP, THREADS = 32, 512
LEAST_LOG, MOST_LOG = 4, 9
"""Threads along a row of the kernel for many rows, as powers of two."""
CUB_THREADS, CUB_ITEMS_BYTES = 128, 60
"""Threads of CUB's scan, and bytes of numbers that each takes (read off grids)."""
CUB_CYCLES, CUB_ITEM_CYCLES, CUB_SLOTS = 400.0, (80.0, 140.0), 6.0
"""Cycles of a tile, and of each number of a thread of 32 or 16 bits; its instructions."""
TURN_CYCLES, LEVEL_CYCLES, TURN_SLOTS, FIRST_CYCLES = 1650.0, 68.0, 60.0, 1000.0
"""Cycles of a turn, and of each of its levels beside; instructions of a warp in a turn; cycles that
the first turn, whose loads nothing holds up, takes less."""
STEP_CYCLES, STEP_SLOTS, FAR_CYCLES, LINE_BYTES = 120.0, 10.0, 620.0, 64
"""Cycles and instructions of a number in the kernel that walks down columns, and cycles more where
the next one lies in another line."""


@dataclass(frozen=True)
class CumulativeProblem:
    """`rows` running sums of `cols` numbers each; `along` says that these lie side by side."""

    rows: Amount
    cols: Amount
    item_bytes: Amount
    along: bool


@dataclass(frozen=True)
class CumulativeTile:
    """The launch record: threads along a row and blocks; cycles and instructions of a block."""

    width: Amount = THREADS
    blocks: Amount = 1
    threads: Amount = THREADS
    chain: Amount = 0
    issue: Amount = 0
    launches: Amount = 1


MENU = (CumulativeTile(),)
"""One open record, which `resolved` fills in by the library's rule."""


def resolved(tile: CumulativeTile, problem: CumulativeProblem, limits: Limits) -> CumulativeTile:
    """The kernel that torch runs."""
    one = _one_row(problem)
    many = _many_rows(problem) if problem.along else _down(problem)
    single = problem.rows <= 1
    if isinstance(single, (bool, np.bool_)):
        return one if single else many
    names = ("width", "blocks", "threads", "chain", "issue", "launches")
    return CumulativeTile(*(where(single, getattr(one, n), getattr(many, n)) for n in names))


def _one_row(problem: CumulativeProblem) -> CumulativeTile:
    items = CUB_THREADS * CUB_ITEMS_BYTES / problem.item_bytes
    warps = CUB_THREADS / WARP
    held = least((items / CUB_THREADS, ceil_div(problem.cols, CUB_THREADS)))
    each = where(problem.item_bytes > 2, *CUB_ITEM_CYCLES)
    return CumulativeTile(
        width=CUB_THREADS,
        blocks=ceil_div(problem.cols, items),
        threads=CUB_THREADS,
        chain=CUB_CYCLES + held * each,
        issue=items / CUB_THREADS * CUB_SLOTS * warps / SCHEDULERS,
        launches=2,
    )


def _many_rows(problem: CumulativeProblem) -> CumulativeTile:
    apart = _log(problem.cols) - _log(problem.rows)
    log = most((LEAST_LOG, least((MOST_LOG, np.trunc((MOST_LOG + apart) / 2)))))
    width = 2.0**log
    turns = ceil_div(problem.cols, 2 * width)
    return CumulativeTile(
        width=width,
        blocks=ceil_div(problem.rows, THREADS / width),
        threads=THREADS,
        chain=turns * (TURN_CYCLES + 2 * log * LEVEL_CYCLES) - FIRST_CYCLES,
        issue=turns * (1 + log / 2) * TURN_SLOTS * THREADS / WARP / SCHEDULERS,
        launches=1,
    )


def _down(problem: CumulativeProblem) -> CumulativeTile:
    threads = least((THREADS, problem.rows))
    warps = ceil_div(threads, WARP)
    far = least((1, problem.rows * problem.item_bytes / LINE_BYTES))
    return CumulativeTile(
        width=1,
        blocks=ceil_div(problem.rows, threads),
        threads=threads,
        chain=problem.cols * (STEP_CYCLES + FAR_CYCLES * far),
        issue=problem.cols * STEP_SLOTS * warps / SCHEDULERS,
        launches=1,
    )


def _log(size: Amount) -> Amount:
    """The least power of two that is no less than `size`, as its exponent."""
    return np.ceil(np.log2(size))


def activity(problem: CumulativeProblem, tile: CumulativeTile, limits: Limits) -> Activity:
    """One scan."""
    moved = problem.rows * problem.cols * problem.item_bytes
    work = Work(
        operations={("vector", "flop", "fp32"): problem.rows * problem.cols},
        read={"dram": moved, "l2": moved},
        written={"dram": moved, "l2": moved},
    )
    resident = most((1, limits.max_threads // most((tile.threads, WARP))))
    cycles = (tile.chain, tile.issue, 0, 0)
    first = Work(slots={"launch": tile.launches - 1})
    return Serial((first, kernel(tile.blocks, resident, cycles, work, limits)))
