"""A convolution by the kernel that cuDNN's menu gives it, on a Hopper GPU.

`cudnn_menu` says which kernel, and its clocks on the H200 that was traced; here they become counts,
so that they follow the matrix units' rate, the clock and the DRAM of the device at hand:

    a block      slices x (matrix instructions of `effort`) + clocks at its start and end, of which
                 a share is waited for once
    shared       parts of blocks take what the last round leaves idle, so that rounds need not be
                 whole; a quarter of a block at least
    meeting      where blocks of few meet on a processor, one more goes after the others
    counted      bulk kernels of many blocks draw them by a counter that is cleared before
    by vectors   instructions of each output, and of its products
    apart        blocks of all groups, or kernels that wait for each other, whichever takes longer
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cudnn_menu
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Waves, Work

RATE = 0.9
"""Share of the datasheet's rate at which `effort` is 1."""
VECTOR_FLOP_PER_CLOCK = 256.0
"""Of a processor's vector units."""
CLEARED, PREPARED, TURNS = 0.32, 0.6, 2
"""Launches that clearing a counter of tiles takes (1.2 us in a graph, traced), where there are more
than so many for each processor, and preparing sums that are shared."""
SLICED = 2.0
"""Kernels that slice the image of a group and join its output (traced)."""
UNEVEN = 1.0001
"""The longest over the mean of what is shared out."""


@dataclass(frozen=True)
class DenseTile(LibraryTile):
    """A launch record of a convolution; `apart` is 1 where each of several groups has a launch.

    A kernel takes `start` of a launch to begin. Blocks have so many `columns`, in clusters of
    `across` by `along`, of which so many blocks run `at_once`. `slices` of K of a block, and its
    `turn`: clocks at its start and end; `once`: those that are waited for once. Clearing counters
    before takes `cleared` launches. Rounds of blocks that share processors are `turns`. `shared`
    blocks are split where they would leave processors idle; `meeting` is 1 where blocks of few
    meet. By the vector units (`direct`) `turn` is the clocks of an output, of which each processor
    has `fewest`. Images are taken `as_it_lies`, or `unpadded`; what comes out has channels first
    where it `writes_first`, and inputs are rounded before where it `rounds`.
    """

    start: Amount = 1
    slices: Amount = 0
    turn: Amount = 0
    once: Amount = 0
    cleared: Amount = 0
    shared: Amount = 0
    meeting: Amount = 0
    direct: Amount = 0
    as_it_lies: Amount = 0
    unpadded: Amount = 0
    rounds: Amount = 0
    writes_first: Amount = 0
    fewest: Amount = 0
    across: Amount = 1
    along: Amount = 1
    at_once: Amount = 1
    columns: Amount = 1
    turns: Amount = 1
    apart: Amount = 0


def launched(problem: ConvolutionProblem, limits: Limits) -> dict[str, Any]:
    """Fields of the launch record, of each of the problem's points."""
    element = element_bytes(problem.dtype_a)
    whole = cudnn_menu.menu_of(element)
    menu = whole.at(cudnn_menu.chosen(problem, whole))
    sizes = cudnn_menu.sizes_of(problem, menu)
    many = np.asarray(limits.processors, float)[..., None]
    count, at_once = cudnn_menu.clusters(sizes, menu, limits.processors)
    clustered = menu.across * menu.along
    busy = cudnn_menu.busy(sizes, menu, limits.processors)
    slow = cudnn_menu.slice_clocks(sizes, menu, busy, problem.directions)
    ideal = 2 * menu.block_m * menu.block_n * menu.block_k * element
    ideal = ideal / cudnn_menu.BYTE_FLOP_PER_CLOCK
    vector = menu.of(*cudnn_menu.VECTOR)
    _, _, thousands, *_ = menu.numbers
    output = cudnn_menu.output_clocks(sizes, menu)
    each_round, once = cudnn_menu.block_clocks(sizes, menu, limits.processors)
    shared = cudnn_menu.shared(sizes, menu, limits.processors)
    bulk = menu.of("bulk")
    narrowed = cudnn_menu.known_of(element) == cudnn_menu.NARROWED
    mean, longest = cudnn_menu.mean_slices(sizes, menu), cudnn_menu.slices(sizes, menu)
    columns = {
        "block_m": menu.block_m,
        "block_n": menu.block_n,
        "block_k": menu.block_k,
        "multicast": 1 + 0 * menu.kind,
        "persistent": np.where(bulk, 1, 0),
        "effort": np.where(vector, 1, slow / ideal * RATE),
        "slices": np.where(vector, 0, mean),
        "turn": np.where(vector, output, each_round),
        "once": np.where(vector, cudnn_menu.borders(sizes, menu), once + (longest - mean) * slow),
        "cleared": np.where(
            shared, PREPARED, np.where(bulk & (count * clustered > TURNS * many), CLEARED, 0)
        ),
        "shared": np.where(shared, 1, 0),
        "meeting": np.where(cudnn_menu.met(sizes, menu, limits.processors), 1, 0),
        "across": menu.across,
        "along": menu.along,
        "at_once": at_once * clustered,
        "columns": np.ceil(sizes.filters / menu.block_n) * sizes.sets,
        "turns": np.where(sizes.folded, cudnn_menu.rounds(sizes, menu, limits.processors), 1),
        "start": cudnn_menu.starts(sizes, menu) / cudnn_menu.STARTED[cudnn_menu.known_of(element)],
        "apart": np.where(sizes.apart > 1, 1, 0),
        "direct": np.where(vector, 1, 0),
        "as_it_lies": np.where(menu.of(*cudnn_menu.UNCONVERTED), 1, 0),
        "unpadded": np.where((vector & ~menu.of("first")) | menu.of("gathered"), 1, 0),
        "rounds": np.where(narrowed & menu.of(*cudnn_menu.ROUNDED), 1, 0),
        "writes_first": np.where(narrowed & menu.of(*cudnn_menu.WRITE_FIRST), 1, 0),
        "fewest": np.where(vector, 1000 * thousands, 0),
    }
    shape = np.broadcast_shapes(menu.kind.shape[:-1], many.shape[:-1])
    picked = {
        name: np.broadcast_to(np.asarray(column, float), (*shape, 1))[..., 0]
        for name, column in columns.items()
    }
    return {name: number.item() if not number.shape else number for name, number in picked.items()}


