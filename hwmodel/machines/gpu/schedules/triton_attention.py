"""Schedules of our own attention kernels in Triton, for many queries and for few.

A step's counts are those of `hwmodel.machines.gpu.schedules.attention`. What is our kernels' own:

Many queries. A block waits for each product before it goes on, so that alone on its processor its
matrix and softmax work take turns, and r blocks leave a share 2 / (1 + r) of it in turns (inferred
from measured tiles of an H200). Masked steps follow the others in a loop of their own, which
fetches its first keys anew. Heads never share a block. Blocks of one head start longest first, head
after head: the last head's longest block starts late, no sooner than the shortest block before it
ends, and the others wait for it.

Few queries. The blocks' starts precede the stream of keys, a latency each turn. A part of the keys
is a whole number of steps, so that of many parts some are empty; their blocks start, store a zero
of no weight, and end, like any other. Parts are fp32; what of them exceeds the L2 goes to the DRAM
and back. A block of the second kernel combines one row, `CHUNK` parts at a time.

Head dimensions are padded to a power of two.
"""

from dataclasses import replace

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import hopper_attention
from hwmodel.machines.gpu.schedules.attention import (
    LANE_FLOP,
    PARTIAL_BYTES,
    VECTOR_PER_SCORE,
    AttentionProblem,
    AttentionTile,
    Steps,
    dram_bytes,
    row_blocks,
    steps,
)
from hwmodel.machines.gpu.schedules.stream_k import BLOCKS_PER_PROCESSOR, MOST_BLOCKS_PER_OUTPUT
from hwmodel.machines.gpu.schedules.triton_gemm import (
    PROCESSOR_SHARED_BYTES,
    REGISTER_FILE,
    REGISTERS,
    RESERVED_BYTES,
    WARP_THREADS,
)
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Waves, Work

LEAST_WIDTH = 16
WIDEST_POWER = 12
"""Head dimensions up to 2^12."""

UNDER_WAY = 1.0
"""Mean blocks still to do in a slot when the last head's first block is due (fitted, H200: half a
block were all alike, but the long ones last)."""

CHUNK = 16
"""Parts that a block of the combining kernel holds at once."""
SCORE_REGISTERS, OTHERS = 1.5, 40
"""Registers of a thread for each of its scores, fp32 and narrowed, and beside these and its outputs
(as Triton 3.6 and its ptxas report for sm_90a, rounded)."""
COMBINERS = 16
"""Such blocks of 4 warps on one processor."""


def power_of_two(size: Amount) -> Amount:
    """The least power of two that holds `size`, 16 at least.

    >>> power_of_two(96)
    128
    """
    wide: Amount = LEAST_WIDTH
    for power in range(4, WIDEST_POWER):
        wide = where(size > 2**power, 2 ** (power + 1), wide)
    return wide


