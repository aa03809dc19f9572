"""Linear layers of serving engines: a product, and what the engine does around it.

Activations come in 16 bits. A layer in fp8 or fp4 finds their scales and narrows them first, in
kernels of its own: 2 bytes an element are read, and what the product reads is written. Those
kernels' starts are part of the layer's launch. A layer that is called outside of a graph takes its
host's time at the least, which hides the GPU's or is hidden by it.
"""

from dataclasses import dataclass
from typing import Any

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

GIVEN_BYTES = 2
"""Bytes of an activation as a layer gets it: bf16 or fp16."""


@dataclass(frozen=True)
class Layer:
    """Counts of a linear layer: whether it narrows its activations, and runs outside of a graph."""

    narrows: bool = True
    eager: bool = False

    def __call__(self, problem: GemmProblem, tile: Any, limits: Limits) -> Activity:
        """The layer's activity."""
        whole = cublas.activity(problem, tile, limits)
        if self.narrows:
            whole = Serial((_narrowed(problem), whole))
        return Overlap((whole, Work(slots={"host": 1}))) if self.eager else whole


def _narrowed(problem: GemmProblem) -> Work:
    count = problem.batch * problem.M * problem.K
    read, written = count * GIVEN_BYTES, count * bytes_of(problem.dtype_a)
    return Work(read={"dram": read, "l2": read}, written={"dram": written, "l2": written})
