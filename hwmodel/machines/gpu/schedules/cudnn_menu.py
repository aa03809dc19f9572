"""Which kernel cuDNN's heuristic takes for a convolution on a Hopper GPU, as far as it can be told.

For one group of channels last, or converted to that, cuDNN 9.19 has some forty kernels. Its
heuristic's choice is known from traces alone (10,860 convolutions of an H200, half of them read
here), and even forests of trees over every size tell it in three cases of five. So each kernel of
the menu has a time, in clocks, and a chance, and the one that is predicted with is the median of
the menu by its time: half of what is likely is faster. Where two thirds of the choice are certain
this is the kernel that runs; elsewhere a wrong guess costs little.

    clocks = rounds x (slices x clocks of a slice + clocks of a block), or the DRAM's if longer
    chance ~ exp(liking of the kernel + of its kind x what is seen + of any kernel x what fits)

Kinds of kernels: "bulk" (sm90_xmma, in clusters; "split": the same, of which some blocks
share their sum), "copied" (cutlass, threads copy; its grid is padded
to whole groups of columns, so that two blocks of few may meet on one processor), "older", "indexed"
and "gathered" (sm80_xmma; the last joins the channels of all points of a window), and those of
the vector units: "engine", "implicit", "precomputed", "plain", threads that make an output each.
All of these but the first take images whose channels come first as they lie.

Likings are the maximum of the likelihood of the traced choices, pulled to zero; clocks the least
squares of traced times. They are data of one version of the library, not laws.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.convolution import PAD_BYTES, ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_likings import KINDS, LIKINGS, MENUS
from hwmodel.quantity.dtypes import bytes_of, element_bytes

Array = NDArray[np.float64]

VECTOR = ("engine", "implicit", "precomputed", "plain")
UNCONVERTED = ("implicit", "precomputed", "plain")
"""Kernels of the vector units, and those that take channels first as they lie."""
SEEN = (
    *("always", "far", "point", "few", "few_bf16", "few_first", "padded", "line", "volume"),
    *("first", "places", "filters", "channels", "window"),
)
"""What is seen of a convolution: more than 32 points, or one; at most four channels, these in bf16,
or coming first; channels to be padded; windows along one direction, or three; channels that come
first; logarithms of sizes."""
SQUARE = 64
"""Half a side of a square tile whose loads for each product are 1."""
CLOCK_HZ, DRAM_BYTES_PER_S = 1.98e9, 4.01e12
"""Of the H200 that was traced: the clocks of a choice are its, whatever the device."""
LAUNCH_CLOCKS, CONVERT_CLOCKS, CONVERT_BYTES_PER_CLOCK = 8200.0, 3000.0, 1200.0
"""A kernel's start with a cold L2, and kernels that convert (traced there)."""
CLUSTER, FARTHEST, SHARPNESS = 4, 32, 4
"""Blocks of a cluster, one above the other, to which rows of blocks are filled up; points of a
window up to which channels of several share a slice; of the norm of multiplying and moving."""


@dataclass(frozen=True, eq=False)
class Menu:
    """Kernels as columns: index of the kind, tile, clocks of a slice, liking."""

    kind: Array
    block_m: Array
    block_n: Array
    block_k: Array
    slice_clocks: Array
    liking: Array

    def rates(self) -> Array:
        """The numbers of each kernel's kind, one axis a number."""
        return np.moveaxis(np.array(list(KINDS.values()))[self.kind.astype(int)], -1, 0)

    def of(self, *names: str) -> NDArray[np.bool_]:
        """Which kernels are of one of these kinds."""
        return np.isin(self.kind, [list(KINDS).index(name) for name in names])


def known_of(element: float) -> int:
    """Bytes of the traced formats that stand for others."""
    return min(MENUS, key=lambda known: abs(known - element))


@cache
def menu_of(element: float) -> Menu:
    """The kernels for formats of so many bytes; slices of narrower ones hold as many bytes."""
    known = known_of(element)
    rows = [line.split() for line in MENUS[known].strip().splitlines()]
    names = list(KINDS)
    m, n, k = np.array([[float(n) for n in row[1].split("x")] for row in rows]).T
    numbers = np.array([[float(n) for n in row[2:]] for row in rows]).T
    kind = np.array([float(names.index(row[0])) for row in rows])
    return Menu(kind, m, n, k * known / element, *numbers)


@cache
def likings_of(element: float) -> tuple[Array, Array]:
    """(likings of each kind of what is seen, what any kernel is liked for)."""
    rows = [line.split() for line in LIKINGS[known_of(element)].strip().splitlines()]
    found = {name: np.array([float(n) for n in numbers]) for name, *numbers in rows}
    return np.stack([found[name] for name in KINDS]), found["fits"]