def product(problem: ConvolutionProblem, tile: DenseTile, limits: Limits) -> Activity:
    """The kernel that multiplies, without those that convert."""
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    element = element_bytes(problem.dtype_a)
    parts = where(tile.shared > 0, cudnn_menu.PARTS, 1)
    m, n = most((tile.block_m, 1)), most((tile.block_n, 1))
    across, along = most((tile.across, 1)), most((tile.along, 1))
    rows = ceil_div(problem.M, m)
    apart = where(tile.apart > 0, problem.groups, 1)
    blocks = apart * ceil_div(tile.columns, across) * across * ceil_div(rows, along) * along
    at_once = most((tile.at_once, 1))
    slices = tile.slices / parts
    staged = (m + n) * tile.block_k * element * slices
    loaded = (m / across + n / along) * tile.block_k * element * slices
    block = Serial(
        (
            Work(
                operations={(unit, "flop", dtype): 2 * m * n * tile.block_k * slices * tile.effort},
                read={"shared": staged, "l2": loaded, "port": loaded},
                written={"shared": staged},
                live={"processors": 1},
            ),
            Work(slots={"cycle": tile.turn / parts}),
        )
    )
    uneven = where(tile.shared > 0, UNEVEN, tile.turns)
    waves = Waves(blocks * parts, at_once, block, uneven)
    late = Repeat(tile.meeting, Waves(1, limits.processors, block))
    read = problem.image_elements * bytes_of(problem.dtype_a)
    filters = problem.groups * problem.filters * problem.K * problem.share
    read = read + filters * bytes_of(problem.dtype_b)
    written = problem.groups * problem.M * problem.filters * bytes_of(problem.dtype_out)
    stream = Work(read={"dram": read}, written={"dram": written})
    once = Work(slots={"cycle": tile.once})
    chain = Serial((Work(slots={"launch": tile.start, "split": SLICED}), block))
    queued = Repeat((apart - 1) / cudnn_menu.ABREAST, chain)
    ended = Serial((stream, Work(slots={"queue": 1})))
    by_matrix = Overlap((Serial((waves, late, once)), ended, queued))
    outputs = apart * problem.M * tile.columns * n
    each = most((tile.fewest, 1))
    plain = Work(slots={"launch": (apart - 1) / cudnn_menu.ABREAST})
    threads = Work(
        operations={("vector", "flop", "fp32"): each * tile.turn * VECTOR_FLOP_PER_CLOCK}
    )
    many = Waves(outputs / each, limits.processors, threads, UNEVEN)
    by_vector = Overlap((Serial((many, once)), stream, plain))
    return Serial(
        (
            Work(slots={"launch": tile.start + tile.cleared}),
            Repeat(1 - tile.direct, by_matrix),
            Repeat(tile.direct, by_vector),
        )
    )
