"""Depthwise convolution as a stencil: each output is a sum over a window of one channel.

There is nothing to multiply as matrices, so that a thread makes an output: for each tap it tests
the border, loads a value and a weight, which neighbours loaded too and the L1 holds, and adds. The
image crosses the DRAM's boundary once, the output once; instructions grow with the taps:

    time = launch + first load  +  (DRAM, instructions overlapped)

Nine taps are bound by the DRAM, forty-nine by what the processors issue.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, kernel
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

WARP = 32


@dataclass(frozen=True)
class StencilProblem:
    """`elements` outputs of `taps` taps each; elements of the image that any reaches, of weights.

    `channels` are those of an image, filters of a channel counted apart.
    `dtype_a` is the image's format, `dtype_b` the weights'.
    """

    elements: Amount
    taps: Amount
    image_elements: Amount
    weights: Amount
    channels: Amount = 1
    dtype_a: str = "fp16"
    dtype_b: str = "fp16"
    dtype_out: str = "fp16"
    channels_last: bool = False
    operator: str = "add"


@dataclass(frozen=True)
class StencilTile:
    """The launch record: threads of a block, and what one issues at the start and for each tap."""

    threads: Amount = 256
    start: Amount = 60
    tap: Amount = 6


MENU = (StencilTile(),)
"""A thread an output: two loads, a test of the border, an address, a conversion and a multiply-add
for each tap (assumed: aten/src/ATen/native/cuda/DepthwiseConv2d.cu, recalled)."""


def activity(problem: StencilProblem, tile: StencilTile, limits: Limits) -> Activity:
    """One kernel: blocks of threads over the DRAM's stream."""
    slots = (tile.start + tile.tap * problem.taps) * tile.threads / WARP / SCHEDULERS
    read = problem.image_elements * bytes_of(problem.dtype_a)
    read = read + problem.weights * bytes_of(problem.dtype_b)
    written = problem.elements * bytes_of(problem.dtype_out)
    work = Work(
        operations={("vector", "flop", "fp32"): 2 * problem.elements * problem.taps},
        read={"dram": read, "l2": read},
        written={"dram": written, "l2": written},
    )
    resident = limits.max_threads / tile.threads
    cycles = (slots, slots, 0, 0)
    return kernel(ceil_div(problem.elements, tile.threads), resident, cycles, work, limits)
