"""Schedule of our own tiled GEMM in Triton: what its compiled loop does beyond the generic counts.

With S stages a slice of K is asked for when the product S slices before it has ended, so that S
slices pass in the latency of one, and its product; or as fast as the processor's port brings their
bytes, or its tensor cores multiply. Rows that begin beside lines or sectors of memory bring more.
Blocks that share a processor hide one another's waits. How many do follows from the registers and
shared bytes that Triton 3.6 and its ptxas report for sm_90a. Tiles below 64 rows multiply by warp
instructions (mma), have one stage less, and convert fp8 to fp16 first.

Some tiles' loops wait for each matrix instruction before the next (`waits_each`). Rows of a tile
beyond an edge of A or B, which descriptors fill with zeros, all come from one place of the L2.
Persistent blocks take tile after tile, and fetch the next one's slices beside a store.

Rows of A and B that do not begin on 16 bytes cannot be copied in bulk: threads load their elements
one by one, nothing ahead of the product, and keep in local memory those addresses of elements that
exceed a thread's registers (two a load).

The parts of a split start one after the other, so that the L2 serves a part of A and B at a time.
A part is a whole number of slices, so that of many parts some are empty: their blocks store zeros.
Sums are fp32, and a second kernel adds them. What goes through the DRAM is in `triton_traffic`.
"""

