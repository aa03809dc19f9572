"""The gradient of a convolution's filters by cuDNN 9 on a Hopper GPU, read off traces.

A product whose rows are filters, whose columns are channels at each point of a window, in whole
tiles a point, and whose K are the places of all images:

    clocks = rounds x (slices x clocks of a slice + clocks of a block) + clocks of joining
    clocks of a slice = ((1.13 x ideal)^2.34 + (bytes / 51 a clock)^2.34)^(1/2.34)

Blocks of a cluster in a row share the filters' gradients that they load, those in a column the
image. Kernels with room for it ("*") share the work of the last round among all processors where it
would leave half of them idle or more, and slices are many (so in 96 of 100 of 347 traces). "split"
are those that divide K in any case and add up, of the points of channels that fill no 64 side by
side; "older" those of the generation before.

Which kernel runs is what cuDNN's heuristic answers, as far as a tree tells
(`cudnn_filter_choice`); the middle by time is predicted. Image and gradient whose channels come
first are converted before, filters after. A tile holds as many groups as its columns do.
639 traces of one H200, two thirds of them fitted: of the others bulk kernels that are told right
are 14 % off.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas, cudnn_filter_choice, cudnn_menu
from hwmodel.machines.gpu.schedules.convolution import PAD_BYTES
from hwmodel.machines.gpu.schedules.cudnn_convolution import BACK, filled
from hwmodel.machines.gpu.schedules.cudnn_filter_kernels import MENUS
from hwmodel.machines.gpu.schedules.filter_gradient import FiltersProblem, as_gemm
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

Array = NDArray[np.float64]

RATE_BULK, BYTES_PER_CLOCK, SHARPNESS = 1.13, 51.0, 2.34
BLOCK, STORED, JOIN, LEAST, VOLUME = 602.0, 40.5, 16400.0, 8.73, 0.21
"""Clocks of a block, and of 1,000 outputs of its tile; of joining what is shared; slices that a
part has at least; what a slice takes more where windows slide in three directions."""
WORDS = 1.77
"""Clocks of a slice of 32 bits over those of its bytes of 16."""
IDLE, MANY = 0.5, 90
"""The last round's share of work up to which it is shared, of more slices than so many."""
OTHERS = {"split": (1760.0, 20000.0, 8600.0), "older": (2000.0, 20000.0, 10000.0)}
"""Clocks of a slice of a tile of 128 x 128 x 64, of the start and of joining, of these kinds."""
THIN = 64
"""Channels below which the points of these lie side by side."""
START = 8350.0
"""Clocks of a bulk kernel's start with a cold L2."""
SHARE = 0.6
"""Share of the datasheet's matrix rate at which `effort` is 1."""
CONVERTING = 0.29
"""Start of a kernel that converts, over that of one that clears sums."""


@dataclass(frozen=True)
class FiltersTile(LibraryTile):
    """A launch record: `blocks`, of which so many run `at_once`, of so many `slices` of `effort`.

    `turn`: clocks at a block's start and end, `once`: those of joining; `start` in launches.
    """

    slices: Amount = 0
    turn: Amount = 0
    once: Amount = 0
    start: Amount = 1
    blocks: Amount = 1
    at_once: Amount = 1


MENU = (FiltersTile(0, 0),)
"""One record, whose sizes the rules fill in."""


@dataclass(frozen=True, eq=False)
class Menu:
    """Kernels as columns: kind (0 is bulk), tile, cluster, whether it may share."""

    names: tuple[str, ...]
    block_m: Array
    block_n: Array
    block_k: Array
    across: Array
    along: Array
    shares: NDArray[np.bool_]


@cache
def menu_of(element: int) -> Menu:
    """The kernels for formats of so many bytes."""
    rows = [line.split() for line in MENUS[element].strip().splitlines()]
    whole = [row if len(row) == 3 else [row[0], "128x128x64", "1x1"] for row in rows]
    m, n, k = np.array([[float(n) for n in row[1].split("x")] for row in whole]).T
    forms = [row[2].rstrip("*").split("x") for row in whole]
    across, along = np.array([[float(n) for n in form] for form in forms]).T
    shares = np.array([row[2].endswith("*") for row in whole])
    return Menu(tuple(row[0] for row in rows), m, n, k, across, along, shares)


