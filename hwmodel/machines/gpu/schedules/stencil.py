"""Depthwise convolution as a stencil: each output is a sum over a window of one channel.

There is nothing to multiply as matrices, so that a thread makes an output: for each tap it tests
the border, loads a value and a weight, which neighbours loaded too and the L1 holds, and adds. The
image crosses the DRAM's boundary once, the output once; instructions grow with the taps:

    time = launch + first load  +  (DRAM, instructions overlapped)

Nine taps are bound by the DRAM, forty-nine by what the processors issue.

Which kernel runs on a Hopper GPU (`resolved`) is read off the launches of 161 depthwise
convolutions and 80 poolings of one H200 (torch 2.11, cuDNN 9.19), and so are their instructions:
torch's own where channels come first, but for fp16 in up to 25 taps; cuDNN's where they come last:
one of shared loads for eight images and more in 16 bits, one for any beyond 49 taps, and one that
walks along a sequence, a block for sixteen channels of two images, each position after the one
before. Pooling is torch's; maxima write their places, eight bytes each.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, kernel
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

WARP = 32
SIDE, PAIR = 16, 2
"""Channels and images of a block that walks along a sequence."""
PLACE_BYTES = 8
"""Bytes of the place of a maximum."""
SPREAD = 0.35
"""What a tap issues more for each element that an output reads for itself alone."""
SHARED_FIRST = 18
"""First loads of a maximum with channels last: a block's stretch of the image, and its places."""
POOLED = {
    (False, False): (300, 17),
    (False, True): (770, 12),
    (True, False): (264, 28),
    (True, True): (134, 53),
}
"""(Maximum, channels last) -> instructions of a warp at the start, and for each tap."""


@dataclass(frozen=True)
class StencilProblem:
    """`elements` outputs of `taps` taps each; elements of the image that any reaches, of weights.

    `dtype_a` is the image's format, `dtype_b` the weights'; `operator` reduces a window without
    weights. Of `images` of `channels`, which windows slide over in so many `directions`; filters of
    a channel are counted apart.
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
    images: Amount = 1
    directions: int = 2

    @property
    def weights_none(self) -> bool:
        """Whether it is pooling."""
        return isinstance(self.weights, int) and self.weights == 0


@dataclass(frozen=True)
class StencilTile:
    """The launch record: threads of a block, and what one issues at the start and for each tap.

    `least` is what it issues at least; `walk` and `walk_tap` are cycles that a block takes for each
    position of a sequence, and for each tap there (0: a thread an output). `wait` is the cycles of
    a tap that nothing hides, of a block alone; `first` its wait for its first load, in those of
    most kernels.
    """

    threads: Amount = 256
    start: Amount = 60
    tap: Amount = 6
    least: Amount = 0
    walk: Amount = 0
    walk_tap: Amount = 0
    wait: Amount = 0
    first: Amount = 1


MENU = (StencilTile(),)
"""A thread an output: two loads, a test of the border, an address, a conversion and a multiply-add
for each tap (assumed: aten/src/ATen/native/cuda/DepthwiseConv2d.cu, recalled)."""


def activity(problem: StencilProblem, tile: StencilTile, limits: Limits) -> Activity:
    """One kernel: blocks of threads over the DRAM's stream."""
    each = most((tile.least, tile.start + tile.tap * problem.taps))
    slots = each * tile.threads / WARP / SCHEDULERS
    read = problem.image_elements * bytes_of(problem.dtype_a)
    read = read + problem.weights * bytes_of(problem.dtype_b)
    places = PLACE_BYTES if problem.operator == "max" and problem.weights_none else 0
    written = problem.elements * (bytes_of(problem.dtype_out) + places)
    work = Work(
        operations={("vector", "flop", "fp32"): 2 * problem.elements * problem.taps},
        read={"dram": read, "l2": read},
        written={"dram": written, "l2": written},
    )
    resident = limits.max_threads / tile.threads
    blocks = ceil_div(problem.elements, tile.threads)
    walked = where(tile.walk > 0, 1, 0)
    groups = ceil_div(problem.channels, SIDE) * ceil_div(problem.images, PAIR)
    length = problem.elements / (problem.channels * problem.images) * least((PAIR, problem.images))
    chain = length * (tile.walk + tile.walk_tap * problem.taps)
    blocks = where(walked == 1, groups, blocks)
    taken = where(walked == 1, chain, most((slots, tile.wait * problem.taps)))
    cycles = (taken, where(walked == 1, chain / 2, slots), 0, 0)
    return kernel(blocks, resident, cycles, work, limits, tile.first)


def resolved(tile: StencilTile, problem: StencilProblem, limits: Limits) -> StencilTile:
    """The kernel that torch, or cuDNN, runs on a Hopper GPU."""
    if problem.weights_none:
        start, tap = POOLED[problem.operator == "max", problem.channels_last]
        last = problem.operator == "max" and problem.channels_last
        threads = 1024 if problem.operator != "max" else 256
        return StencilTile(threads, start, tap, first=SHARED_FIRST if last else 1)
    half, line = element_bytes(problem.dtype_a) <= 2, problem.directions == 1
    if not problem.channels_last:
        if problem.dtype_a == "fp16" and line:
            return StencilTile(start=83, tap=5.7)
        theirs = problem.dtype_a == "fp16"
        short = (problem.taps <= 25) & theirs
        return StencilTile(
            threads=where(short, 256, 1024),
            start=where(short, -40, 67),
            tap=where(short, 15.5, 22),
            least=where(short, 60, 318),
        )
    if line:
        return StencilTile(threads=512, walk=6, walk_tap=1.77)
    many = problem.taps > 49
    shared = (problem.images >= 8) & half
    spread = 1 + SPREAD * (most((1, problem.image_elements / problem.elements)) - 1)
    return StencilTile(
        threads=where(many, 1024, where(shared, 128, 256)),
        start=where(many, 0, where(shared, 30, 0)),
        tap=where(many, 53, where(shared, 3.9 * spread, 12.2)),
        wait=where(shared, where(many, 230, 0), 230),
    )
