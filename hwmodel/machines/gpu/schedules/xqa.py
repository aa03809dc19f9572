"""TensorRT-LLM's attention of few queries before Blackwell's tensor memory: XQA and MMHA.

Which kernel runs, and how it cuts the keys, are TensorRT-LLM's own rules (NVIDIA/TensorRT-LLM,
Apache-2.0, cpp/tensorrt_llm/kernels/decoderMaskedMultiheadAttention and common/attentionOp.cpp, as
read; M processors, B sequences of H query heads and KV heads K, T keys):

**XQA** takes groups of 2 to 32 query heads where 4 B K max(1, T / 128) >= M. A block multiplies a
group's rows on the matrix units, 256 keys a step, and the keys are cut into

    s = max(1, min(n, round(sqrt(8 n)), n / (B K n / M / 8)))        n = T / 128, rounded down

parts, the last to finish combining them. A kernel before it rotates queries and keys and writes
these into their pages, but for fp8 caches on Hopper, whose kernel does so itself. Caches in fp8 are
not cut on other GPUs.

**MMHA** takes the rest, a block for each query head, by the vector lanes. A block has 256 threads,
or 512 or 1,024 where few heads leave registers; 16 bytes of a row are a thread's, and a turn of the
loop has eight rows of each thread in flight:

    turn = 8 threads / (16-byte pieces of a row, a power of two)
    s = min(M / (B H), (T + 1) / turn)                                 both rounded up

Rows that a window hides are counted in both rules, so that a long sequence is cut into parts that
have hardly a key (which published rows show).
"""

from dataclasses import replace

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.attention import (
    LANE_FLOP,
    PARTIAL_BYTES,
    VECTOR_PER_SCORE,
    AttentionProblem,
    AttentionTile,
    dram_bytes,
    row_blocks,
)
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, root, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Waves, Work

MOST_GROUP = 32
"""Query heads of a KV head that XQA takes."""
LEAST_KEYS = 128
"""Keys of a part of XQA, at least (kMinHistoryTokensPerBlock)."""
ENOUGH, MOST_WAVES = 4, 8
"""Blocks times four that have to be as many as processors (kEnableMinBlockFactor), and blocks for
each processor up to which keys are cut (kTargetWaveFactor)."""
STEP_KEYS, LEAST_ROWS = 256, 16
"""Keys of a step of XQA's block, and rows that its query heads are padded to."""
THREADS, MOST_FACTOR = 256, 4
"""Threads of MMHA's smallest block, of which registers leave room for so many on a processor."""
PIECE_BYTES, IN_FLIGHT = 16, 8
"""Bytes of a row that one thread loads, and rows that it has in flight."""
DOUBLED = (4, 8, 16, 32)
"""Pieces of a row beyond which twice as many threads share one."""
SCORE_BYTES = 6
"""Shared memory for each key of a block: its score in fp32 and in 16 bits."""
CONVERTED = 2
"""Vector instructions for each element of a key or value: its conversion, and a multiply-add."""

WITH_SINKS = 64
"""Head dimension up to which heads are taken to have sinks, which fp8 kernels of Hopper lack."""

DECODE = (AttentionTile(LEAST_ROWS, STEP_KEYS, stages=1, warps=8, packed=2),)
NARROW = (AttentionTile(8, STEP_KEYS, stages=1, warps=12, packed=2, resident=2),)


