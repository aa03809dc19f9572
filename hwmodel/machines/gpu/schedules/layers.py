"""Linear layers of serving engines: a product, and what the engine does around it.

Activations come in 16 bits. A layer in fp8 or fp4 finds their scales and narrows them first, in
kernels of its own, whose starts are part of the layer's launch. With a scale for each row a block
of threads takes a row, twice: once for its largest number, once to scale it. Two of them share a
processor, so that thousands of rows take turns, and each turn waits for both passes, for its
threads more than for its data: as long wherever the data lies (`cycle`); elements are narrowed at
so many a clock and processor (`narrow`). Other layers stream.

A layer that is called outside of a graph takes its host's time at the least, which hides the GPU's
or is hidden by it. What the host takes goes by the kernel that it picks: vLLM's blocks are
DeepGEMM's where N and K are multiples of 64 and 128, on Hopper FlashInfer's of those with fewer
than 32 rows, and else CUTLASS's (read from the rows' names of their kernels). DeepGEMM reads scales
of rows by bulk copies of 16 bytes, four of them: of other numbers of rows they are laid out anew,
which takes the host another while (242 for 182 us on a B200, 431 for 309 on a GB200).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.quantity.arithmetic import where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

GIVEN_BYTES = 2
"""Bytes of an activation as a layer gets it: bf16 or fp16."""

ROWS_AT_ONCE = 2
"""Blocks of 1,024 threads, a row each, that a processor holds."""

DEEP_N, DEEP_K, FEW_ROWS = 64, 128, 32
SCALES_AT_ONCE = 4
"""Scales of rows, fp32, that are 16 bytes."""


@dataclass(frozen=True)
class Layer:
    """Counts of a linear layer: how it narrows its activations, and whether it runs in a graph."""

    narrows: Literal["", "stream", "rows"] = "stream"
    eager: bool = False
    product: Callable[[GemmProblem, Any, Limits], Activity] = cublas.activity

    def __call__(self, problem: GemmProblem, tile: Any, limits: Limits) -> Activity:
        """The layer's activity."""
        whole = self.product(problem, tile, limits)
        if self.narrows:
            whole = Serial((_narrowed(problem, limits, self.narrows == "rows"), whole))
        return Overlap((whole, _host(problem, limits))) if self.eager else whole


def _narrowed(problem: GemmProblem, limits: Limits, by_row: bool) -> Activity:
    rows = problem.batch * problem.M
    count = rows * problem.K
    read, written = count * GIVEN_BYTES, count * bytes_of(problem.dtype_a)
    moved = Work(read={"dram": read, "l2": read}, written={"dram": written, "l2": written})
    if not by_row:
        return moved
    row = Work(read={"narrow": problem.K}, slots={"cycle": 1})
    return Overlap((Waves(rows, limits.processors * ROWS_AT_ONCE, row), moved))


def _host(problem: GemmProblem, limits: Limits) -> Work:
    """Which of its kernels the host calls, of the size that it is."""
    deep = (np.asarray(problem.N) % DEEP_N == 0) & (np.asarray(problem.K) % DEEP_K == 0)
    few = deep & (np.asarray(problem.M) < FEW_ROWS) & (np.asarray(limits.pair) == 1)
    ragged = deep & ~few & (np.asarray(problem.M) % SCALES_AT_ONCE != 0)
    counts = {"host": deep & ~few, "host few": few, "host other": ~deep, "host ragged": ragged}
    return Work(slots={name: where(here, 1.0, 0.0) for name, here in counts.items()})
