"""torch's scatters and gathers: places are read, rows taken or added to where they say.

`index_add_` and `scatter_add_` add each number with an atomic operation in the L2: all share its
rate, and those of one address go one after the other, so that a target which many sources reach
takes as long as they do. Addresses side by side share a slice of the L2 (probes of an H200: 0.57
billion a second at one address, 9.7 at 64 side by side, and 62 times that at most, over many); few
targets reach few slices. Numbers of 16 bits are added in pairs, as `half2`, but for the last of an
odd number of them, which has no pair: its sources read, compare and swap, and try again where
another came first (`fastSpecializedAtomicAdd`, KernelUtils.cuh). A gather, and an embedding bag
which sums `bag` rows, read one row after the other: places first, then what lies there, each
waiting for the one before. Where all of them make one number (the mean of a cross-entropy's
losses), a block's threads share them.

    time = launch + first loads  +  (DRAM, L2, instructions, atomics in all and at one address)

Kernels: aten/src/ATen/native/cuda/Indexing.cu, EmbeddingBag.cu (recalled). Paces are cycles.
"""

from dataclasses import dataclass

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, kernel
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

WARP = 32
SHARED_BY, EACH, STEP, STEP_FAR = (32, 1024), 16, 1350.0, 800.0
"""Least and most threads of the block that sums to one number, and numbers of each, to the nearest
power of two (`nll_loss_forward_reduce_cuda_kernel_2d`, met by all launches of an H200); cycles of a
step, which waits for a place and then for what lies there, and more of them outside of the L2."""
CHUNK_BYTES, ELSEWHERE, AT_ONCE = 256, 91.0, 25.0
"""Bytes side by side in one slice of the L2; as many of these as bring half of the rate; additions
of one slice in the time of one at an address (fitted)."""
TOGETHER = 0.8
"""Exponent of the slices that a row reaches: its numbers meet in some of them (fitted)."""
FASTEST, APART = 650.0, (3.2, 0.35)
"""Billions of additions a second over many addresses; of single numbers, which share no request:
into one slice, and for each more (fitted)."""
WORD_BYTES = 4
"""Bytes that are added to at once; numbers of 16 bits share them."""
SWAPPED, RIVALS, MOST_RIVALS = 105.0, 0.11, 1e4
"""Additions at one address in the time of one that compares and swaps, and more for each thread
that tries the same, half as much where there are so many (fitted: 0.2 to 1.5 us)."""
HALVES = 1.8
"""The same of two numbers of 16 bits, which lie in one word, over one (fitted)."""
EIGHT = 8
"""Numbers of a thread of `scatter_add_`."""
SLOTS = (160.0, 230.0)
"""Instructions of a warp for a number of 32 bits, or of 16: divisions of 64-bit places."""
INDEX_BYTES = 8
"""Bytes of a place: torch's int64."""


@dataclass(frozen=True)
class ScatterProblem:
    """`sources` rows of `cols` numbers for `targets` rows, of which `touched` are reached.

    `hottest` is how many sources the fullest target has.
    """

    sources: Amount
    cols: Amount
    targets: Amount
    touched: Amount
    hottest: Amount
    item_bytes: Amount


@dataclass(frozen=True)
class GatherProblem:
    """`outputs` rows of `cols` numbers, each the sum of `bag` rows of a table.

    `read_bytes` are those of rows and places that are read, each once, `table_bytes` of the table.
    """

    outputs: Amount
    cols: Amount
    bag: Amount
    read_bytes: Amount
    item_bytes: Amount
    table_bytes: Amount = 0


@dataclass(frozen=True)
class ScatterTile:
    """The launch record: threads of a block; cycles and instructions at start and a number."""

    threads: Amount = 128
    chain: Amount = 1500
    start: Amount = 60
    slots: Amount = 24
    step: Amount = 1500


SCATTER, GATHER = (ScatterTile(),), (ScatterTile(threads=256, start=340, slots=46, step=430),)


