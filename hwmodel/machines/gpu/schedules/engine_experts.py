"""Experts of serving engines: what is done to every token, then a grouped product of its rows.

Tokens are sorted by expert, their rows brought there, and what comes back is summed. An engine
whose experts are divided over devices does so to all tokens that it is given, of whichever device
their experts are: published rows of one of 256 devices, which has a row or two, take as long as
hundreds of tokens say. Each product has its share of that: as many elements of a token as it reads
and leaves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import triton_grouped
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.quantity.arithmetic import least, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Serial, Work


@dataclass(frozen=True)
class Experts:
    """Counts of one product of experts, and its share of what is done to every token."""

    product: Callable[[GemmProblem, Any, Limits], Activity] = triton_grouped.grouped
    zeroed: bool = False

    def __call__(self, problem: GemmProblem, tile: Any, limits: Limits) -> Activity:
        """The product's activity."""
        product = self.product(problem, tile, limits)
        if problem.routing is None:
            return product
        draws, alone = problem.routing.draws, np.asarray(problem.routing.ways) == 1
        there = where(alone, least((draws, problem.M)), draws)
        every = (problem.M + there) * (problem.K + problem.N)
        moved = Work(read={"copy": every})
        if not self.zeroed:
            return Serial((moved, product))
        others = problem.M * (self.passed(problem) - 1)
        row = others * problem.N * bytes_of(problem.dtype_out)
        passed = {"dram": row, "l2": row}
        return Serial((moved, product, Work(read=passed, written=passed)))

    def passed(self, problem: GemmProblem) -> Amount:
        """Rows that pass through memory, over the device's own: activations that the L2 sees."""
        return problem.routing.ways if self.zeroed and problem.routing else 1
