"""What the kernel of a library launches with, beyond what our own kernels do."""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class LibraryTile(GemmTile):
    """A launch record; `effort` is the time of its matrix instructions over a warpgroup's.

    Where tiles do not follow the operands' sizes `edged` is what a row beyond an edge costs the L2
    over one within, and rows off a sector come in parts (else 0); `late` is 1 where hardly a copy
    runs ahead, so that a processor's own copies wait for those parts, too. Clusters are `cluster_n`
    blocks along N, which share rows of A, by `cluster_m` along M, which share columns of B (0: as
    `multicast` says).

    Of kernels that copy by threads: `wait` are the clocks of a slice that no other block's work
    hides, `lanes` what their copies take over those of 4 bytes that run ahead; `in_turn` is 1 where
    parts of K are added to C one after the other, and `narrow` 1 where a few rows pass through the
    vector units; `added` are the clocks of a part in the kernel that adds them.
    """

    effort: Amount = 1.0
    edged: Amount = 0
    late: Amount = 0
    cluster_m: Amount = 0
    cluster_n: Amount = 0
    wait: Amount = 0
    lanes: Amount = 1.0
    in_turn: Amount = 0
    narrow: Amount = 0
    added: Amount = 0


@dataclass(frozen=True)
class Grid:
    """How a product falls into blocks: counts, and `depth`, the padded K that a block walks.

    `resident` is how many blocks a processor runs at a time, where these are dealt evenly.
    """

    rows: Amount
    columns: Amount
    blocks: Amount
    resident: Amount
    slices: Amount
    depth: Amount

    @classmethod
    def of(cls, problem: GemmProblem, tile: LibraryTile, limits: Limits) -> "Grid":
        """The grid of a product in a tile's blocks."""
        rows, columns = ceil_div(problem.M, tile.block_m), ceil_div(problem.N, tile.block_n)
        blocks = problem.batch * rows * columns * tile.split
        slices = ceil_div(ceil_div(problem.K, tile.block_k), tile.split)
        resident = dealt(blocks, tile.resident, limits)
        return cls(rows, columns, blocks, resident, slices, slices * tile.block_k)


def dealt(blocks: Amount, most_resident: Amount, limits: Limits) -> Amount:
    """Blocks that a processor runs at a time, in the fewest turns of at most so many."""
    each = ceil_div(blocks, limits.processors)
    return each / ceil_div(each, most_resident)