def checked(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch of caches in 16 bits: XQA where it has blocks enough, its keys cut."""
    return _launch(tile, problem, limits, cut=True, checked=True)


def uncut(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch of caches in fp8 on GPUs other than Hopper."""
    return _launch(tile, problem, limits, cut=False, checked=False)


def narrow(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch of caches in fp8 on Hopper."""
    return _launch(tile, problem, limits, cut=True, checked=False)


def _launch(
    tile: AttentionTile, problem: AttentionProblem, limits: Limits, *, cut: bool, checked: bool
) -> AttentionTile:
    columns, processors = problem.batch * problem.kv_heads, limits.processors
    parts = most((1, floor_div(problem.keys, LEAST_KEYS))) if cut else 1
    taken = (problem.group > 1) & (problem.group <= MOST_GROUP)
    if checked:
        taken = taken & (ENOUGH * columns * parts >= processors)
    few = least((parts, _rounded(root(parts * 8.0))))
    waves = columns * few / processors
    split = most((1, floor_div(few, most((1, waves / MOST_WAVES)))))
    high = tile.block_q
    rows = ceil_div(problem.group * problem.queries, high) * high
    each = _mmha(tile, problem, limits)
    return replace(
        tile,
        block_q=where(taken, rows, 1),
        block_k=where(taken, tile.block_k, each.block_k),
        packed=where(taken, 2, 0),
        warps=where(taken, tile.warps, each.warps),
        resident=where(taken, tile.resident, each.resident),
        split=where(taken, split, each.split),
    )


def _rounded(size: Amount) -> Amount:
    return floor_div(size + 0.5, 1)


def _mmha(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """MMHA's block, and its parts of the keys."""
    blocks = problem.batch * problem.heads
    factor = least((ceil_div(limits.processors * MOST_FACTOR, blocks), MOST_FACTOR))
    factor = where(factor >= MOST_FACTOR, MOST_FACTOR, where(factor >= 2, 2, 1))
    pieces = problem.head_dim * bytes_of(problem.dtype) / PIECE_BYTES
    across = most((4, *(where(pieces > least_of, 2 * least_of, 4) for least_of in DOUBLED)))
    turn = floor_div(factor * THREADS, across) * IN_FLIGHT
    room = limits.shared_per_block_bytes
    needed = ceil_div(_seen(problem) * SCORE_BYTES, room)
    wanted = least((ceil_div(problem.keys + 1, turn), ceil_div(limits.processors, blocks)))
    split = most((1, wanted, needed))
    held = floor_div(room, ceil_div(_seen(problem), split) * SCORE_BYTES)
    resident = most((1, least((floor_div(MOST_FACTOR, factor), held))))
    warps = factor * THREADS / 32
    return replace(tile, block_k=turn, split=split, resident=resident, warps=warps)


def _seen(problem: AttentionProblem) -> Amount:
    """Keys that a query sees."""
    return problem.keys if problem.window is None else least((problem.keys, problem.window))


def activity(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """One call of either kernel, the keys of new tokens written."""
    grouped = where(tile.packed > 0, 1.0, 0.0)
    return Serial((_written(problem, grouped), _attended(problem, tile, limits)))


def fused(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The same where XQA's kernel rotates and writes keys itself, but for heads with sinks.

    Heads of 64 are taken to have them, as those of gpt-oss, which published rows of them are.
    """
    apart = where((tile.packed > 0) & (problem.head_dim <= WITH_SINKS), 1.0, 0.0)
    return Serial((_written(problem, apart), _attended(problem, tile, limits)))


def _written(problem: AttentionProblem, share: Amount) -> Work:
    """The kernel that rotates queries and keys, and writes keys and values into their pages."""
    tokens = problem.batch * problem.queries
    queries = tokens * problem.heads * problem.head_dim * bytes_of(problem.dtype)
    new = tokens * problem.kv_heads * problem.stored_dim
    read = share * (queries + new * bytes_of(problem.dtype))
    written = share * (queries + new * bytes_of(problem.kv_dtype))
    return Work(
        read={"dram": read, "l2": read},
        written={"dram": written, "l2": written},
        slots={"reduction": share},
    )


def _attended(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The kernel that attends: launch, blocks over the DRAM's stream, parts combined."""
    _, blocks, columns = row_blocks(problem, tile)
    tiles, slots = columns * blocks * tile.split, limits.processors * tile.resident
    whole = floor_div(tiles, slots) * slots
    left = tiles - whole
    share = least((tile.resident, most((1, ceil_div(left, limits.processors)))))
    read, written = dram_bytes(problem, blocks, slots, limits)
    body = Overlap(
        (
            Serial(
                (
                    Waves(whole, slots, _block(problem, tile, tile.resident)),
                    Waves(left, limits.processors * share, _block(problem, tile, share)),
                )
            ),
            Work(read={"dram": read}, written={"dram": written}),
        )
    )
    split = where(tile.split > 1, tile.split, 0.0)
    outputs = problem.batch * problem.heads * problem.queries * (problem.value_dim + 1)
    partial = split * outputs * PARTIAL_BYTES
    combine = Work(
        read={"l2": partial},
        written={"l2": partial},
        slots={"scan": where(tile.split > 1, 1.0, 0.0), "split": split},
    )
    return Serial((Work(slots={"launch": 1}), body, combine))


def _block(problem: AttentionProblem, tile: AttentionTile, resident: Amount) -> Activity:
    """One block among `resident` on its processor, over its part of the keys."""
    grouped = where(tile.packed > 0, 1.0, 0.0)
    alone = 1 - grouped
    wide, value_wide = (_filled(size) for size in (problem.head_dim, problem.value_dim))
    keys = _seen(problem) / tile.split
    turns = ceil_div(keys, tile.block_k)
    score = tile.block_q * where(tile.packed > 0, turns * tile.block_k, keys)
    stored, kind = bytes_of(problem.kv_dtype), bytes_of(problem.dtype)
    loaded = keys * problem.stored_dim * stored
    unit, format_of = product_unit(problem.dtype, problem.dtype)
    by_lanes = CONVERTED * keys * (problem.head_dim + problem.value_dim)
    vector = grouped * VECTOR_PER_SCORE * score + alone * by_lanes
    widened = keys if stored < kind else 0 * keys
    ends = Work(
        read={"port": tile.block_q * wide * kind},
        written={"port": tile.block_q * value_wide * kind},
        slots={"cycle": grouped, "begin": alone},
    )
    walk = Work(
        operations={
            (unit, "flop", format_of): grouped * 2 * score * (wide + value_wide),
            ("exp", "exp", "fp32"): score,
            ("vector", "flop", "fp32"): LANE_FLOP * vector,
        },
        read={
            "l2": loaded,
            "shared": grouped * loaded,
            "copy": grouped * widened * (wide + value_wide),
            "narrow": alone * widened * (problem.head_dim + problem.value_dim),
        },
        written={"shared": grouped * loaded},
        live={"processors": 1 / resident},
        slots={"step": grouped * turns, "turn": alone * turns},
    )
    return Serial((ends, walk))


def _filled(size: Amount) -> Amount:
    """A head dimension as XQA's kernels are compiled for: 64, 128, or multiples of 256."""
    return where(size <= 64, 64, where(size <= 128, 128, ceil_div(size, 256) * 256))
