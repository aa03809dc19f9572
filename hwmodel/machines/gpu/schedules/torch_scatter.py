"""torch's scatters and gathers: places are read, rows taken or added to where they say.

`index_add_` and `scatter_add_` add each number with an atomic operation in the L2: all share its
rate, and those of one address go one after the other, so that a target which many sources reach
takes as long as they do. A gather, and an embedding bag which sums `bag` rows, read one row after
the other: places first, then what lies there, each waiting for the one before. Where all of them
make one number (the mean of a cross-entropy's losses), a block's threads share them.

    time = launch + first loads  +  (DRAM, L2, instructions, atomics in all and at one address)

Kernels: aten/src/ATen/native/cuda/Indexing.cu, EmbeddingBag.cu (recalled). Paces are cycles.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, kernel
from hwmodel.quantity.arithmetic import ceil_div, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

WARP = 32
SHARED_BY = 1024
"""Threads of the block that sums to one number (`nll_loss_forward_reduce_cuda_kernel_2d`)."""
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

    `read_bytes` are those of rows and places that are read, each once.
    """

    outputs: Amount
    cols: Amount
    bag: Amount
    read_bytes: Amount
    item_bytes: Amount


@dataclass(frozen=True)
class ScatterTile:
    """The launch record: threads of a block; cycles and instructions at start and a number."""

    threads: Amount = 128
    chain: Amount = 1500
    start: Amount = 60
    slots: Amount = 24
    step: Amount = 900


SCATTER, GATHER = (ScatterTile(),), (ScatterTile(threads=256, slots=16),)


def scatter(problem: ScatterProblem, tile: ScatterTile, limits: Limits) -> Activity:
    """A thread a number."""
    numbers = problem.sources * problem.cols
    given = problem.sources * (problem.cols * problem.item_bytes + INDEX_BYTES)
    targets = problem.touched * problem.cols * problem.item_bytes
    work = Work(
        operations={("vector", "flop", "fp32"): numbers},
        atomics=(numbers, problem.hottest),
        read={"dram": given + targets, "l2": given + numbers * problem.item_bytes},
        written={"dram": targets, "l2": numbers * problem.item_bytes},
    )
    issue = (tile.start + tile.slots) * tile.threads / WARP / SCHEDULERS
    cycles = (tile.chain, issue, 0, 0)
    resident = limits.max_threads / tile.threads
    return kernel(ceil_div(numbers, tile.threads), resident, cycles, work, limits)


def gather(problem: GatherProblem, tile: ScatterTile, limits: Limits) -> Activity:
    """A thread a number of the output, over the rows of its bag."""
    numbers = problem.outputs * problem.cols
    written = numbers * problem.item_bytes
    passed = numbers * problem.bag * problem.item_bytes
    work = Work(
        operations={("vector", "flop", "fp32"): numbers * problem.bag},
        read={"dram": problem.read_bytes, "l2": passed},
        written={"dram": written, "l2": written},
    )
    warps = tile.threads / WARP / SCHEDULERS
    each = where(numbers <= 1, ceil_div(problem.bag, SHARED_BY), problem.bag)
    chain = tile.chain + (each - 1) * tile.step
    cycles = (chain, (tile.start + each * tile.slots) * warps, 0, 0)
    resident = most((1, limits.max_threads // tile.threads))
    return kernel(ceil_div(numbers, tile.threads), resident, cycles, work, limits)
