"""Depthwise convolution as a stencil: each output is a sum over a window of one channel.

There is nothing to multiply as matrices, so that a thread makes an output: for each tap it tests
the border, loads a value and a weight, which neighbours loaded too and the L1 holds, and adds. The
image crosses the DRAM's boundary once, the output once; instructions grow with the taps:

    time = launch + first load  +  (DRAM, instructions overlapped)

Nine taps are bound by the DRAM, forty-nine by what the processors issue.

Which kernel runs (`resolved`), and on how large a part of the output each of its blocks works, is
read off the launches of 1,871 depthwise convolutions and 80 poolings of H200s (torch 2.11, cuDNN
9.19): torch's own where channels come first, but for fp16 in up to 25 taps and along a sequence;
cuDNN's where they come last: one whose threads make a small square of places of two channels for
eight images and more in 16 bits, one whose threads make four places, one for any beyond 49 taps,
and one that walks along a sequence, a block for sixteen channels of two images, each position after
the one before. Squares that reach over the border are computed in full. A block's cycles were
fitted to half of these launches, as those of a full processor: its blocks take turns. Pooling is
torch's; maxima write their places, eight bytes each.

Torch's kernels, and its rule of when cuDNN takes over, are one source for all of NVIDIA's
generations: these counts are taken for all of them, with the clocks and processors of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, kernel
from hwmodel.quantity.arithmetic import ceil_div, most, root, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

WARP = 32
SIDE, PAIR = 16, 2
"""Channels and images of a block that walks along a sequence."""
Table = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Numbers of kernels for up to 9, 25 and 49 taps, of windows that skip places and of others."""
SQUARE: Table = ((15600, 11300), (16300, 12000), (28000, 18700))
"""Cycles of a full processor's blocks whose threads make squares of places."""
FOUR: Mapping[bool, Table] = {
    True: ((9000, 4400), (10200, 7900), (16300, 13800)),
    False: ((4100, 3900), (7300, 5500), (12200, 10200)),
}
"""The same of blocks whose threads make four places, in 16 bits and in 32."""
ALONE, ALONE_HALVES = 0.55, 0.95
"""Share of these that a block takes by itself: of most, and of cuDNN's in 16 bits."""
DIRECT = (686, 423)
"""The same for each tap of windows beyond 49 taps."""
RESIDENT: Table = ((6, 6), (3, 3), (2, 2))
"""Blocks of 256 lanes of a processor, by the registers that they take."""
FARTHEST = 49
WALK_ISSUE = 1.9
"""Cycles that a position of a sequence issues for each tap, and once more."""
PLACE_BYTES = 8
"""Bytes of the place of a maximum."""
STRIDED = 1.5
"""Elements from one window to the next, from which windows skip places."""
LEAST_IMAGES, LEAST_CHANNELS, STRIDED_CHANNELS = 8, 32, 256
"""Images from which threads make squares of places; channels from which blocks share loads of an
image whose channels come first, and the same where windows skip places."""
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

    Where `lanes` is above 0, a block makes `down` x `across` places of so many channels of an image
    or of several (places of one image are taken as a square), `turn` cycles and `turn_tap` for each
    tap, beside as many others as are `resident`; by itself it takes the share `alone` of these.
    Channels are filled up to those that it takes `together`.
    """

    threads: Amount = 256
    start: Amount = 60
    tap: Amount = 6
    least: Amount = 0
    walk: Amount = 0
    walk_tap: Amount = 0
    wait: Amount = 0
    first: Amount = 1
    lanes: Amount = 0
    together: Amount = 1
    down: Amount = 1
    across: Amount = 1
    turn: Amount = 0
    turn_tap: Amount = 0
    resident: Amount = 1
    alone: Amount = ALONE


MENU = (StencilTile(),)
"""A thread an output: two loads, a test of the border, an address, a conversion and a multiply-add
for each tap (assumed, where no kernel was traced: on AMD's GPUs MIOpen's run)."""


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
    blocks, resident, cycles = _walked(problem, tile, limits, slots)
    turns = where(tile.lanes > 0, 1, 0)
    turn = tile.turn + tile.turn_tap * problem.taps
    blocks = where(turns == 1, squares(problem, tile), blocks)
    resident = where(turns == 1, tile.resident, resident)
    alone = where(turns == 1, tile.alone * turn, cycles[0])
    issued = where(turns == 1, turn / tile.resident, cycles[1])
    return kernel(blocks, resident, (alone, issued, 0, 0), work, limits, tile.first)


def _walked(
    problem: StencilProblem, tile: StencilTile, limits: Limits, slots: Amount
) -> tuple[Amount, Amount, tuple[Amount, Amount]]:
    """Blocks, those of a processor, and cycles that hang on each other and that one issues."""
    resident = limits.max_threads / tile.threads
    blocks = ceil_div(problem.elements, tile.threads)
    walked = where(tile.walk > 0, 1, 0)
    groups = ceil_div(problem.channels, SIDE) * ceil_div(problem.images, PAIR)
    length = problem.elements / (problem.channels * problem.images)
    chain = length * (tile.walk + tile.walk_tap * problem.taps)
    issued = length * WALK_ISSUE * (1 + problem.taps)
    taken = where(walked == 1, chain, most((slots, tile.wait * problem.taps)))
    return where(walked == 1, groups, blocks), resident, (taken, where(walked == 1, issued, slots))


def squares(problem: StencilProblem, tile: StencilTile) -> Amount:
    """Blocks that make squares of places."""
    places = problem.elements / (problem.channels * problem.images)
    side = root(places) if problem.directions == 2 else places
    down = tile.down if problem.directions == 2 else 1
    each = ceil_div(side, tile.across) * (ceil_div(side, down) if problem.directions == 2 else 1)
    channels = ceil_div(problem.channels, tile.together) * tile.together
    return ceil_div(problem.images * channels * each, most((tile.lanes, 1)))


def resolved(tile: StencilTile, problem: StencilProblem, limits: Limits) -> StencilTile:
    """The kernel that torch, or cuDNN, runs on a GPU of NVIDIA's."""
    if problem.weights_none:
        start, tap = POOLED[problem.operator == "max", problem.channels_last]
        last = problem.operator == "max" and problem.channels_last
        threads = 1024 if problem.operator != "max" else 256
        return StencilTile(threads, start, tap, first=SHARED_FIRST if last else 1)
    half, line = element_bytes(problem.dtype_a) <= 2, problem.directions == 1
    strided = _strided(problem)
    if not problem.channels_last:
        return _by_torch(problem, strided, line)
    if line:
        return StencilTile(threads=512, walk=24, walk_tap=0.95)
    many = problem.taps > FARTHEST
    squared = (problem.images >= LEAST_IMAGES) & half
    one, two = (_by_taps(problem, strided, SQUARE), _by_taps(problem, strided, FOUR[half]))
    return StencilTile(
        lanes=where(many, 1024, 256),
        down=where(many, 1, where(squared, where(strided, 2, 3), 2)),
        across=where(many, 1, where(squared, 8, 2)),
        turn=where(many, 0, where(squared, one, two)),
        turn_tap=where(many, where(strided, *DIRECT), 0),
        resident=where(many, 1, _by_taps(problem, strided, RESIDENT)),
        alone=where(many, 1, ALONE_HALVES if half else ALONE),
    )


