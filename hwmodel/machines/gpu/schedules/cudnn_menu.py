"""The kernels that cuDNN may take for a convolution on a Hopper GPU, and what they take.

For channels last, or converted to that, cuDNN 9.19 has some hundred kernels. Its
heuristic is a function of the sizes (it answers without a GPU), of which trees tell the kernel in
19 of 20 convolutions (`cudnn_choice`); it is the one that is predicted with.

    clocks = rounds x (slices x clocks of a slice + clocks of a block), or the DRAM's if longer

Kinds of kernels: "bulk" (sm90_xmma, in clusters), "copied" (cutlass, threads copy; its grid is
padded to whole groups of columns, so that two blocks of few may meet on one processor), "older",
"indexed" and "gathered" (sm80_xmma; the last joins the channels of all points of a window), and
those of the vector units: "engine", "implicit", "precomputed", "plain", "nd", threads that make an
output each. All of these but the first take images whose channels come first as they lie. "strips"
are windows of 7 x 7 whose borders, where pads are read, are left to four launches of a few blocks,
side by side, each as long as one block. "first" is a kernel of the matrix
units for a network's first layer, whose time goes with its outputs alone, "direct" one of threads
for all groups together, "adjoint" and "spread" are those of transposed convolutions.

Groups: a tile of the matrix units' kernels multiplies as many groups side by side as its columns
hold, channels of a group filled up to a power of two; what is copied by threads, and the vector
units' kernels, run once for each group, side by side: all blocks share the processors, and some
groups' kernels wait for each other (`ABREAST`).

Transposed convolutions: kernels of the same tiles, one phase after the other in whole tiles. Places
of a phase lie a stride apart, for which blocks and slices take longer (`STRIDED`).

A slice of a bulk kernel takes as long as its matrix instructions, or as its loads: blocks of a
cluster in a row share the rows of the image that they load, those in a column the filters, and some
40 bytes a clock reach a processor.

    clocks of a slice = ((rate x ideal)^p + (bytes / (bytes a clock))^p)^(1/p) x (of the tile)
    bytes = depth x (rows / blocks across + columns / blocks along)

Columns and rows of blocks are filled up to whole clusters, so that 640 filters in tiles of 128 take
the time of 1,024 in clusters of four columns; clusters of three to eight blocks leave up to a fifth
of the processors idle. Most of a block's start and end hides behind its neighbours, which are drawn
as processors become free. Kernels that have room for it ("*") share the sums of the last round
where half of the processors or more would be idle there, and sums are long.

All but bulk kernels start sooner (`START`), older ones that multiply groups soonest.

Clocks are least squares of traced times: data of one version of the library, not laws.
"""

from dataclasses import dataclass, fields
from functools import cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.gpu.schedules import cudnn_choice
from hwmodel.machines.gpu.schedules.convolution import PAD_BYTES, ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_kernels import KINDS, MENUS, START, STRIDED
from hwmodel.quantity.dtypes import element_bytes

Array = NDArray[np.float64]

NAMES = tuple(dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds))
UNNAMED = ("strips", "wide", "volume", "loose")
UNCONVERTED = ("implicit", "precomputed", "plain", "nd", "direct", "adjoint", "spread", *UNNAMED)
VECTOR = ("engine", "first", *UNCONVERTED)
"""Kinds of kernels; those that run where the heuristic names none; those that take channels first
as they lie, and those whose time is by outputs."""
NARROWED, ROUNDED, WRITE_FIRST = 4, ("copied", "older", "indexed", "gathered"), ("older", "indexed")
"""Of formats of so many bytes, which are rounded to be multiplied: kinds that have that done before
where channels come last, and those that write them first whatever the layout (traced)."""
PACKED, TOGETHER = ("bulk", "older", "indexed", "gathered"), ("direct",)
"""Kinds whose tiles multiply several groups; those that take all in one launch otherwise."""
ABREAST = 3.5
"""Groups whose kernels run side by side (by whole times of groups of few blocks)."""
NUMBERS = 11
"""Most numbers of a kind."""
SQUARE = 64
"""Half a side of a square tile whose loads for each product are 1."""
BYTE_FLOP_PER_CLOCK = 8192.0
"""Of a processor's matrix units, times the bytes of an element."""
STARTED = {2: 9050.0, 4: 7240.0}
"""Bytes of an element -> clocks of a kernel's start with a cold L2, of the H200 that was traced."""
FOLDED_START, FOLDED_BLOCK, FOLDED_STORED = 5770.0, 1310.0, 88.6
"""Clocks of the start, of a block and of 1,000 outputs of its tile of older kernels that multiply
groups: several blocks share a processor, so that rounds need not be whole."""
NARROW, NARROW_SLICE, FOLDED_SLICE = 16, 0.67, 1.16
"""Channels of a group up to which slices of these take that share of others', and what those of
wider ones do (least squares of 650 traces; 330 left out are 8 % off)."""
ALONE = 4
"""The sharpness of the norm of their rounds, and of one."""
AT_ONCE = {1: 132, 2: 132, 3: 117, 4: 120, 5: 110, 6: 102, 7: 105, 8: 120, 12: 84, 16: 112}
"""Blocks of a cluster -> processors of 132 that clusters of them fill (grids of an H200)."""
FILLED = np.array([AT_ONCE.get(blocks, 0) for blocks in range(max(AT_ONCE) + 1)], float)
FARTHEST = 32
"""Points of a window that offsets of bulk copies reach, and up to which channels of several share a
slice."""
PARTS, IDLE, DEEP, WIDE, LESS_DEEP = 4, 0.5, 3200, 160, 416
"""Parts of a block whose sums are shared; the last round's share of work up to which they are,
where sums are of more terms than so many, or of columns and terms than these (so in 86 of 100
traces)."""


