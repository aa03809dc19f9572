"""Schedules of grouped products in Triton, each member's own rows: ours, and others' like it.

Every block first finds its member. Ours walks slices as `triton_gemm` says. It copies whole tiles
in bulk: rows of the members that follow, which nobody needs, and zeros beyond the last of all.

Others gather rows, and load none but their own. All stages but one are on their way while a slice
is multiplied, so that a block waits one latency for its first slices and another each time it has
used them up; blocks that share a processor hide that from one another, and those beyond whole waves
have fewer neighbours. Registers, shared bytes and stores are those of `triton_gemm`.
"""

from dataclasses import replace

from hwmodel.einsum.distribution import expected_tiles
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import triton_gemm
from hwmodel.machines.gpu.schedules.gemm import (
    WARPGROUP_ROWS,
    GemmProblem,
    GemmTile,
    conversions,
    dram_bytes,
)
from hwmodel.machines.gpu.schedules.triton_gemm import (
    CONVERTED,
    activity,
    beyond,
    bulk,
    in_waves,
    latency,
    resident,
    stored_bytes,
    waited,
)
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

HIT = 0.75
"""Latency of a slice that the L2 holds over that of one from the DRAM, the copy engine's own part
included (fitted: H200)."""

WARP_PRODUCTS = 2.3
"""Time of warp-level matrix instructions and the loads of their fragments over a warpgroup's
(fitted: H200)."""


def waves(
    problem: GemmProblem,
    tile: GemmTile,
    rows: Amount,
    blocks: Amount,
    slices: Amount,
    stream: Work,
    limits: Limits,
) -> Activity:
    """Whole waves of blocks with their shares of the DRAM's stream, and the blocks left over.

    `rows` counts the blocks along M, `blocks` all that have work, `stream` is one's share.
    """
    sides = problem.M / rows + problem.N / ceil_div(problem.N, tile.block_n)
    staged = sides * slices * tile.block_k * element_bytes(problem.dtype_a)
    stored = stored_bytes(problem, tile, rows)
    trip = latency(HIT, stream, staged)

    def block(beside: Amount) -> Activity:
        each = _block(problem, tile, slices, (staged, stored), trip, beside)
        return Overlap((each, stream))

    return in_waves(block, blocks, resident(problem, tile), limits)


def _block(
    problem: GemmProblem,
    tile: GemmTile,
    slices: Amount,
    moved: tuple[Amount, Amount],
    trip: Amount,
    beside: Amount,
) -> Activity:
    """One block among `beside` on its processor: its own chain, and its neighbours' work.

    `moved` is (bytes staged, bytes stored); `trip` the latency of its slices, of the DRAM's.
    """
    element = element_bytes(problem.dtype_a)
    depth = slices * tile.block_k
    area, sides = tile.block_m * tile.block_n, tile.block_m + tile.block_n
    by_element = where(bulk(problem.K, element), 0.0, 1.0)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    small = tile.block_m < WARPGROUP_ROWS
    warps = WARP_PRODUCTS * (CONVERTED if element < 2 else 1)
    products = 2 * area * depth * where(small, warps, 1.0)
    slab = where(small, 4 * tile.block_m + tile.block_n, area / WARPGROUP_ROWS + tile.block_m)
    used = least((depth, problem.K / tile.split))
    staged, stored = moved
    refills = most((0, ceil_div(slices, most((1, tile.stages - 1))) - 1))
    refills = refills * trip
    first = Work(
        read={"pipeline": (1 - by_element) * trip / beside},
        slots={
            "fill": 1,
            "step": by_element * used / tile.block_k * waited(tile),
        },
    )

    def work(share: Amount, chain: Amount) -> Work:
        return Work(
            operations={(unit, "flop", dtype): share * products},
            read={
                "shared": share * slab * depth * element,
                "l2": share * staged,
                "pipeline": (1 - by_element) * chain / beside,
            },
            written={"shared": share * staged},
        )

    widened = conversions(problem, tile.block_n * depth).operations

    def end(share: Amount) -> Activity:
        loads = Work(read={"copy": share * by_element * sides * used})
        lanes = Work(operations={key: share * count for key, count in widened.items()})
        return Serial((loads, lanes, Work(written={"port": share * stored})))

    own = 1 / beside
    held = Work(live={"shared": tile.shared_bytes(element), "processors": own})
    mine = Serial((first, work(own, refills), end(own)))
    return Overlap((mine, Serial((work(1 - own, 0.0), end(1 - own))), held))


def described(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """Ours: one product of each member's rows, copied with the rows that follow."""
    if problem.routing is None:
        return activity(problem, tile, limits)
    rows, columns, scans, moved = _members(problem, tile, limits)
    slices = ceil_div(problem.K, tile.block_k)
    blocks = rows * columns
    loaded = rows_following(problem.M, problem.M / rows, tile)
    stream = Work(
        read={"dram": moved[0] / blocks, "l2": slices * beyond(problem, tile, loaded)},
        written={"dram": moved[1] / blocks},
    )
    grid = (rows, columns, blocks, slices)
    body = triton_gemm.waves(problem, tile, grid, stream, loaded, limits)
    return Serial((Work(slots={"launch": 1}), scans, body))


def rows_following(every: Amount, own: Amount, tile: GemmTile) -> Amount:
    """Rows that a tile finds from where it starts, `own` at least, at any of `every` with one odds.

    >>> rows_following(1024, 8, GemmTile(128, 128)), rows_following(36, 1, GemmTile(128, 128))
    (120.0, 18.0)
    """
    full = tile.block_m * (1 - tile.block_m / (2 * every))
    return most((own, where(every >= tile.block_m, full, every / 2)))


def grouped(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """Others': one product of each member's rows, gathered."""
    if problem.routing is None:
        return activity(problem, tile, limits)
    rows, columns, scans, (read, written) = _members(problem, tile, limits)
    blocks = rows * columns
    stream = Work(read={"dram": read / blocks}, written={"dram": written / blocks})
    slices = ceil_div(problem.K, tile.block_k)
    body = waves(problem, tile, rows, blocks, slices, stream, limits)
    return Serial((Work(slots={"launch": 1}), scans, body))


def _members(
    problem: GemmProblem, tile: GemmTile, limits: Limits
) -> tuple[Amount, Amount, Work, tuple[Amount, Amount]]:
    """(blocks along M, along N, scans, (bytes read, written) at the DRAM) of a routed product.

    The grid holds the most row blocks that could be needed. Every block first finds its member by a
    scan of where members end; those beyond the last return.
    """
    routing = problem.routing
    rows = expected_tiles(routing, problem.members, tile.block_m) if routing else 0
    columns = ceil_div(problem.N, tile.block_n)
    launched = floor_div(problem.M, tile.block_m) + least((problem.members, problem.M))
    held = resident(problem, tile)
    slots = limits.processors * held
    idle = most((0, (launched - rows) * columns))
    scans = Work(slots={"scan": ceil_div(rows * columns, slots) + idle / slots})
    return rows, columns, scans, dram_bytes(problem, replace(tile, resident=held), limits)