def prefill(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Many queries: by persistent blocks, whose warps are of two kinds, or by a block a tile."""
    persistent = tile.persistent
    if isinstance(persistent, (int, float)) and not persistent:
        return _each_a_block(problem, tile, limits)
    wide = power_of_two(problem.head_dim)
    specialised = hopper_attention.prefill(problem, replace(tile, packed=0), wide, limits)
    if isinstance(persistent, (int, float)):
        return specialised
    plain = _each_a_block(problem, tile, limits)
    return Serial((Repeat(persistent, specialised), Repeat(1 - persistent, plain)))


def _each_a_block(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Launch, and waves of blocks over the DRAM stream; heads never share a block."""
    tile = replace(tile, packed=0, resident=resident(problem, tile))
    _, blocks, columns = row_blocks(problem, tile)
    each = steps(problem, tile)
    tiles = columns * blocks
    slots = limits.processors * tile.resident
    spread = each.most / each.mean
    differ = spread > 1 + 1e-9
    whole = where(
        differ, where(tiles > limits.processors, tiles, 0), floor_div(tiles, slots) * slots
    )
    left = tiles - whole
    share = least((tile.resident, most((1, ceil_div(left, limits.processors)))))
    shortest = most((0, 2 - spread))
    ahead = (tiles - blocks) / slots
    late = where(ahead > 1, most((ahead - UNDER_WAY, shortest)), 0) + spread
    late = most((late, 2 * shortest))
    tail = thinning(most((0, late - tiles / slots)), tile.resident)
    turns = where(tiles <= slots, thinning(spread, tile.resident), tiles / slots + tail)
    read, written = dram_bytes(problem, blocks, slots, limits)
    waves = Serial(
        (
            Waves(
                whole,
                slots,
                _rows_of_queries(problem, tile, each, tile.resident),
                where(differ & (whole > 0), turns, 1),
            ),
            Waves(
                left,
                limits.processors * share,
                _rows_of_queries(problem, tile, each, share),
                where(differ & (left > 0), thinning(spread, share), 1),
            ),
        )
    )
    stream = Work(read={"dram": read}, written={"dram": written})
    return Serial((Work(slots={"launch": 1}), Overlap((waves, stream))))


def resident(problem: AttentionProblem, tile: AttentionTile) -> Amount:
    """Blocks that a processor holds: by their registers, and by their rows of Q and staged keys."""
    wide, value_wide = power_of_two(problem.head_dim), power_of_two(problem.value_dim)
    threads = WARP_THREADS * tile.warps
    sums = tile.block_q * (SCORE_REGISTERS * tile.block_k + value_wide) / threads
    registers = least((REGISTERS + 1, 8 * ceil_div(sums + OTHERS, 8)))
    stored = tile.stages * tile.block_k * (wide + value_wide) * bytes_of(problem.kv_dtype)
    shared = tile.block_q * wide * bytes_of(problem.dtype) + stored + 2 * RESERVED_BYTES
    by_shared = floor_div(PROCESSOR_SHARED_BYTES, shared)
    return most((1, least((floor_div(REGISTER_FILE, registers * threads), by_shared))))


def thinning(turns: Amount, resident: Amount) -> Amount:
    """Turns of blocks that outlast their neighbours: from `resident` on a processor down to one."""
    return turns * (1 + 1 / resident) / 2


def _rows_of_queries(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    """One block among `resident` on its processor."""
    rows, blocks, _ = row_blocks(problem, tile)
    wide, value_wide = power_of_two(problem.head_dim), power_of_two(problem.value_dim)
    loaded = tile.block_k * problem.stored_dim * bytes_of(problem.kv_dtype)
    score = tile.block_q * tile.block_k
    products = 2 * score * (wide + value_wide) * each.mean
    exps = (score + tile.block_q) * each.mean
    lanes = (VECTOR_PER_SCORE * score + tile.block_q * value_wide) * each.mean
    lanes = LANE_FLOP * (lanes + tile.masking * score * each.masked)
    alone = 2 / (1 + most((1, resident)))
    ahead = each.mean / most((1, tile.stages - 1))

    def softmax(part: Amount) -> Work:
        return Work(
            operations={
                ("exp", "exp", "fp32"): part * exps,
                ("vector", "flop", "fp32"): part * lanes,
            }
        )

    def product(part: Amount) -> Work:
        return Work(operations={("matrix", "flop", _multiplied(problem)): part * products})

    beside = Work(
        read={
            "l2": loaded * each.mean,
            "port": loaded * each.mean,
            "pipeline": (1 - alone) * ahead / most((1, resident)),
        },
        written={"shared": loaded * each.mean},
        live={"processors": 1 / resident},
    )
    turns = (product(alone), softmax(alone), Work(read={"pipeline": alone * ahead / resident}))
    together = Overlap((product(1 - alone), softmax(1 - alone)))
    ends = Work(
        read={"port": rows / blocks * problem.head_dim * bytes_of(problem.dtype)},
        written={"port": rows / blocks * problem.value_dim * bytes_of(problem.dtype_out)},
        slots={"fill": 1, "step": where((each.masked > 0) & (each.mean > each.masked), 1.0, 0.0)},
    )
    return Serial((ends, Overlap((Serial((*turns, together)), beside))))


def decode(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Few queries: waves of blocks with keys, then of those without, then the combination."""
    rows, blocks, columns = row_blocks(problem, tile)
    whole = ceil_div(problem.keys, tile.block_k)
    each = ceil_div(whole, tile.split)
    busy = columns * blocks * ceil_div(whole, each)
    started = columns * blocks * tile.split
    split = where(tile.split > 1, 1.0, 0.0)
    outputs = problem.batch * problem.heads * problem.queries
    partial = split * tile.split * outputs * (problem.value_dim + 1) * PARTIAL_BYTES
    spilled = most((0, partial - limits.capacity_bytes["l2"] / 2))
    slots = limits.processors * tile.resident
    read, written = dram_bytes(problem, blocks, slots, limits)
    share = most((1, least((tile.resident, ceil_div(busy, limits.processors)))))
    stored = where(tile.split > 1, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    ends = Work(
        read={"port": rows * problem.head_dim * bytes_of(problem.dtype)},
        written={"port": rows * problem.value_dim * stored},
        slots={"fill": 1},
    )
    stream = Work(
        read={"dram": read},
        written={"dram": where(tile.split > 1, spilled, written), "l2": partial},
    )
    walk = Waves(busy, limits.processors * share, _part_of_keys(problem, tile, each, share))
    body = Serial(
        (Waves(started, slots, ends, most((1, started / slots))), Overlap((walk, stream)))
    )
    turns = most((1, outputs / (limits.processors * COMBINERS)))
    combine = Work(
        read={"l2": partial, "dram": spilled},
        written={"dram": split * written},
        slots={"reduction": split, "split": split * ceil_div(tile.split, CHUNK) * turns},
    )
    return Serial((Work(slots={"launch": 1}), body, combine))


def stream(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Few queries by stream-K: equal shares of one line of key tiles, whatever output they serve.

    A block stores a part for each output that it touches, one after the other, so that all blocks
    together have as many parts as blocks and, but for the first, outputs. The second kernel works
    out where an output's parts are.
    """
    rows, _, outputs = row_blocks(problem, tile)
    each = ceil_div(problem.keys, tile.block_k)
    grid = shares(outputs, each, limits.processors)
    busiest = ceil_div(each * outputs, grid)
    parts = grid + outputs - 1
    touched = where(each % busiest == 0, 1, 1 + ceil_div(busiest - 1, each))
    partial = parts * rows * (problem.value_dim + 1) * PARTIAL_BYTES
    slots = limits.processors * tile.resident
    read, written = dram_bytes(problem, 1, slots, limits)
    share = most((1, least((tile.resident, ceil_div(grid, limits.processors)))))
    ends = Work(
        read={"port": rows * problem.head_dim * bytes_of(problem.dtype) * parts / grid},
        written={"port": rows * problem.value_dim * PARTIAL_BYTES * parts / grid},
        slots={"fill": touched},
    )
    room = limits.processors * share
    walk = Waves(grid, room, _part_of_keys(problem, tile, busiest, share))
    stream_ = Work(read={"dram": read}, written={"l2": partial})
    queries = problem.batch * problem.heads * problem.queries
    turns = most((1, queries / (limits.processors * COMBINERS)))
    combine = Work(
        read={"l2": partial},
        written={"dram": written},
        slots={
            "reduction": 1,
            "split": ceil_div(1 + each / busiest, CHUNK) * turns,
            "scan": 1,
        },
    )
    starts = Waves(grid, room, ends)
    return Serial((Work(slots={"launch": 1}), starts, Overlap((walk, stream_)), combine))


def shares(outputs: Amount, tiles: Amount, processors: Amount) -> Amount:
    """Blocks that stream-K launches for `tiles` key tiles of each of `outputs` (`stream_k`)."""
    total = tiles * outputs
    room = BLOCKS_PER_PROCESSOR * processors
    few = least((ceil_div(total, 2), ceil_div(MOST_BLOCKS_PER_OUTPUT * total, tiles)))
    many = least((room, MOST_BLOCKS_PER_OUTPUT * outputs))
    return most((1, least((total, where(total <= 2 * room, few, many)))))


def _multiplied(problem: AttentionProblem) -> str:
    """The format of products: `tl.dot` multiplies fp32 as tf32 (its `input_precision`)."""
    return "tf32" if problem.dtype == "fp32" else problem.dtype


def _part_of_keys(
    problem: AttentionProblem, tile: AttentionTile, each: Amount, resident: Amount
) -> Work:
    """The steps of one block: products, softmax and loads at once, a chain of instructions each."""
    wide = power_of_two(problem.head_dim) + power_of_two(problem.value_dim)
    loaded = tile.block_k * problem.stored_dim * bytes_of(problem.kv_dtype)
    score = tile.block_q * tile.block_k
    vector = VECTOR_PER_SCORE * score + tile.block_q * wide / 2
    return Work(
        operations={
            ("matrix", "flop", _multiplied(problem)): 2 * score * wide * each,
            ("exp", "exp", "fp32"): (score + tile.block_q) * each,
            ("vector", "flop", "fp32"): LANE_FLOP * vector * each,
        },
        read={"l2": loaded * each, "port": loaded * each, "pipeline": each / resident},
        written={"shared": loaded * each},
        live={"processors": 1 / resident},
    )
