"""torch's reductions, which leave no column: how many threads, blocks and outputs share the work.

`torch.sum(x, dim)` and its kin run one kernel for every shape (`setReduceConfig` of torch 2.11,
aten/src/ATen/native/cuda/Reduce.cuh, recalled). Threads of a block of up to 512 lie along the sum
where that is contiguous, else along the outputs, 32 at first; the rest of them along the other.

- Where each thread has 16 values for every row of threads, or 256 in all, the rows join in the sum.
- Where it then still has 256 and the grid is smaller than the device holds at once, the sum is
  divided among blocks: as many as fill the device, but 16 values for each thread, and no more than
  256. The last block of an output adds the parts, which lie in the L2: where threads lie along the
  outputs, its few rows of threads do so one part after the other, some 700 cycles each, which for
  some hundreds of outputs takes longer than the reading.

So a sum of 2^28 values into one is read by all processors. A thread has 4 values on their way, 8 of
16-bit sums along contiguous memory (inferred from times). Paces of a block were fitted to 59
shapes of one H200. Sizes are elements, paces clock cycles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, RowProblem, kernel
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Serial, Work

WARP, MOST_THREADS = 32, 512
VECTOR, VECTOR_ABOVE = 4, 128
"""Values of one load: of a sum into one output that is longer, or of outputs in fours."""
AT_ONCE = 4
"""Values of a sum that a thread has on their way at once, in one load or in as many."""
LEAST_VALUES, MOST_VALUES = 16, 256
"""Values that a thread is left with where a sum is divided, and those from which it is."""

PARTIAL_BYTES = 4
START_CYCLES, LOAD_CYCLES = 1560.0, 889.0
"""A block's start and its tree of sums; `AT_ONCE` values after the ones before."""
START_SLOTS, LOAD_SLOTS, VALUE_SLOTS = 159.0, 5.0, 1.4
"""Instructions of a warp at start, for each turn and for each value."""
MAXIMUM_SLOTS = 22.5
"""The last for a maximum of 16-bit values that do not lie beside each other: converted, compared,
tested for NaN."""


@dataclass(frozen=True)
class ReduceTile:
    """The launch record: `outputs` of a block, `split` blocks for each of them, its threads.

    A thread sums `values` for each of `sums` outputs, and at the end `adders` threads of the last
    block add the parts of one output.
    """

    outputs: Amount = 1
    split: Amount = 1
    threads: Amount = MOST_THREADS
    values: Amount = 1
    sums: Amount = 1
    adders: Amount = 1


MENU = (ReduceTile(),)
"""One open record, which `resolved` fills in by the library's rule."""


def resolved(tile: ReduceTile, problem: RowProblem, limits: Limits) -> ReduceTile:
    """The launch that the rule makes for `problem.rows` sums of `problem.cols` values each."""
    sums, values = problem.rows, problem.cols
    along = _along(problem)
    side, other = where(along, values, sums), where(along, sums, values)
    vector = _vector(problem)
    room = where(along, MOST_THREADS, floor_div(MOST_THREADS, vector))
    wide = _power(least((most((1, floor_div(side, vector))), room)))
    high = _power(least((other, room)))
    height = least((high, floor_div(room, least((wide, WARP)))))
    width = least((wide, floor_div(room, height)))
    each = ceil_div(values, where(along, width, 1))
    in_sum = (each >= LEAST_VALUES * height) | (each >= MOST_VALUES)
    each = ceil_div(each, where(in_sum, height, 1))
    outputs = where(in_sum, 1, height) * where(along, 1, width * vector)
    grid = ceil_div(sums, outputs)
    target = limits.processors * floor_div(limits.max_threads, width * height)
    divided = in_sum & (each >= MOST_VALUES) & (grid <= target)
    fill, fewest = ceil_div(target, grid), ceil_div(each, MOST_VALUES)
    blocks = most((least((fill, ceil_div(each, LEAST_VALUES))), fewest))
    split = where(divided, blocks, 1)
    each = ceil_div(each, split)
    adders = height * where(along, width, 1)
    return ReduceTile(outputs, split, width * height, each, where(along, 1, vector), adders)


def activity(problem: RowProblem, tile: ReduceTile, limits: Limits) -> Activity:
    """One kernel: blocks over the DRAM's stream, and the adding of parts of divided sums."""
    blocks = ceil_div(problem.rows, tile.outputs) * tile.split
    half, adds = problem.item_bytes <= 2, problem.reducer == "add"
    turns = ceil_div(tile.values, where(_along(problem) & half & adds, 2 * AT_ONCE, AT_ONCE))
    warps = ceil_div(tile.threads, WARP)
    apart = where(_along(problem), VALUE_SLOTS, MAXIMUM_SLOTS)
    value_slots = where(half & (not adds), apart, VALUE_SLOTS)
    each = value_slots + problem.instructions / (problem.rows * problem.cols)
    slots = START_SLOTS + turns * LOAD_SLOTS + tile.values * tile.sums * each
    cycles = (START_CYCLES + turns * LOAD_CYCLES, warps * slots / SCHEDULERS, 0, 0)
    parted = where(tile.split > 1, 1, 0)
    partial = parted * tile.split * problem.rows * PARTIAL_BYTES
    main = Work(
        operations=problem.operations,
        read={"dram": problem.read_bytes, "l2": problem.read_bytes + partial},
        written={"dram": problem.written_bytes, "l2": problem.written_bytes + partial},
    )
    resident = least((limits.max_blocks, floor_div(limits.max_threads, tile.threads)))
    first = kernel(blocks, resident, cycles, main, limits)
    added = parted * ceil_div(tile.split, tile.adders)
    return Serial((first, Work(slots={"reduction": parted, "split": added})))


def _vector(problem: RowProblem) -> Amount:
    """Values of one load: of one long sum into one output, or of outputs side by side."""
    one = where((problem.rows <= 1) & (problem.cols > VECTOR_ABOVE), VECTOR, 1)
    pairs = where(problem.rows % 2 == 0, 2, 1)
    return where(_along(problem), one, where(problem.rows % VECTOR == 0, VECTOR, pairs))


def _along(problem: RowProblem) -> Any:
    """Whether threads lie along the sum: it is contiguous, as any is into one output."""
    return problem.form == "reduce" or problem.rows <= 1


def _power(size: Amount) -> Amount:
    """The largest power of two that is no more than `size`."""
    if isinstance(size, int):
        return 1 << (size.bit_length() - 1)
    return np.exp2(np.floor(np.log2(size)))
