"""What the kernel of a library launches with, beyond what our own kernels do."""

from dataclasses import dataclass

from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class LibraryTile(GemmTile):
    """A launch record; `effort` is the time of its matrix instructions over a warpgroup's.

    `shallow` is 1 where so few slices are under way that the DRAM's rate grows with the processors
    that load (by the root of their share), else 0. Clusters are `cluster_n` blocks along N, which
    share rows of A, by `cluster_m` along M, which share columns of B (0: as `multicast` says).

    Of kernels that copy by threads: `wait` are the clocks of a slice that no other block's work
    hides, `lanes` what their copies take over those of 4 bytes that run ahead; `in_turn` is 1 where
    parts of K are added to C one after the other, and `narrow` 1 where a few rows pass through the
    vector units.
    """

    effort: Amount = 1.0
    shallow: Amount = 0
    cluster_m: Amount = 0
    cluster_n: Amount = 0
    wait: Amount = 0
    lanes: Amount = 1.0
    in_turn: Amount = 0
    narrow: Amount = 0
