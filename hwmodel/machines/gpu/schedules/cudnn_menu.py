"""The kernels that cuDNN may take for a convolution on a Hopper GPU, and which is predicted with.

For one group of channels last, or converted to that, cuDNN 9.19 has some hundred kernels. Its
heuristic's choice is known from traces alone, and cannot be told from the sizes in half of the
cases (`cudnn_choice`). So each kernel of the menu has a time, in clocks, and a chance, and the one
that is predicted with is the median of the menu by its time: half of what is likely is faster.
Where two thirds of the choice are certain this is the kernel that runs; elsewhere a wrong guess
costs little.

    clocks = rounds x (slices x clocks of a slice + clocks of a block), or the DRAM's if longer

Kinds of kernels: "bulk" (sm90_xmma, in clusters; "split": the same, of which some blocks
share their sum), "copied" (cutlass, threads copy; its grid is padded
to whole groups of columns, so that two blocks of few may meet on one processor), "older", "indexed"
and "gathered" (sm80_xmma; the last joins the channels of all points of a window), and those of
the vector units: "engine", "implicit", "precomputed", "plain", "nd", threads that make an output
each. All of these but the first take images whose channels come first as they lie. "strips" are
windows of 7 x 7 whose borders, where pads are read, are left to four launches of a few blocks, one
after the other, which take ten times as long as the rest. "first" is a kernel of the matrix units
for a network's first layer, whose time goes with its outputs alone.

Bulk kernels of one name come with clusters of several forms, by columns and rows of blocks, and
that is why one takes twice the time of another of its name: columns and rows are filled up to whole
clusters, so that 640 filters in tiles of 128 take the time of 1,024 in clusters of four columns;
clusters of three to eight blocks leave up to a fifth of the processors idle. A trace's grid is as
many clusters as run at once, which leaves few forms, and its time says which (the knobs that cuDNN
logs, and Nsight Compute, name such forms).

Clocks are least squares of traced times: data of one version of the library, not laws.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cudnn_choice
from hwmodel.machines.gpu.schedules.convolution import PAD_BYTES, ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_kernels import KINDS, MENUS
from hwmodel.quantity.dtypes import bytes_of, element_bytes

Array = NDArray[np.float64]

NAMES = tuple(dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds))
VECTOR = ("engine", "implicit", "precomputed", "plain", "strips", "nd", "first")
UNCONVERTED = ("implicit", "precomputed", "plain", "strips", "nd")
"""Kinds of kernels; those whose time is by outputs, and that take channels first as they lie."""
NUMBERS = 6
"""Most numbers of a kind."""
SQUARE = 64
"""Half a side of a square tile whose loads for each product are 1."""
CLOCK_HZ, DRAM_BYTES_PER_S = 1.98e9, 4.01e12
"""Of the H200 that was traced: the clocks of a choice are its, whatever the device."""
LAUNCH_CLOCKS, CONVERT_CLOCKS, CONVERT_BYTES_PER_CLOCK = 5200.0, 3000.0, 1200.0
"""A kernel's start with a cold L2, and kernels that convert (traced there)."""
AT_ONCE = {1: 132, 2: 132, 3: 117, 4: 120, 5: 110, 7: 105, 8: 120}
"""Blocks of a cluster -> processors of 132 that clusters of them fill (grids of an H200)."""
FARTHEST, SHARPNESS = 32, 4
"""Points of a window that offsets of bulk copies reach, and up to which channels of several share a
slice; of the norm of multiplying and moving."""


@dataclass(frozen=True, eq=False)
class Menu:
    """Kernels as columns: index and numbers of the kind, tile, cluster, clocks of a slice."""

    kind: Array
    block_m: Array
    block_n: Array
    block_k: Array
    across: Array
    along: Array
    slice_clocks: Array
    numbers: Array

    def of(self, *names: str) -> NDArray[np.bool_]:
        """Which kernels are of one of these kinds."""
        return np.isin(self.kind, [NAMES.index(name) for name in names])


def known_of(element: float) -> int:
    """Bytes of the traced formats that stand for others."""
    return min(MENUS, key=lambda known: abs(known - element))


@cache
def menu_of(element: float) -> Menu:
    """The kernels for formats of so many bytes; slices of narrower ones hold as many bytes."""
    known = known_of(element)
    rows = [line.split() for line in MENUS[known].strip().splitlines()]
    m, n, k = np.array([[float(n) for n in row[1].split("x")] for row in rows]).T
    across, along = np.array([[float(n) for n in row[2].split("x")] for row in rows]).T
    kind = np.array([float(NAMES.index(row[0])) for row in rows])
    clocks_ = np.array([float(row[3]) for row in rows])
    numbers = np.zeros((NUMBERS, len(rows)))
    for at, row in enumerate(rows):
        given = KINDS[known][row[0]]
        numbers[: len(given), at] = given
    return Menu(kind, m, n, k * known / element, across, along, clocks_, numbers)


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


def clusters(sizes: Sizes, menu: Menu, processors: Any) -> tuple[Array, Array]:
    """(clusters, clusters at once): columns and rows of blocks are filled up to whole ones."""
    many = np.asarray(processors, float)[..., None]
    columns = np.ceil(np.ceil(sizes.filters / menu.block_n) / menu.across)
    rows = np.ceil(np.ceil(sizes.rows / menu.block_m) / menu.along)
    blocks = menu.across * menu.along
    share = np.array([AT_ONCE[int(each)] for each in blocks]) / AT_ONCE[1]
    return rows * columns, np.maximum(1, np.floor(many * share / blocks + 1e-9))