def _strided(problem: StencilProblem) -> Any:
    """Whether windows skip places, as the sides of squares of outputs, taps and image tell."""
    maps = problem.channels * problem.images
    sides = problem.elements / maps, problem.taps, problem.image_elements / maps
    out, taps, image = sides if problem.directions == 1 else tuple(root(each) for each in sides)
    return image - taps > STRIDED * most((out - 1, 1))


def _by_taps(problem: StencilProblem, strided: Any, table: Table) -> Amount:
    """What kernels made for so many taps have, if windows skip places or not."""
    found = [where(strided, *each) for each in table]
    return where(problem.taps <= 9, found[0], where(problem.taps <= 25, found[1], found[2]))


def _by_torch(problem: StencilProblem, strided: Any, line: bool) -> StencilTile:
    """Channels first: torch's kernels, a thread an output, or cuDNN's in fp16."""
    half = problem.dtype_a == "fp16"
    if half and line:
        return StencilTile(start=83, tap=5.7)
    wide = problem.channels >= where(strided, STRIDED_CHANNELS, LEAST_CHANNELS)
    wide = wide | (problem.channels == 1)
    shared = (problem.taps <= 25) & half & _truth(wide)
    few = problem.taps <= 9
    small = problem.elements <= 81 * problem.channels * problem.images
    many = problem.taps > 25
    room = where(strided, where(few, 5, 3), where(few, where(small, 6, 3), where(small, 4, 1)))
    whole = problem.elements <= 361 * problem.channels * problem.images
    start, tap = (4700, 170) if line else (where(many, 1360, 2860), where(many, 354, 247))
    return StencilTile(
        threads=where(shared, 256, 1024),
        lanes=where(shared, 8, 1024),
        together=where(shared, 8, 1),
        down=where(shared, where(_truth(whole) & ~_truth(strided), 19, 10), 1),
        across=where(shared, where(strided, 10, where(whole, 19, 40)), 1),
        turn=where(shared, where(_truth(small) & few, 3350, where(few, 4600, 4200)), start),
        turn_tap=where(shared, 0, tap),
        resident=where(shared, room, 2),
    )


def _truth(value: Any) -> Any:
    """A truth that ~ negates."""
    return value == 1