@dataclass(frozen=True, eq=False)
class Menu:
    """Kernels as columns: index and numbers of the kind, tile, cluster, clocks of a slice.

    Of bulk kernels `slice_clocks` is over those of their kind; `may_share` is 1 where there is room
    to share sums; `start` are the clocks of a launch, `strided` a row a number of `STRIDED`.
    """

    kind: Array
    block_m: Array
    block_n: Array
    block_k: Array
    across: Array
    along: Array
    slice_clocks: Array
    may_share: Array
    numbers: Array
    start: Array
    strided: Array

    def at(self, places: NDArray[np.int64]) -> "Menu":
        """Kernels at some places each, one along the last axis."""
        return Menu(*(getattr(self, each.name)[..., places, None] for each in fields(self)))

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
    forms = [row[2].rstrip("*").split("x") for row in rows]
    across, along = np.array([[float(n) for n in form] for form in forms]).T
    share = np.array([float(row[2].endswith("*")) for row in rows])
    kind = np.array([float(NAMES.index(row[0])) for row in rows])
    clocks_ = np.array([float(row[3]) for row in rows])
    numbers = np.zeros((NUMBERS, len(rows)))
    for at, row in enumerate(rows):
        given = KINDS[known][row[0]]
        numbers[: len(given), at] = given
    plain = (1.0, 1.0, 0.0, 0.0)
    strided = np.array([STRIDED[known].get(row[0], plain) for row in rows]).T
    start = np.array([START[known].get(row[0], STARTED[known]) for row in rows])
    tile = (kind, m, n, k * known / element)
    return Menu(*tile, across, along, clocks_, share, numbers, start, strided)


@dataclass(frozen=True, eq=False)
class Sizes:
    """A convolution's sizes as a tile sees them, each with an axis for the kernels of the menu.

    `channels` and `filters` are those of the groups that a tile multiplies, of which there are so
    many `sets`; `folded` says that older kernels multiply several, `narrow` that these have few
    channels, `beside` that rows of channels begin beside 32 bytes. So many groups have launches
    `apart`; `rows` are those of a phase.
    """

    rows: Array
    filters: Array
    channels: Array
    taps: Array
    element: float
    sets: Array
    beside: NDArray[np.bool_]
    apart: Array
    folded: NDArray[np.bool_]
    narrow: NDArray[np.bool_]
    phases: Array
    share: Array

    @property
    def row(self) -> Array:
        """Channels of a point as they are copied, sixteen bytes at a time."""
        return np.ceil(self.channels * self.element / PAD_BYTES) * PAD_BYTES / self.element


