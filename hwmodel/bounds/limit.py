"""The answer to `bound`: what no schedule can go below, and how far the kernels are from it."""

from dataclasses import dataclass

from hwmodel.bounds.bound import Bound
from hwmodel.bounds.sensitivity import Gain
from hwmodel.spine.estimate import Estimate, Quantity
from hwmodel.text.shown import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Limit(Shown):
    """What no schedule of a workload can go below, and how far its kernels are from it.

    `bound` has the least bytes at each memory level, `time_s` is the roofline with those bytes,
    `estimate` the prediction for the library's kernels, and `sensitivity` what more memory or
    bandwidth would take off the bound at each level.
    """

    bound: Bound
    time_s: Quantity
    estimate: Estimate
    sensitivity: tuple[Gain, ...] = ()

    @property
    def dram_bytes(self) -> Quantity:
        """Least bytes across the DRAM's boundary."""
        return self.bound.dram_bytes

    @property
    def gap_to_bound(self) -> Quantity:
        """(predicted - bound) / predicted, of the bytes across the DRAM's boundary."""
        moved = self.estimate.dram_bytes_read + self.estimate.dram_bytes_written
        return (moved - self.dram_bytes) / moved

    @property
    def time_over_limit(self) -> Quantity:
        """Predicted time as a multiple of the roofline's."""
        return self.estimate.time_s / self.time_s