def scatter(problem: ScatterProblem, tile: ScatterTile, limits: Limits) -> Activity:
    """A thread a number; single numbers, eight to a thread, one after the other."""
    numbers = problem.sources * problem.cols
    spread = slices(problem.targets * problem.cols * problem.item_bytes)
    crowded = numbers * crowding(spread)
    apart = numbers * most((1, FASTEST / (APART[0] + APART[1] * spread)))
    crowded = where(problem.cols <= 1, apart, crowded)
    beside = where((problem.cols <= 1) & (problem.item_bytes < WORD_BYTES), 1, 0)
    at_once = AT_ONCE * most((1, problem.cols * problem.item_bytes / CHUNK_BYTES)) ** TOGETHER
    halves = where((problem.cols > 1) & (problem.item_bytes < WORD_BYTES), HALVES, 1)
    hottest = halves * problem.hottest * most((1, problem.cols / at_once))
    hottest = hottest + beside * problem.sources / problem.targets
    hottest = hottest + swaps(problem, limits)
    given = problem.sources * (problem.cols * problem.item_bytes + INDEX_BYTES)
    targets = problem.touched * problem.cols * problem.item_bytes
    work = Work(
        operations={("vector", "flop", "fp32"): numbers},
        atomics=(crowded, hottest),
        read={"dram": given + targets, "l2": given + numbers * problem.item_bytes},
        written={"dram": targets, "l2": numbers * problem.item_bytes},
    )
    alone = problem.cols <= 1
    each = where(alone, EIGHT, 1)
    filled = least((EIGHT, ceil_div(numbers, tile.threads)))
    chain = where(alone, tile.chain + filled * tile.step, 0)
    slots = where(problem.item_bytes > 2, *SLOTS)
    issue = (tile.start + each * slots) * tile.threads / WARP / SCHEDULERS
    resident = limits.max_threads / tile.threads
    blocks = ceil_div(numbers, tile.threads * each)
    return kernel(blocks, resident, (chain, issue, 0, 0), work, limits)


def slices(target_bytes: Amount) -> Amount:
    """Chunks of the L2's slices that the targets fill."""
    return most((1.5, target_bytes / CHUNK_BYTES))


def crowding(spread: Amount) -> Amount:
    """Times as long as additions over many slices those over so many chunks take."""
    return 1 + ELSEWHERE / spread


def swaps(problem: ScatterProblem, limits: Limits) -> Amount:
    """Additions at one address in the time of those to a last number that shares no word."""
    odd = (problem.targets * problem.cols % 2 == 1) & (problem.item_bytes < WORD_BYTES)
    others = (problem.sources - problem.hottest) / most((1, problem.targets - 1))
    sources = where(odd, where(problem.targets > 1, others, problem.sources), 0)
    threads = least((problem.sources / EIGHT, limits.processors * limits.max_threads))
    rivals = threads * sources / problem.sources
    return sources * (SWAPPED + RIVALS * rivals / (1 + rivals / MOST_RIVALS))


def nearest_power(size: Amount) -> Amount:
    """The nearest power of two by its logarithm, of one and more."""
    return np.exp2(np.round(np.log2(most((1, size)))))


def gather(problem: GatherProblem, tile: ScatterTile, limits: Limits) -> Activity:
    """A warp for 32 numbers of an output, over the rows of its bag."""
    numbers = problem.outputs * problem.cols
    written = numbers * problem.item_bytes
    passed = numbers * problem.bag * problem.item_bytes
    work = Work(
        operations={("vector", "flop", "fp32"): numbers * problem.bag},
        read={"dram": problem.read_bytes, "l2": passed},
        written={"dram": written, "l2": written},
    )
    warps, alone = tile.threads / WARP / SCHEDULERS, numbers <= 1
    lanes = where(alone, 1, problem.outputs * ceil_div(problem.cols, WARP) * WARP)
    shared = least((SHARED_BY[1], most((SHARED_BY[0], nearest_power(problem.bag / EACH)))))
    far = least((1, problem.table_bytes / limits.capacity_bytes["l2"]))
    each = where(alone, ceil_div(problem.bag, shared), problem.bag)
    chain = tile.chain + (each - 1) * where(alone, STEP + STEP_FAR * far, tile.step)
    cycles = (chain, (tile.start + each * tile.slots) * warps, 0, 0)
    resident = most((1, limits.max_threads // tile.threads))
    return kernel(ceil_div(lanes, tile.threads), resident, cycles, work, limits)
