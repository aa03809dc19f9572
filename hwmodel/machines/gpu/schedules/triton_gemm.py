"""Schedule of our own tiled GEMM in Triton: what its compiled loop does beyond the generic counts.

Blocks are neither persistent nor clustered: each fetches its own first slices, and stores its tile
through shared memory before the next one starts. All stages but one are on their way while a slice
is multiplied, so that a block waits one latency for its first slices and another each time it has
used them up; blocks that share a processor hide that from one another. How many do follows from
the registers and shared bytes that Triton 3.6 and its ptxas report for sm_90a. Tiles below 64 rows
multiply by warp instructions (mma) with one stage less, and convert fp8 to fp16 first.

Tiles below 64 rows do not multiply while they wait. Rows of a tile beyond an edge of A or B, which
descriptors fill with zeros, cross from the L2 as others do, and are not joined.

Blocks beyond whole waves have fewer neighbours, and the L2 and DRAM to themselves.

Rows of A and B that do not begin on 16 bytes cannot be copied in bulk: threads load their elements
one by one, nothing ahead of the product, and keep in local memory those addresses of elements that
exceed a thread's registers (two a load).

The parts of a split start one after the other, so that the L2 serves a part of A and B at a time.
A part is a whole number of slices, so that of many parts some are empty: their blocks store zeros.
Sums are fp32, and a second kernel adds them. What goes through the DRAM is in `triton_traffic`.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.distribution import expected_tiles
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import (
    PARTIAL_BYTES,
    WARPGROUP_ROWS,
    GemmProblem,
    GemmTile,
    conversions,
    dram_bytes,
)
from hwmodel.machines.gpu.schedules.triton_traffic import operands_bytes, parts_bytes, spills_bytes
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

DESCRIPTOR_BYTES = 16
"""Alignment of the rows that a tensor descriptor covers (CUDA driver API, tensor maps)."""

WARP_THREADS = 32
REGISTERS = 255
"""Registers that a thread can name (CUDA C++ Programming Guide, compute capability 9.0)."""
REGISTER_FILE = 65536
REGISTER_BYTES = 4
PROCESSOR_SHARED_BYTES = 228 * 1024
RESERVED_BYTES = 1024
"""Shared memory of a processor, and of it what each block takes for the system (same source)."""
OTHERS, OTHERS_WARP, OTHERS_BULK = 40, 46, 26
"""Registers of a thread beside its sums: with loads and their addresses, with fragments of warp
instructions, with neither (as ptxas reports, rounded)."""
SPILL, IN_FLIGHT = 0.12, 120
"""Wait for a spilled address on the way, over that for a slice, and how many of a thread's do not
wait for one another (fitted: H200, Triton 3.6)."""

HIT = 0.75
"""Latency of a slice that the L2 holds over that of one from the DRAM, the copy engine's own part
included (fitted: H200)."""

WARP_PRODUCTS = 2.3
"""Time of warp-level matrix instructions and the loads of their fragments over a warpgroup's
(fitted: H200; mma alone reaches some six tenths of the datasheet's rate on Hopper)."""
CONVERTED = 2
"""The same of fp8 operands, converted to fp16, over 16-bit ones at their own rate."""

WIDE_AREA = 128 * 256
BEYOND = 4
"""What a row of a tile beyond an edge costs the L2 over one within: rows of zeros cross to the
processor as others do, and are not joined (fitted: H200)."""

NARROW = 1.5
"""Cost of storing single elements, where rows of C do not begin on 16 elements, over that of
bringing the sums into rows (fitted: H200)."""
PROVEN = 16
"""Multiple of elements that Triton's specialisation proves of an argument."""


@dataclass(frozen=True)
class Loop:
    """How a kernel's loop over K was compiled: time of products over a warpgroup's, and waits.

    `warps` is that of warp-level instructions, `wide` of a tile of `WIDE_AREA` sums, of which two
    warpgroups have none under way while they wait. `in_turn` is 1 where warp-level products do not
    run while their slices come.
    """

    warps: float = WARP_PRODUCTS
    wide: float = 1.0
    in_turn: float = 0.0


PRODUCT = Loop(warps=2.0, wide=1.25, in_turn=1.0)
"""The product's own (fitted: H200, Triton 3.6); the others' are those of grouped products."""


def bulk(row_elements: Amount, element_bytes: float) -> Amount:
    """Whether rows of this length are copied in bulk."""
    return row_elements * element_bytes % DESCRIPTOR_BYTES == 0


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One call: launch, waves of blocks, and the kernel that adds parts."""
    rows, columns = ceil_div(problem.M, tile.block_m), ceil_div(problem.N, tile.block_n)
    whole = ceil_div(problem.K, tile.block_k)
    slices = ceil_div(whole, tile.split)
    every = problem.batch * rows * columns
    blocks = every * ceil_div(whole, slices)
    held = resident(problem, tile)
    slots = limits.processors * held
    split = tile.split > 1
    outputs = problem.batch * problem.M * problem.N
    written = outputs * bytes_of(problem.dtype_out)
    partial = where(split, 1.0, 0.0) * tile.split * outputs * PARTIAL_BYTES
    parts = parts_bytes(problem, tile, limits)
    by_element = where(bulk(problem.K, element_bytes(problem.dtype_a)), 0.0, 1.0)
    spill = by_element * spilled_registers(tile) * REGISTER_BYTES * WARP_THREADS * tile.warps
    spills = spills_bytes(problem, tile, spill, slots, limits)
    operands = operands_bytes(problem, tile, slots, limits)
    beyond = tile.block_m - problem.M / rows + tile.block_n - problem.N / columns
    zeros = (1 - by_element) * beyond * slices * tile.block_k * element_bytes(problem.dtype_a)
    stream = Work(
        read={"dram": (operands + spills) / blocks, "l2": BEYOND * zeros},
        written={"dram": (where(split, parts, written) + spills) / blocks, "l2": partial / blocks},
    )
    empty = Work(
        written={"port": stored_bytes(problem, tile, rows)},
        slots={"fill": 1},
        live={"processors": 1 / held},
    )
    beyond = most((0, every * tile.split - ceil_div(blocks, slots) * slots))
    body = (
        waves(problem, tile, rows, blocks, slices, stream, limits, PRODUCT),
        Waves(beyond, slots, empty),
    )
    reduction = Work(
        read={"l2": partial, "l1": partial, "dram": parts},
        written={"dram": where(split, written, 0.0)},
        slots={
            "reduction": where(split, 1.0, 0.0),
            "split": where(split, 1.0, 0.0) * tile.split,
        },
    )
    return Serial((Work(slots={"launch": 1}), *body, reduction))


def waves(
    problem: GemmProblem,
    tile: GemmTile,
    rows: Amount,
    blocks: Amount,
    slices: Amount,
    stream: Work,
    limits: Limits,
    loop: Loop = Loop(),
) -> Activity:
    """Whole waves of blocks with their shares of the DRAM's stream, and the blocks left over.

    `rows` counts the blocks along M, `blocks` all that have work, `stream` is one's share.
    """
    held = resident(problem, tile)
    slots = limits.processors * held
    whole = floor_div(blocks, slots) * slots
    left = blocks - whole
    share = most((1, least((held, ceil_div(left, limits.processors)))))
    sides = problem.M / rows + problem.N / ceil_div(problem.N, tile.block_n)
    staged = sides * slices * tile.block_k * element_bytes(problem.dtype_a)
    trip = HIT + (1 - HIT) * least((1.0, stream.read["dram"] / staged))
    stored = stored_bytes(problem, tile, rows)

    def block(beside: Amount) -> Activity:
        each = _block(problem, tile, slices, (staged, stored), trip, beside, loop)
        return Overlap((each, stream))

    return Serial(
        (
            Waves(whole, slots, block(held)),
            Waves(left, limits.processors * share, block(share)),
        )
    )


def _block(
    problem: GemmProblem,
    tile: GemmTile,
    slices: Amount,
    moved: tuple[Amount, Amount],
    trip: Amount,
    beside: Amount,
    loop: Loop,
) -> Activity:
    """One block among `beside` on its processor: its own chain, and its neighbours' work.

    `moved` is (bytes staged, bytes stored); `trip` the latency of its slices, of the DRAM's.
    """
    element = element_bytes(problem.dtype_a)
    depth = slices * tile.block_k
    area, sides = tile.block_m * tile.block_n, tile.block_m + tile.block_n
    by_element = where(bulk(problem.K, element), 0.0, 1.0)
    spills = spilled_registers(tile)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    small = tile.block_m < WARPGROUP_ROWS
    warps = loop.warps * (CONVERTED if element < 2 else 1)
    wide = where(area >= WIDE_AREA, loop.wide, 1.0)
    products = 2 * area * depth * where(small, warps, wide)
    slab = where(small, 4 * tile.block_m + tile.block_n, area / WARPGROUP_ROWS + tile.block_m)
    used = least((depth, problem.K / tile.split))
    staged, stored = moved
    refills = most((0, ceil_div(slices, most((1, tile.stages - 1))) - 1))
    refills = refills * trip
    waits = where(small, loop.in_turn * refills, 0.0)
    first = Work(
        read={"pipeline": (1 - by_element) * (trip + waits) / beside},
        slots={
            "fill": 1,
            "step": by_element
            * used
            / tile.block_k
            * (1 + SPILL * spills * most((1, spills / IN_FLIGHT))),
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
    mine = Serial((first, work(own, refills - waits), end(own)))
    return Overlap((mine, Serial((work(1 - own, 0.0), end(1 - own))), held))


def grouped(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One product of each member's rows; the grid holds the most row blocks that could be needed.

    Every block first finds its member by a scan of where members end; those beyond the last return.
    """
    routing = problem.routing
    if routing is None:
        return activity(problem, tile, limits)
    rows = expected_tiles(routing, problem.members, tile.block_m)
    columns = ceil_div(problem.N, tile.block_n)
    launched = floor_div(problem.M, tile.block_m) + least((problem.members, problem.M))
    blocks = rows * columns
    held = resident(problem, tile)
    slots = limits.processors * held
    read, written = dram_bytes(problem, replace(tile, resident=held), limits)
    stream = Work(read={"dram": read / blocks}, written={"dram": written / blocks})
    slices = ceil_div(problem.K, tile.block_k)
    idle = most((0, (launched - rows) * columns))
    turns = ceil_div(blocks, slots)
    scans = Work(slots={"scan": turns + idle / slots})
    body = waves(problem, tile, rows, blocks, slices, stream, limits)
    return Serial((Work(slots={"launch": 1}), scans, body))


def stored_bytes(problem: GemmProblem, tile: GemmTile, rows: Amount) -> Amount:
    """Bytes that a block passes on for its tile: all sums through shared memory, then its rows."""
    area = tile.block_m * tile.block_n
    columns = ceil_div(problem.N, tile.block_n)
    each = where(tile.split > 1, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    narrow = where(problem.N % PROVEN == 0, 0.0, NARROW)
    return area * PARTIAL_BYTES * (1 + narrow) + problem.M / rows * problem.N / columns * each


def resident(problem: GemmProblem, tile: GemmTile) -> Amount:
    """Blocks that a processor holds: by their registers and their staged slices."""
    registers = least((REGISTERS + 1, 8 * ceil_div(wanted_registers(problem, tile), 8)))
    by_registers = floor_div(REGISTER_FILE, registers * WARP_THREADS * tile.warps)
    staged = shared_bytes(problem, tile) + RESERVED_BYTES
    return most((1, least((by_registers, floor_div(PROCESSOR_SHARED_BYTES, staged)))))


def wanted_registers(problem: GemmProblem, tile: GemmTile) -> Amount:
    """Registers that a thread asks for; beyond `REGISTERS` it spills."""
    sums = tile.block_m * tile.block_n / (WARP_THREADS * tile.warps)
    fragments = where(tile.block_m < WARPGROUP_ROWS, OTHERS_WARP, OTHERS_BULK)
    singles = 2 * _loads(tile) + OTHERS
    return sums + where(bulk(problem.K, element_bytes(problem.dtype_a)), fragments, singles)


def shared_bytes(problem: GemmProblem, tile: GemmTile) -> Amount:
    """Shared memory of a block: the slices that it stages."""
    element = element_bytes(problem.dtype_a)
    stages = tile.stages - where(tile.block_m < WARPGROUP_ROWS, 1, 0)
    staged = where(bulk(problem.K, element), stages, 1)
    return staged * (tile.block_m + tile.block_n) * tile.block_k * element


def spilled_registers(tile: GemmTile) -> Amount:
    """Registers of a thread that its sums, its loads and their addresses want in excess.

    >>> spilled_registers(GemmTile(16, 128, 64, warps=4))
    0
    """
    threads = WARP_THREADS * tile.warps
    wanted = tile.block_m * tile.block_n / threads + 2 * _loads(tile) + OTHERS
    return most((0, wanted - REGISTERS))


def _loads(tile: GemmTile) -> Amount:
    """Elements that a thread loads for one slice."""
    return (tile.block_m + tile.block_n) * tile.block_k / (WARP_THREADS * tile.warps)