from collections.abc import Callable

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import (
    LINE_BYTES,
    PARTIAL_BYTES,
    SECTOR_BYTES,
    WARPGROUP_ROWS,
    GemmProblem,
    GemmTile,
    conversions,
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

HIT = 0.9
"""Latency of a slice that the L2 holds over that of one from the DRAM, the copy engine's own part
included (fitted: H200)."""
SLICE_BYTES = 64 * 1024
"""Bytes of a slice that take its latency once more to arrive (fitted: H200)."""

WARP_PRODUCTS = 2.5
"""Time of warp-level matrix instructions and the loads of their fragments over a warpgroup's
(fitted: H200; mma alone reaches some six tenths of the datasheet's rate on Hopper)."""
CONVERTED = 2
"""The same of fp8 operands, converted to fp16, over 16-bit ones at their own rate."""

STEPS, STEP_CYCLES = 4, 68
"""Matrix instructions of a slice of 128 bytes a row, and clocks that one waits which the next does
not run beside (fitted: H200)."""

BEYOND = 3.3
"""What a row of a tile beyond an edge costs the L2: all are read from one place (fitted: H200)."""
JOINED = 0.4
"""Share of the bytes of slices that the L2 itself serves: processors ask for the same at the same
time, and their requests are joined before it (fitted: H200)."""
STRADDLING, OFF_SECTOR = 0.3, 0.3
"""Cost of a second line of 128 bytes of a row, over that of the first, and of rows of which half
begin within a sector of 32 bytes (fitted: H200)."""

LOADED, SUMMED, ISSUE = 4.0, 4.25, 6.0
"""Instructions of a warp for each element that its threads load one by one, and for each sum of a
tile below 64 rows (as Triton 3.6 compiles them); clocks of one in a warp alone (fitted: H200)."""

NARROW = 1.5
"""Cost of storing single elements, where rows of C do not begin on 16 elements, over that of
bringing the sums into rows (fitted: H200)."""
PROVEN = 16
"""Multiple of elements that Triton's specialisation proves of an argument."""


def bulk(row_elements: Amount, element_bytes: float) -> Amount:
    """Whether rows of this length are copied in bulk."""
    return row_elements * element_bytes % DESCRIPTOR_BYTES == 0


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One call: launch, waves of blocks, and the kernel that adds parts."""
    rows, columns = ceil_div(problem.M, tile.block_m), ceil_div(problem.N, tile.block_n)
    element = element_bytes(problem.dtype_a)
    whole = ceil_div(problem.K, tile.block_k)
    slices = ceil_div(whole, tile.split)
    every = problem.batch * rows * columns
    blocks = every * ceil_div(whole, slices)
    held = resident(problem, tile)
    slots = limits.processors * held
    split = where(tile.split > 1, 1.0, 0.0)
    outputs = problem.batch * problem.M * problem.N
    written = outputs * bytes_of(problem.dtype_out)
    partial = split * tile.split * outputs * PARTIAL_BYTES
    parts = parts_bytes(problem, tile, limits)
    singles = where(bulk(problem.K, element), 0.0, 1.0)
    spill = singles * spilled_registers(tile) * REGISTER_BYTES * WARP_THREADS * tile.warps
    spills = spills_bytes(problem, tile, spill, slots, limits)
    operands = operands_bytes(problem, tile, slots, limits)
    zeros = beyond(problem, tile, problem.M / rows)
    stream = Work(
        read={"dram": (operands + spills) / blocks, "l2": slices * zeros},
        written={
            "dram": (where(tile.split > 1, parts, written) + spills) / blocks,
            "l2": partial / blocks,
        },
    )
    empty = Work(
        written={"port": stored_bytes(problem, tile, rows)},
        slots={"fill": 1},
        live={"processors": 1 / held},
    )
    idle = most((0, every * tile.split - ceil_div(blocks, slots) * slots))
    reduction = Work(
        read={"l2": partial, "l1": partial, "dram": parts},
        written={"dram": where(tile.split > 1, written, 0.0)},
        slots={"reduction": split, "split": split * tile.split},
    )
    begun = Work(read={"pipeline": tile.persistent * limits.processors}, slots={"launch": 1})
    body = waves(problem, tile, (rows, columns, blocks, slices), stream, problem.M / rows, limits)
    return Serial((begun, body, Waves(idle, slots, empty), reduction))


def beyond(problem: GemmProblem, tile: GemmTile, loaded: Amount) -> Amount:
    """What the L2 serves of zeros for a slice, in bytes: a block loads `loaded` rows of A."""
    element = element_bytes(problem.dtype_a)
    columns = problem.N / ceil_div(problem.N, tile.block_n)
    rows = tile.block_m - loaded + tile.block_n - columns
    return BEYOND * where(bulk(problem.K, element), rows * tile.block_k * element, 0.0)


def waves(
    problem: GemmProblem,
    tile: GemmTile,
    grid: tuple[Amount, Amount, Amount, Amount],
    stream: Work,
    loaded: Amount,
    limits: Limits,
) -> Activity:
    """Whole waves of blocks with their shares of the DRAM's stream, and the blocks left over.

    `grid` is (blocks along M, along N, all that have work, slices of each), `stream` one's share,
    `loaded` the rows of A that it loads.
    """
    rows, columns, blocks, slices = grid
    sides = loaded + problem.N / columns
    staged = sides * slices * tile.block_k * element_bytes(problem.dtype_a)
    stored = stored_bytes(problem, tile, rows)
    trip = latency(HIT, stream, staged)

    def block(beside: Amount) -> Activity:
        each = _block(problem, tile, slices, (staged, stored), trip, beside)
        return Overlap((each, stream))

    return in_waves(block, blocks, resident(problem, tile), limits)


def in_waves(
    block: Callable[[Amount], Activity], blocks: Amount, held: Amount, limits: Limits
) -> Activity:
    """Whole waves of blocks, `held` to a processor, and those left over with fewer neighbours.

    `block` makes one's activity among so many on its processor.
    """
    slots = limits.processors * held
    whole = floor_div(blocks, slots) * slots
    left = blocks - whole
    share = most((1, least((held, ceil_div(left, limits.processors)))))
    return Serial(
        (
            Waves(whole, slots, block(held)),
            Waves(left, limits.processors * share, block(share)),
        )
    )


def latency(hit: float, stream: Work, staged: Amount) -> Amount:
    """Latency of a slice over one of the DRAM: `hit` where the L2 holds all `staged` bytes."""
    return hit + (1 - hit) * least((1.0, stream.read["dram"] / staged))


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
    singles = where(bulk(problem.K, element), 0.0, 1.0)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    small = tile.block_m < WARPGROUP_ROWS
    warps = WARP_PRODUCTS * (CONVERTED if element < 2 else 1)
    products = 2 * area * depth * where(small, warps, 1.0)
    slab = where(small, 4 * tile.block_m + tile.block_n, area / WARPGROUP_ROWS + tile.block_m)
    used = least((depth, problem.K / tile.split))
    staged, stored = moved
    staged = staged * lines(problem.K * element)
    stages = tile.stages - where(small, 1, 0)
    own = 1 / beside

    def work(share: Amount, products_share: Amount) -> Work:
        return Work(
            operations={(unit, "flop", dtype): products_share * products},
            read={
                "shared": share * slab * depth * element,
                "port": share * (1 - singles) * staged,
                "l2": share * JOINED * staged,
                "copy": share * singles * sides * used,
            },
        )

    widened = conversions(problem, tile.block_n * depth).operations

    def end(share: Amount) -> Activity:
        lanes = Work(operations={key: share * count for key, count in widened.items()})
        return Serial((lanes, Work(written={"port": share * stored})))

    first = Work(
        read={"pipeline": (1 - singles) * (1 - tile.persistent) * trip * own},
        slots={"fill": 1 - tile.persistent, "step": singles * used / tile.block_k * waited(tile)},
    )
    arrival = trip * (1 + sides * tile.block_k * element / SLICE_BYTES)
    ahead = (1 - singles) / stages
    chain = Serial(
        (
            Work(read={"pipeline": ahead * slices * arrival * own}),
            Work(operations={(unit, "flop", dtype): ahead * own * products}),
        )
    )
    sums = area / (WARP_THREADS * tile.warps)
    issued = ISSUE * (LOADED * _loads(tile) + where(small, SUMMED * sums, 0.0))
    issue = Work(slots={"cycle": singles * used / tile.block_k * issued})
    each = waits_each(problem, tile) * (1 - singles)
    waits = Work(slots={"cycle": each * slices * STEPS * STEP_CYCLES})
    held = Work(live={"shared": tile.shared_bytes(element), "processors": own})
    loop = Overlap((chain, issue, work(own, (1 - ahead) * own)))
    mine = Serial((first, loop, waits, end(own)))
    return Overlap((mine, Serial((work(1 - own, 1 - own), end(1 - own))), held))


def waits_each(problem: GemmProblem, tile: GemmTile) -> Amount:
    """1 where the loop waits for each matrix instruction before the next, as ptxas compiles it.

    Read off the code that Triton 3.6 makes for sm_90a, of tiles by eight warps and rows of a proven
    multiple of `PROVEN` elements: 128 x 256 sums that are narrowed and leave in one store, or leave
    as they are in two, and 128 x 128 sums of a split.
    """
    area, one = tile.block_m * tile.block_n, tile.parts == 1
    wide = where(tile.split > 1, where(one, 0.0, 1.0), where(one, 1.0, 0.0))
    square = where(tile.split > 1, 1.0, 0.0)
    found = where(area == 128 * 256, wide, where(area == 128 * 128, square, 0.0))
    told = (tile.warps == 8) & (tile.persistent == 0) & (problem.N % PROVEN == 0)
    return where(told, found, 0.0)


def lines(row_bytes: Amount) -> Amount:
    """What rows so long bring over their own bytes: a second line, and sectors that are not whole.

    >>> lines(256), lines(240)
    (1.0, 1.5625)
    """
    aligned = 16 + 16 * where(row_bytes % 32 == 0, 1, 0) + 32 * where(row_bytes % 64 == 0, 1, 0)
    aligned = aligned + 64 * where(row_bytes % LINE_BYTES == 0, 1, 0)
    within = where(aligned < SECTOR_BYTES, OFF_SECTOR, 0.0)
    return 1 + STRADDLING * (1 - aligned / LINE_BYTES) + within


def waited(tile: GemmTile) -> Amount:
    """Wait for a slice of single elements, of that for one load: spilled addresses come first."""
    spills = spilled_registers(tile)
    return 1 + SPILL * spills * most((1, spills / IN_FLIGHT))


def stored_bytes(problem: GemmProblem, tile: GemmTile, rows: Amount) -> Amount:
    """Bytes that a block passes on for its tile: all sums through shared memory, then its rows.

    Persistent blocks narrow the sums first, since rows leave by the copy engine.
    """
    area = tile.block_m * tile.block_n
    columns = ceil_div(problem.N, tile.block_n)
    each = where(tile.split > 1, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    narrow = where(problem.N % PROVEN == 0, 0.0, NARROW)
    through = where(tile.persistent > 0, each, PARTIAL_BYTES * (1 + narrow))
    return area * through + problem.M / rows * problem.N / columns * each


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