def columns_of(problem: FiltersProblem, limits: Limits) -> tuple[dict[str, Array], Array]:
    """(fields of the launch record of each kernel of the menu, its clocks)."""
    element = element_bytes(problem.dtype_a)
    known = cudnn_menu.known_of(element)
    menu = menu_of(known)
    places, points, channels, filters, groups = (
        np.asarray(size, np.float64)[..., None]
        for size in (
            *(problem.summed, problem.points, problem.channels, problem.filters),
            problem.groups,
        )
    )
    many = np.asarray(limits.processors, np.float64)[..., None]
    bulk = np.array([name == "bulk" for name in menu.names])
    room = np.floor(menu.block_n / np.maximum(channels, filters))
    pack = np.where(groups > 1, np.clip(room, 1, groups), 1)
    channels, filters, groups = channels * pack, filters * pack, np.ceil(groups / pack)
    row = np.ceil(channels * element / PAD_BYTES) * PAD_BYTES / element
    joined = np.ceil(points * row / menu.block_n)
    columns = points * np.ceil(channels / menu.block_n)
    columns = np.where(~bulk & (channels < THIN), joined, columns)
    rows = np.ceil(filters / menu.block_m)
    count = np.ceil(columns / menu.across) * np.ceil(rows / menu.along) * groups
    cluster = menu.across * menu.along
    filled = np.array([cudnn_menu.AT_ONCE[int(each)] for each in cluster]) / cudnn_menu.AT_ONCE[1]
    at_once = np.maximum(1, np.floor(many * filled / cluster + 1e-9))
    slices = np.ceil(places / menu.block_k)
    turns = count / at_once
    last = turns - np.floor(turns)
    shared = (menu.shares & (last > 0) & (last <= IDLE) & (slices > MANY)) | ~bulk
    least_ = np.where(bulk, LEAST / slices, 0)
    took = np.where(shared, np.maximum(turns, least_), np.ceil(turns))
    whole = np.ceil(took)
    ideal = 2 * menu.block_m * menu.block_n * menu.block_k * element / 8192.0
    loads = menu.block_k * element * (menu.block_m / menu.across + menu.block_n / menu.along)
    slow = (RATE_BULK * ideal) ** SHARPNESS + (loads / BYTES_PER_CLOCK) ** SHARPNESS
    slow = slow ** (1 / SHARPNESS) * (1 + (VOLUME if problem.directions == 3 else 0))
    others = np.array([OTHERS.get(name, (0.0, START, 0.0)) for name in menu.names]).T
    slow = np.where(bulk, slow, others[0]) * (WORDS if known == max(MENUS) else 1)
    turn = np.where(bulk, BLOCK + STORED * menu.block_m * menu.block_n / 1000, 0)
    once = np.where(bulk, np.where(shared, JOIN, 0), others[2])
    clocks = others[1] + took * slices * slow + whole * turn + once
    found = {
        "block_m": menu.block_m,
        "block_n": menu.block_n,
        "block_k": menu.block_k,
        "multicast": 0 * cluster + 1,
        "persistent": np.where(bulk, 1, 0),
        "effort": slow / ideal * SHARE,
        "slices": slices * took / whole,
        "turn": turn,
        "once": once,
        "start": others[1] / cudnn_menu.STARTED[known],
        "blocks": np.where(shared, whole * at_once, count) * cluster,
        "at_once": at_once * cluster,
    }
    return found, clocks


def resolved(tile: FiltersTile, problem: FiltersProblem, limits: Limits) -> FiltersTile:
    """What the library launches: the middle of its menu by time."""
    if product_unit(problem.dtype_a, problem.dtype_b)[0] != "matrix":
        found = cublas.resolved(LibraryTile(0, 0), as_gemm(problem), limits)
        return FiltersTile(**vars(found))
    known = cudnn_menu.known_of(element_bytes(problem.dtype_a))
    kernels = len(menu_of(known).names)
    columns, clocks = columns_of(problem, limits)
    chances = cudnn_filter_choice.chances(problem, known, kernels)
    here = cudnn_filter_choice.middle(chances, clocks)[..., None]
    shape = np.broadcast_shapes(here.shape[:-1], clocks.shape[:-1])
    picked = {
        name: np.take_along_axis(
            np.broadcast_to(np.asarray(column, float), (*shape, kernels)), here, -1
        )[..., 0]
        for name, column in columns.items()
    }
    numbers = {name: n.item() if not n.shape else n for name, n in picked.items()}
    one = 1 + 0 * numbers["blocks"]
    return FiltersTile(**{**numbers, "split": one, "resident": one, "copy_bytes": 0 * one})


def activity(problem: FiltersProblem, tile: FiltersTile, limits: Limits) -> Activity:
    """The kernel that multiplies, and those that convert what has channels first."""
    if product_unit(problem.dtype_a, problem.dtype_b)[0] != "matrix":
        return Serial((Work(slots={"split": 1}), cublas.product(as_gemm(problem), tile, limits)))
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    element = element_bytes(problem.dtype_a)
    m, n = most((tile.block_m, 1)), most((tile.block_n, 1))
    staged = (m + n) * tile.block_k * element * tile.slices
    flop = 2 * m * n * tile.block_k * tile.slices * tile.effort
    block = Serial(
        (
            Work(
                operations={(unit, "flop", dtype): flop},
                read={"shared": staged, "l2": staged},
                written={"shared": staged},
                live={"processors": 1},
            ),
            Work(slots={"cycle": tile.turn}),
        )
    )
    waves = Waves(tile.blocks, tile.at_once, block)
    image, output, filters = sizes(problem)
    stream = Work(
        read={"dram": (image + output) * element},
        written={"dram": filters * element_bytes(problem.dtype_out)},
    )
    main = Overlap((Serial((waves, Work(slots={"cycle": tile.once}))), stream))
    launched = Work(slots={"launch": tile.start})
    return Serial((launched, converted(problem), main))


def sizes(problem: FiltersProblem) -> tuple[Amount, Amount, Amount]:
    """Numbers of the image, of the output's gradient and of the filters."""
    output = problem.groups * problem.filters * problem.summed
    filters = problem.groups * problem.filters * problem.channels * problem.points
    return problem.image_elements, output, filters


def converted(problem: FiltersProblem) -> Activity:
    """Kernels that put channels last, of image and gradient, and first again, of filters."""
    first = 0 if problem.channels_last else 1
    image, output, filters = sizes(problem)
    wide, tall = problem.channels * problem.groups, problem.filters * problem.groups
    passed = image * filled(wide) + output * filled(tall)
    passed = passed + BACK * filters * filled(problem.channels) * filled(problem.points)
    half = first * 2 * passed
    real = first * (image + output + filters) * element_bytes(problem.dtype_a)
    return Serial(
        (
            Work(slots={"split": 3 * CONVERTING * first}),
            Work(read={"dram": real, "engine": half}, written={"dram": real, "engine": half}),
        )
    )