def met(sizes: Sizes, menu: Menu, processors: Any) -> NDArray[np.bool_]:
    """Where blocks of few meet another on their processor.

    A copied kernel's columns go in groups of up to eight; blocks of a group that is not full leave
    at once, but have had a processor: of few blocks some meet.
    """
    many = np.asarray(processors, float)[..., None]
    columns = np.ceil(sizes.filters / menu.block_n)
    rows = np.ceil(sizes.rows / menu.block_m)
    steps = np.where(columns >= 2, 2, 1)
    group = np.where(columns >= 6, 8, np.where(columns >= 3, 4, steps))
    padded = rows * group * np.ceil(columns / group)
    return menu.of("copied") & (rows * columns <= many) & (padded > many)


def rounds(sizes: Sizes, menu: Menu, processors: Any) -> Array:
    """Rounds of blocks; those that split share what the last round would leave idle."""
    count, at_once = clusters(sizes, menu, processors)
    parts = np.maximum(count / at_once, 0.5)
    whole = np.where(met(sizes, menu, processors), 2.0, np.ceil(count / at_once))
    return np.where(menu.of("split"), parts, whole)


def busy(sizes: Sizes, menu: Menu, processors: Any) -> Array:
    """The share of processors that work in a round."""
    many = np.asarray(processors, float)[..., None]
    count, _ = clusters(sizes, menu, processors)
    turns = np.maximum(1, rounds(sizes, menu, processors))
    return np.minimum(1, count * menu.across * menu.along / turns / many)


def slice_clocks(sizes: Sizes, menu: Menu, busy: Any, directions: int) -> Array:
    """Clocks of a slice: of `busy` processors, a share, each waits for the others' loads."""
    _, _, crowded, beside, volume, ragged = menu.numbers
    odd = np.where(menu.of("gathered"), sizes.channels * sizes.element % 4 != 0, False)
    off = np.where(menu.of("gathered"), odd, sizes.row * sizes.element % 32 != 0)
    deep = volume if directions == 3 else 0.0
    loads = SQUARE * (1 / menu.block_m + 1 / menu.block_n)
    wide = menu.across * menu.block_n
    part = np.where((menu.across > 1) & (sizes.filters % wide != 0), 1, 0)
    torn = 1 + ragged * part / np.ceil(sizes.filters / wide)
    alone = 1 - crowded * loads * (1 - busy)
    return menu.slice_clocks * alone * (1 + beside * off) * (1 + deep) * torn


def block_clocks(menu: Menu) -> Array:
    """Clocks of a block before its first slice and after its last."""
    start, stored, *_ = menu.numbers
    return start + stored * menu.block_m * menu.block_n / 1000


def vector_clocks(sizes: Sizes, menu: Menu, many: Any) -> Array:
    """Clocks of the vector units for all outputs: a start of each, then its products.

    Processors wait for loads until each has some thousand outputs.
    """
    start, each, thousands, *_ = menu.numbers
    outputs = sizes.rows * np.ceil(sizes.filters / menu.block_n) * menu.block_n
    each_clocks = (start + each * sizes.taps * sizes.channels) * menu.slice_clocks
    return np.maximum(outputs / many, 1000 * thousands) * each_clocks


def clocks(problem: ConvolutionProblem, menu: Menu, processors: Any) -> Array:
    """Clocks of each kernel of the menu, with kernels that convert before and after."""
    sizes = sizes_of(problem)
    many = np.asarray(processors, float)[..., None]
    turns = rounds(sizes, menu, processors)
    slow = slice_clocks(sizes, menu, busy(sizes, menu, processors), problem.directions)
    tiles = turns * (slices(sizes, menu) * slow + block_clocks(menu))
    main = np.where(menu.of(*VECTOR), vector_clocks(sizes, menu, many), tiles)
    moved = sizes.moved / (DRAM_BYTES_PER_S / CLOCK_HZ)
    main = (main**SHARPNESS + moved**SHARPNESS) ** (1 / SHARPNESS)
    first = 0.0 if problem.channels_last else 1.0
    around = first * (2 * CONVERT_CLOCKS + 2 * sizes.image / CONVERT_BYTES_PER_CLOCK)
    return LAUNCH_CLOCKS + main + np.where(menu.of(*UNCONVERTED), 0.0, around)


def chances(problem: ConvolutionProblem, menu: Menu) -> Array:
    """How likely each kernel is to be taken: of far windows none that copies in bulk."""
    known = known_of(element_bytes(problem.dtype_a))
    found = cudnn_choice.chances(problem, known, menu.kind.size)
    far = np.asarray(problem.taps, float)[..., None] > FARTHEST
    found = np.where(far & menu.of("bulk", "split"), 0.0, found)
    total = found.sum(axis=-1, keepdims=True)
    return found / np.where(total > 0, total, 1)


def chosen(problem: ConvolutionProblem, limits: Limits) -> NDArray[np.int64]:
    """Index of the kernel that is predicted with: the middle of the menu's chances by time.

    Chances over times are weighed, so that what is predicted is as likely a half too long as twice
    too short.
    """
    menu = menu_of(element_bytes(problem.dtype_a))
    time = clocks(problem, menu, limits.processors)
    weight = chances(problem, menu) / time
    order = np.argsort(time, axis=-1)
    passed = np.cumsum(np.take_along_axis(weight, order, -1), axis=-1)
    place = (passed < passed[..., -1:] / 2).sum(axis=-1)
    return np.take_along_axis(order, place[..., None], -1)[..., 0]