@dataclass(frozen=True, eq=False)
class Sizes:
    """A convolution's sizes, each with an axis for the kernels of the menu."""

    rows: Array
    filters: Array
    channels: Array
    taps: Array
    element: float
    moved: Array
    image: Array

    @property
    def row(self) -> Array:
        """Channels of a point as they are copied, sixteen bytes at a time."""
        return np.ceil(self.channels * self.element / PAD_BYTES) * PAD_BYTES / self.element


def sizes_of(problem: ConvolutionProblem) -> Sizes:
    """Its sizes; bytes that it moves, and those that kernels which convert it move."""
    element = element_bytes(problem.dtype_a)
    output = problem.M * problem.filters * bytes_of(problem.dtype_out)
    weights = problem.filters * problem.K * element
    named = (problem.M, problem.filters, problem.channels, problem.taps)
    rows, filters, channels, taps = (np.asarray(n, np.float64)[..., None] for n in named)
    return Sizes(
        rows=rows,
        filters=filters,
        channels=channels,
        taps=taps,
        element=element,
        moved=np.asarray(problem.image_elements * element + weights + output, float)[..., None],
        image=np.asarray(problem.whole_elements * element + weights + output, float)[..., None],
    )


def slices(sizes: Sizes, menu: Menu) -> Array:
    """Slices of K of a block: within a point of the window, but where kernels join points.

    Bulk kernels join points whose channels fill sixteen bytes at most; gathering ones join all.
    """
    apart = sizes.taps * np.ceil(sizes.channels / menu.block_k)
    joined = np.ceil(sizes.taps * sizes.row / menu.block_k)
    thin = (sizes.row * sizes.element <= PAD_BYTES) & (sizes.taps <= FARTHEST)
    gathered = np.ceil(sizes.taps * sizes.channels / menu.block_k)
    bulk = np.where(thin, joined, apart)
    found = np.where(menu.of("bulk", "split"), bulk, apart)
    return np.where(menu.of("gathered"), gathered, found)


def grid(sizes: Sizes, menu: Menu) -> tuple[Array, Array]:
    """(blocks, blocks that meet another on their processor where there are few).

    A copied kernel's columns go in groups of up to eight; blocks of a group that is not full leave
    at once, but have had a processor: of few blocks some meet.
    """
    columns = np.ceil(sizes.filters / menu.block_n)
    rows = np.ceil(sizes.rows / menu.block_m)
    filled = np.where(menu.of("bulk", "split"), np.ceil(rows / CLUSTER) * CLUSTER, rows)
    steps = np.where(columns >= 2, 2, 1)
    group = np.where(columns >= 6, 8, np.where(columns >= 3, 4, steps))
    padded = rows * group * np.ceil(columns / group)
    return filled * columns, np.where(menu.of("copied"), padded, 0.0)


def rounds(sizes: Sizes, menu: Menu, processors: Any) -> Array:
    """Rounds of blocks; those that split share what the last round would leave idle."""
    many = np.asarray(processors, float)[..., None]
    blocks, padded = grid(sizes, menu)
    met = (blocks <= many) & (padded > many)
    parts = np.maximum(blocks / many, 0.5)
    return np.where(menu.of("split"), parts, np.where(met, 2.0, np.ceil(blocks / many)))


def slice_clocks(sizes: Sizes, menu: Menu, busy: Any, directions: int) -> Array:
    """Clocks of a slice: of `busy` processors, a share, each waits for the others' loads."""
    _, _, crowded, beside, volume = menu.rates()
    odd = np.where(menu.of("gathered"), sizes.channels * sizes.element % 4 != 0, False)
    off = np.where(menu.of("gathered"), odd, sizes.row * sizes.element % 32 != 0)
    deep = volume if directions == 3 else 0.0
    loads = SQUARE * (1 / menu.block_m + 1 / menu.block_n)
    return menu.slice_clocks * (1 - crowded * loads * (1 - busy)) * (1 + beside * off) * (1 + deep)


def block_clocks(menu: Menu) -> Array:
    """Clocks of a block before its first slice and after its last."""
    start, stored, *_ = menu.rates()
    return start + stored * menu.block_m * menu.block_n / 1000


def vector_clocks(sizes: Sizes, menu: Menu, many: Any) -> Array:
    """Clocks of the vector units for all outputs: a start of each, then its products.

    Processors wait for loads until each has some thousand outputs.
    """
    start, each, thousands, *_ = menu.rates()
    outputs = sizes.rows * np.ceil(sizes.filters / menu.block_n) * menu.block_n
    each_clocks = (start + each * sizes.taps * sizes.channels) * menu.slice_clocks
    return np.maximum(outputs / many, 1000 * thousands) * each_clocks