def sizes_of(problem: ConvolutionProblem, menu: Menu) -> Sizes:
    """Its sizes as each kernel sees them."""
    element = element_bytes(problem.dtype_a)
    named = (problem.M, problem.filters, problem.channels, problem.taps, problem.groups)
    rows, filters, channels, taps, groups = (np.asarray(n, np.float64)[..., None] for n in named)
    phases = np.asarray(problem.phases, np.float64)[..., None]
    filters = filters / phases
    packed, several = menu.of(*PACKED), groups > 1
    once = packed | menu.of(*TOGETHER)
    wide = 2 ** np.ceil(np.log2(channels))
    room = np.floor(menu.block_n / np.maximum(wide, filters))
    pack = np.where(several & packed, np.clip(room, 1, groups), 1)
    alone = np.where(several & ~once, groups, 1)
    row = np.ceil(channels * element / PAD_BYTES) * PAD_BYTES
    row = np.where(several & packed, wide * groups * element, row)
    beside = (row % 32 != 0) & ~(several & ~menu.of("bulk"))
    return Sizes(
        rows=rows,
        filters=filters * pack,
        channels=np.where(several & packed, wide, channels) * pack,
        taps=taps,
        element=element,
        sets=np.where(once, np.ceil(groups / pack), 1),
        beside=beside,
        apart=alone,
        folded=several & menu.of("older"),
        narrow=wide <= NARROW,
        phases=phases,
        share=np.asarray(problem.share, np.float64)[..., None],
    )


def slices(sizes: Sizes, menu: Menu) -> Array:
    """Slices of K of a block: within a point of the window, but where kernels join points.

    Bulk kernels join points whose channels fill sixteen bytes at most; gathering ones join all.
    Where places lie a stride apart older kernels multiply all points of the window at each.
    """
    all_ = sizes.taps * sizes.phases * sizes.share
    points = np.where(menu.of("older"), all_, sizes.taps)
    apart = points * np.ceil(sizes.channels / menu.block_k)
    joined = np.ceil(sizes.taps * sizes.row / menu.block_k)
    thin = (sizes.row * sizes.element <= PAD_BYTES) & (sizes.taps <= FARTHEST)
    gathered = np.ceil(sizes.taps * sizes.channels / menu.block_k)
    bulk = np.where(thin, joined, apart)
    found = np.where(menu.of("bulk"), bulk, apart)
    return np.where(menu.of("gathered"), gathered, found)


def mean_slices(sizes: Sizes, menu: Menu) -> Array:
    """The same of a phase in the middle: some have fewer points than others."""
    return slices(sizes, menu) * np.where(menu.of("older"), 1, sizes.share)


def clusters(sizes: Sizes, menu: Menu, processors: Any) -> tuple[Array, Array]:
    """(clusters, clusters at once): columns and rows of blocks are filled up to whole ones."""
    many = np.asarray(processors, float)[..., None]
    columns = np.ceil(np.ceil(sizes.filters / menu.block_n) * sizes.sets / menu.across)
    rows = np.ceil(np.ceil(sizes.rows / menu.block_m) * sizes.phases / menu.along)
    blocks = menu.across * menu.along
    share = FILLED[blocks.astype(int)] / FILLED[1]
    return rows * columns * sizes.apart, np.maximum(1, np.floor(many * share / blocks + 1e-9))


def met(sizes: Sizes, menu: Menu, processors: Any) -> NDArray[np.bool_]:
    """Where blocks of few meet another on their processor.

    A copied kernel's columns go in groups of up to eight; blocks of a group that is not full leave
    at once, but have had a processor: of few blocks some meet.
    """
    many = np.asarray(processors, float)[..., None]
    columns = np.ceil(sizes.filters / menu.block_n)
    rows = np.ceil(sizes.rows / menu.block_m) * sizes.phases
    steps = np.where(columns >= 2, 2, 1)
    group = np.where(columns >= 6, 8, np.where(columns >= 3, 4, steps))
    padded = rows * group * np.ceil(columns / group)
    return menu.of("copied") & (rows * columns <= many) & (padded > many) & (sizes.apart == 1)


def shared(sizes: Sizes, menu: Menu, processors: Any) -> NDArray[np.bool_]:
    """Where blocks of the last round share their sums."""
    count, at_once = clusters(sizes, menu, processors)
    last = count / at_once - np.floor(count / at_once)
    terms = slices(sizes, menu) * menu.block_k
    deep = (terms > DEEP) | ((menu.block_n > WIDE) & (terms > LESS_DEEP))
    return (menu.may_share > 0) & (last > 0) & (last <= IDLE) & deep


def rounds(sizes: Sizes, menu: Menu, processors: Any) -> Array:
    """Rounds of blocks; those that share sums share what the last round would leave idle."""
    count, at_once = clusters(sizes, menu, processors)
    parts = np.maximum(count / at_once, 1 / PARTS)
    whole = np.where(met(sizes, menu, processors), 2.0, np.ceil(count / at_once))
    whole = np.where(sizes.folded, ((count / at_once) ** ALONE + 1) ** (1 / ALONE), whole)
    return np.where(shared(sizes, menu, processors), parts, whole)