def clocks(problem: ConvolutionProblem, menu: Menu, processors: Any) -> Array:
    """Clocks of each kernel of the menu, with kernels that convert before and after."""
    sizes = sizes_of(problem)
    many = np.asarray(processors, float)[..., None]
    turns = rounds(sizes, menu, processors)
    blocks, _ = grid(sizes, menu)
    busy = np.minimum(1, blocks / np.maximum(1, turns) / many)
    slow = slice_clocks(sizes, menu, busy, problem.directions)
    tiles = turns * (slices(sizes, menu) * slow + block_clocks(menu))
    main = np.where(menu.of(*VECTOR), vector_clocks(sizes, menu, many), tiles)
    moved = sizes.moved / (DRAM_BYTES_PER_S / CLOCK_HZ)
    main = (main**SHARPNESS + moved**SHARPNESS) ** (1 / SHARPNESS)
    first = 0.0 if problem.channels_last else 1.0
    around = first * (2 * CONVERT_CLOCKS + 2 * sizes.image / CONVERT_BYTES_PER_CLOCK)
    return LAUNCH_CLOCKS + main + np.where(menu.of(*UNCONVERTED), 0.0, around)


def seen(problem: ConvolutionProblem) -> Array:
    """What the likings of kinds are of, the last axis as `SEEN` says."""
    few = np.asarray(problem.channels) <= 4
    bf16, first = problem.dtype_a == "bf16", not problem.channels_last
    element = element_bytes(problem.dtype_a)
    padded = (np.asarray(problem.channels) * element % PAD_BYTES != 0) & ~few
    logs = [
        (np.log(problem.M) - 9.5) / 2,
        (np.log(problem.filters) - 5) / 1.5,
        (np.log(problem.channels) - 5) / 1.5,
        np.log(problem.taps) - 2,
    ]
    taps = np.asarray(problem.taps)
    found = [
        *(1.0, taps > FARTHEST, taps == 1, few, few & bf16, few & first, padded),
        *(problem.directions == 1, problem.directions == 3),
        *(first, *logs),
    ]
    return np.stack(np.broadcast_arrays(*(np.asarray(each, float) for each in found)), -1)


def fits(problem: ConvolutionProblem, menu: Menu, time: Array) -> Array:
    """What is liked in any kernel, the last axis one number each.

    A short time, full tiles and slices, large tiles where there are many, long slices of many
    channels, wide tiles of many filters, high ones of many places.
    """
    sizes = sizes_of(problem)
    by_matrix = np.where(menu.of(*VECTOR), 0.0, 1.0)
    m, n, k = menu.block_m, menu.block_n, menu.block_k
    columns = np.log(sizes.filters / (np.ceil(sizes.filters / n) * n))
    depth = np.log(sizes.channels / (np.ceil(sizes.channels / k) * k))
    depth = np.where(menu.of("gathered"), 0.0, depth)
    many = np.log(np.ceil(sizes.rows / 64) * np.ceil(sizes.filters / 64) / 132)
    each = [
        np.log(time),
        by_matrix * columns,
        by_matrix * depth,
        by_matrix * (np.log(m * n) - 9.5) * np.clip(many, -3, 4),
        by_matrix * (np.log(k) - 4) * (np.log(sizes.channels) - 5),
        by_matrix * (np.log(n) - 4.5) * (np.log(sizes.filters) - 5),
        by_matrix * (np.log(m) - 4.8) * (np.log(sizes.rows) - 9),
    ]
    return np.stack(np.broadcast_arrays(*each), -1)


def chances(problem: ConvolutionProblem, menu: Menu, time: Array) -> Array:
    """How likely each kernel is to be taken."""
    likings, any_kernel = likings_of(element_bytes(problem.dtype_a))
    of_kinds = seen(problem) @ likings.T
    shared = fits(problem, menu, time) @ any_kernel
    total = menu.liking + of_kinds[..., menu.kind.astype(int)] + shared
    part = np.exp(total - total.max(axis=-1, keepdims=True))
    return part / part.sum(axis=-1, keepdims=True)


def chosen(problem: ConvolutionProblem, limits: Limits) -> NDArray[np.int64]:
    """Index of the kernel that is predicted with: the middle of the menu's chances by time.

    Chances over times are weighed, so that what is predicted is as likely a half too long as twice
    too short.
    """
    menu = menu_of(element_bytes(problem.dtype_a))
    time = clocks(problem, menu, limits.processors)
    weight = chances(problem, menu, time) / time
    order = np.argsort(time, axis=-1)
    passed = np.cumsum(np.take_along_axis(weight, order, -1), axis=-1)
    place = (passed < passed[..., -1:] / 2).sum(axis=-1)
    return np.take_along_axis(order, place[..., None], -1)[..., 0]