def busy(sizes: Sizes, menu: Menu, processors: Any) -> Array:
    """The share of processors that work in a round."""
    many = np.asarray(processors, float)[..., None]
    count, at_once = clusters(sizes, menu, processors)
    turns = np.maximum(1, np.ceil(count / at_once))
    return np.minimum(1, count * menu.across * menu.along / turns / many)


def slice_clocks(sizes: Sizes, menu: Menu, busy: Any, directions: int) -> Array:
    """Clocks of a slice: of `busy` processors, a share, each waits for the others' loads."""
    _, _, crowded, beside, volume, ragged, _, _, rate, speed, sharpness = menu.numbers
    odd = np.where(menu.of("gathered"), sizes.channels * sizes.element % 4 != 0, False)
    off = np.where(menu.of("gathered"), odd, sizes.beside)
    deep = volume if directions == 3 else 0.0
    wide = menu.across * menu.block_n
    part = np.where((menu.across > 1) & (sizes.sets * sizes.filters % wide != 0), 1, 0)
    torn = 1 + ragged * part / np.ceil(sizes.filters / wide)
    ideal = 2 * menu.block_m * menu.block_n * menu.block_k * sizes.element / BYTE_FLOP_PER_CLOCK
    loads = menu.block_m / menu.across + menu.block_n / menu.along
    loaded = menu.block_k * sizes.element * loads * (1 - crowded * (1 - busy))
    sharp: Array = np.maximum(sharpness, 1)
    bulk: Array = (rate * ideal) ** sharp + (loaded / np.maximum(speed, 1)) ** sharp
    square = SQUARE * (1 / menu.block_m + 1 / menu.block_n)
    crowd = 1 - crowded * square * (1 - busy)
    both = bulk ** (1 / sharp)
    alone = np.where(menu.of("bulk"), both, crowd)
    point: Array = menu.strided[0]
    window: Array = menu.strided[1]
    apart = np.where(sizes.phases > 1, np.where(sizes.taps > 1, window, point), 1)
    factors = alone * (1 + beside * off) * (1 + deep) * torn * apart
    folded = np.where(sizes.narrow, NARROW_SLICE, FOLDED_SLICE)
    return menu.slice_clocks * np.where(sizes.folded, folded, factors)


def starts(sizes: Sizes, menu: Menu) -> Array:
    """Clocks of a launch."""
    return np.where(sizes.folded, FOLDED_START, menu.start)


def block_clocks(sizes: Sizes, menu: Menu, processors: Any) -> tuple[Array, Array]:
    """Clocks of a block beside its slices that each round takes, and that are taken once."""
    start, stored, _, _, _, _, hidden, joined, *_ = menu.numbers
    outputs = menu.block_m * menu.block_n / 1000
    folded = FOLDED_BLOCK + FOLDED_STORED * outputs
    block = np.where(sizes.folded, folded, start + stored * outputs)
    _, _, later, spaced = menu.strided
    apart = np.where(sizes.phases > 1, later + spaced * outputs, 0)
    once = block * hidden + np.where(shared(sizes, menu, processors), joined, 0)
    return block * (1 - hidden) + apart, once


def output_clocks(sizes: Sizes, menu: Menu) -> Array:
    """Clocks of the vector units for an output."""
    start, each, _, _, channel, *_ = menu.numbers
    found = start + (channel + each * sizes.taps * sizes.share) * sizes.channels
    return found * menu.slice_clocks


def borders(sizes: Sizes, menu: Menu) -> Array:
    """Clocks of launches for the places at the borders, of kernels that have such."""
    products = sizes.taps * sizes.channels
    return np.where(menu.of("strips"), menu.numbers[3], 0) * products


def chosen(problem: ConvolutionProblem, menu: Menu) -> NDArray[np.int64]:
    """Places in the menu of the kernels that run.

    "strips" stand in the trees for what runs where the heuristic names none: see `UNNAMED` above.
    """
    found = cudnn_choice.kernel(problem, known_of(element_bytes(problem.dtype_a)))
    unnamed = menu.of("strips")[found]
    if not np.any(unnamed):
        return found
    dilated = any(axis.dilation > 1 for axis in problem.axes)
    seven = reduce(np.logical_and, (np.equal(axis.taps, 7) for axis in problem.axes), not dilated)
    volume = problem.directions == 3
    flat = "loose" if dilated and problem.channels_last else "wide"
    (other,) = np.flatnonzero(menu.of("volume" if volume else flat))
    strips = np.asarray(seven) & (problem.directions == 2)
    return np.where(unnamed & ~strips, other, found)
