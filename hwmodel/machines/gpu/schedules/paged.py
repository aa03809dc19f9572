"""Attention over pages as serving engines call it, on each generation of GPUs.

An engine keeps keys and values in pages, which a table finds, and writes those of new tokens there
before it attends: K and V are read and written once more than attention itself asks for (published
rows of prompts are slower by that much where heads share no keys). Which kernel runs depends on the
engine and the generation; what is known of each is here, its rates are fitted to published rows.

**FlashAttention-2** (Ampere, Ada, workstations' Blackwell; Dao-AILab/flash-attention,
csrc/flash_attn, recalled): pages ask for the kernel of split keys, blocks of 64 rows and of 16 Ki
elements of K, one or two a processor by their shared memory. With sequences of different lengths it
splits the keys only where one query's heads share keys and no window hides any, when they become
rows of one head: otherwise a head walks its keys in one block, however long (which the rows show).
The heads of a group become rows by a copy of Q and one of O, kernels of their own, where there is
more than one group and more than one sequence.

**FlashInfer** (fp8 caches on the same GPUs): queries of a group's heads fill blocks of rows; in
decode the keys are split so that blocks fill the processors.

**TRT-LLM-gen** (data centres' Blackwell): tensor memory holds two tiles of 128 rows; decode as
above.

**FlashAttention-3** (Hopper): tiles as in `flash3`, rows of heads that share keys in one block.

**TensorRT-LLM** (all): fused prefill in tiles of 128 x 128 where a warpgroup multiplies them, of
64 x 64 elsewhere; in decode on data centres' Blackwell heads that share keys, up to 32 of them, are
rows of one block (XQA); others are attended to one by one, keys read by each. Decode on other GPUs
is in `xqa`.

Tiles and rules that no source at hand states are those under which half of a generation's published
rows are told best.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import attention
from hwmodel.machines.gpu.schedules.attention import (
    AttentionProblem,
    AttentionTile,
    Steps,
    row_blocks,
)
from hwmodel.machines.gpu.schedules.flash import splits
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Repeat, Serial, Work

Made = Callable[[AttentionProblem, AttentionTile, Limits], Activity]

SPLIT_ROWS = 64
MOST_RESIDENT = 2
"""Blocks of FlashAttention-2 on a processor, by their registers."""

RESERVED_BYTES = 1024
"""Shared memory that CUDA keeps of each block's."""

PACKED_ROWS, PACKED_KEYS, WARP_ROWS, WARPGROUP_ROWS = 128, 64, 16, 64
GEN_ROWS, TILE, DECODE_ROWS, PAIR_ROWS = 256, 128, 64, 128
MOST_PARTS = 64
"""Parts of a sequence's keys in decode, at most: assumed, as of FlashInfer's plans."""

WARPGROUP_BYTES = 200 * 1024
"""Shared memory of a block from which on kernels use tiles of a warpgroup: Hopper's and Blackwell's
227 KiB, of which others have 64 to 163."""

XQA_GROUP, XQA_ROWS = 32, 16
"""Query heads of a KV head that TensorRT-LLM's XQA kernel takes (inferred: groups of 40 and more
take as long as their heads one by one), and rows of its block."""

OTHERS = (64, 256)
"""Head dimensions up to and from which TensorRT-LLM's kernels of warps multiply in fp8 no quicker
than in 16 bits (published rows of an L40S and an RTX PRO 6000: 105 and 170 TFLOP/s in heads of 64,
270 and 400 of 128, 80 and 115 of 256)."""

MASKING_FP8 = 12
"""Vector instructions per score of its masked steps in fp8: prompts of 2,048 tokens that see 128
take as long as those that see all (an H100)."""

TOKEN_THREADS, FURTHER = 512, 4
"""Threads of vLLM's block that writes a token's keys, an element each, and how many further
elements cost as much as the first: tokens of 512 elements and of 1,024 take alike, those of 8,192
three times as long, those of 128 a quarter (an A100, H100, B200 and RTX PRO 6000; caches in 16 bits
and in fp8)."""

MASKING_GEN = 8
"""Vector instructions per score of a masked step of TRT-LLM-gen's."""

MASKING_WINDOW, MASKING_WINDOW_FP8 = 16, 48
"""The same of TensorRT-LLM's where a window hides keys, and in fp8 on Hopper: there a block of 128
rows that see 128 keys takes 16 us, without a window 5 (published rows of an H100)."""

MASKING_FLASH3 = 48
"""The same of FlashAttention-3's for one query: 1,024 blocks whose window hides keys take as long
as 1,700 without (an H100)."""

MOST_OTHERS = 4
"""Blocks of those on a processor."""

ALL = 128
"""Query heads for which XQA attends to latents in fp8 on workstations' Blackwell, by clusters of
four processors, keys whole: one sequence takes as long as 32, and half as long as 64 (published
rows of an RTX PRO 6000, whose 47 clusters go round)."""

GIVEN_BYTES = 2
"""Bytes of an element of queries, keys and values before they are narrowed."""

FLASH2 = (AttentionTile(SPLIT_ROWS, TILE, stages=1, warps=4, team=1, in_order=1),)
FLASH2_DECODE = (AttentionTile(SPLIT_ROWS, TILE, stages=1, warps=4, team=1, pad=32),)
PACKED = (
    AttentionTile(
        PACKED_ROWS, PACKED_KEYS, warps=4, team=1, packed=2, in_order=1, fitting=WARP_ROWS
    ),
)
PACKED_DECODE = (AttentionTile(WARP_ROWS, TILE, stages=1, warps=4, packed=2, resident=2),)
FLASH3 = (AttentionTile(TILE, TILE, packed=2, in_order=1),)
GEN = (AttentionTile(GEN_ROWS, TILE, packed=0, in_order=1, masking=MASKING_GEN),)
GEN_DECODE = (AttentionTile(DECODE_ROWS, TILE, stages=1, warps=4, packed=2),)
TRTLLM = (AttentionTile(TILE, TILE, packed=0, in_order=1),)
TRTLLM_FP8 = (replace(TRTLLM[0], masking=MASKING_FP8),)
TRTLLM_DECODE = (AttentionTile(XQA_ROWS, TILE, stages=1, warps=4, packed=2),)


LATENT = (AttentionTile(DECODE_ROWS, DECODE_ROWS, stages=1, warps=8, packed=2),)


def prefill(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Attention of prompts: new keys and values into their pages, then the kernel."""
    return Serial((pages(problem), attention.activity(problem, tile, limits)))


def pages(problem: AttentionProblem) -> Work:
    """Work of the kernel that writes keys and values, a block for each token, at its own pace."""
    tokens = problem.batch * problem.queries
    of_token = problem.kv_heads * problem.stored_dim / 2
    first = least((of_token, TOKEN_THREADS))
    copied = 2 * tokens * (first + (of_token - first) / FURTHER)
    new = 2 * tokens * of_token
    read, kept = new * bytes_of(problem.dtype), new * bytes_of(problem.kv_dtype)
    return Work(read={"dram": read, "l2": read, "copy": copied}, written={"dram": kept, "l2": kept})


def rotating(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The same of TensorRT-LLM: a kernel brings queries, keys and values to where they belong.

    It rotates them on the way and narrows what is narrower, all elements at one pace.
    """
    return Serial((_rotated(problem), attention.activity(problem, tile, limits)))


def rotating_in_fp8(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The same of a cache in fp8 to which queries are narrowed: Hopper, data centres' Blackwell.

    Rows of such caches take as long as those of fp8 throughout.
    """
    return rotating(replace(problem, dtype=problem.kv_dtype), tile, limits)


def narrowed(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The same in fp8.

    Kernels of warps multiply in fp8 for heads between `OTHERS`, and in 16 bits for those sizes.
    """
    other = _is_other(problem, limits)
    found = _either(other, _in_16_bits, attention.activity, problem, tile, limits)
    return Serial((_rotated(problem), found))


def _rotated(problem: AttentionProblem) -> Work:
    queries = problem.batch * problem.heads * problem.queries * problem.head_dim
    new = problem.batch * problem.kv_heads * problem.queries * problem.stored_dim
    given = (queries + new) * GIVEN_BYTES
    kept = queries * bytes_of(problem.dtype) + new * bytes_of(problem.kv_dtype)
    return Work(
        read={"dram": given, "l2": given, "copy": queries + new},
        written={"dram": kept, "l2": kept},
    )


def _either(
    which: Any,
    one: Made,
    other: Made,
    problem: AttentionProblem,
    tile: AttentionTile,
    limits: Limits,
) -> Activity:
    """One activity or another, point by point."""
    points = np.asarray(which)
    if points.all() or not points.any():
        return (one if points.all() else other)(problem, tile, limits)
    share = where(points, 1.0, 0.0)
    both = (
        Repeat(n, made(problem, tile, limits)) for n, made in ((share, one), (1 - share, other))
    )
    return Serial(tuple(both))


def in_fp8(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Few queries in fp8, to which they are narrowed, as keys and values are."""
    return attention.activity(replace(problem, dtype="fp8"), tile, limits)


def all_heads(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Few queries to latents in fp8 on workstations' Blackwell: in fp8 for `ALL` heads."""
    return _either(problem.group >= ALL, in_fp8, attention.activity, problem, tile, limits)


def latent_by_four(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """Its launch: four blocks for `ALL` heads, of which each walks all keys."""
    rows = where(problem.group >= ALL, ALL // 4, tile.block_q)
    return latent(replace(tile, block_q=rows), problem, limits)


def _in_16_bits(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    return attention.activity(replace(problem, dtype="bf16"), tile, limits, _late)


def _late(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    """A block that begins late, and waits for the keys of each step."""
    began = Work(slots={"begin": 1})
    walked = attention.walk(problem, tile, each, resident)
    return Serial((attention.ends(problem, tile), began, walked))


def _is_other(problem: AttentionProblem, limits: Limits) -> Any:
    """Whether heads are of a size for which warps have no kernel in fp8."""
    low, high = OTHERS
    few = limits.shared_per_block_bytes < WARPGROUP_BYTES
    return few & ((problem.head_dim <= low) | (problem.head_dim >= high))


def flash2(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """FlashAttention-2's launch for prompts."""
    return _held(_flash2_keys(tile, problem), problem, limits)


def flash2_decode(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """Its launch for few queries: keys split where a group's heads become rows."""
    sees_all = problem.window is None
    swapped = (problem.queries <= 1) & (problem.group > 1) & sees_all
    found = replace(_flash2_keys(tile, problem), packed=where(swapped, 2, 0))
    _, blocks, columns = row_blocks(problem, found)
    steps = ceil_div(problem.keys, found.block_k)
    split = splits(columns * blocks, steps, MOST_RESIDENT * limits.processors)
    return _held(replace(found, split=where(swapped, split, 1)), problem, limits)


def swapping(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """FlashAttention-2 in decode, with the copies that make heads of a group rows."""
    apart = (problem.kv_heads > 1) & (problem.batch > 1)
    copies = Work(slots={"reduction": where((tile.packed > 0) & apart, 1.0, 0.0)})
    return Serial((attention.activity(problem, tile, limits), copies))


def narrow(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """A launch for prompts on tiles of one size, as many on a processor as its memory holds."""
    return _held(tile, problem, limits)


def gen(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """TRT-LLM-gen's launch for prompts, one block on a processor.

    Tensor memory holds the scores and outputs of two tiles of 128 rows, and of one of wide heads.
    """
    lone = problem.head_dim > TILE
    rows, warps = where(lone, TILE, tile.block_q), where(lone, 4, tile.warps)
    return replace(tile, block_q=rows + 0 * tile.split, warps=warps)


def trtllm(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """TensorRT-LLM's launch for prompts: a warpgroup's tiles where a block has room for them.

    Of short prompts a block has the rows and keys of whole matrix instructions (so published rows
    of up to 64 tokens are told to 10 % on an L40S, and to 18 with whole tiles).
    """
    wide = limits.shared_per_block_bytes >= WARPGROUP_BYTES
    found = whole_tiles(tile, problem, limits)
    keys = least((found.block_k, ceil_div(problem.keys, WARP_ROWS) * WARP_ROWS))
    found = replace(found, block_k=keys, fitting=where(wide, WARPGROUP_ROWS, WARP_ROWS))
    held = _held(_windowed(found, problem, wide & (limits.pair == 1)), problem, limits)
    return replace(held, resident=where(wide, 1, held.resident))


def trtllm_rtx(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The same on workstations' Blackwell: wide heads have whole tiles, however short a prompt is.

    One token takes 128 sequences of 64 heads of 256 five times as long there as on an L40S.
    """
    found, wide = trtllm(tile, problem, limits), problem.head_dim >= TILE
    return replace(
        found,
        block_q=where(wide, SPLIT_ROWS, found.block_q),
        block_k=where(wide, TILE, found.block_k),
        fitting=where(wide, 0, found.fitting),
        resident=where(wide, 1, found.resident),
    )


def _windowed(tile: AttentionTile, problem: AttentionProblem, by_hopper: Any) -> AttentionTile:
    """The same of TensorRT-LLM's prompts."""
    narrow = by_hopper & (bytes_of(problem.kv_dtype) < GIVEN_BYTES)
    return _masked(tile, problem, where(narrow, MASKING_WINDOW_FP8, MASKING_WINDOW))


def _masked(tile: AttentionTile, problem: AttentionProblem, masking: Amount) -> AttentionTile:
    """The tile with what masks cost where a window hides keys."""
    if problem.window is None:
        return tile
    return replace(tile, masking=where(problem.keys > problem.window, masking, tile.masking))


def gen_masked(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """TRT-LLM-gen's launch as TensorRT-LLM calls it."""
    return _windowed(gen(tile, problem, limits), problem, False)


def e4m3(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The same in fp8; in whole tiles where heads are of a size without a kernel in fp8.

    Heads are padded to a power of two.
    """
    found, other = trtllm(tile, problem, limits), whole_tiles(tile, problem, limits)
    whole = _is_other(problem, limits)
    power = np.exp2(np.ceil(np.log2(problem.head_dim)))
    warpgroups = (limits.shared_per_block_bytes >= WARPGROUP_BYTES) & (limits.pair == 1)
    long = warpgroups & (problem.head_dim < OTHERS[1])
    keys = where(long, 2 * TILE, where(whole, other.block_k, found.block_k))
    return replace(
        found,
        block_k=keys,
        stages=where(whole, 1, found.stages),
        resident=where(whole, _resident(other, problem, limits, MOST_OTHERS), found.resident),
        fitting=where(whole, 0, found.fitting),
        pad=where(limits.shared_per_block_bytes < WARPGROUP_BYTES, power, found.pad),
    )


def whole_tiles(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The same in whole tiles, as where prompts attend to latents (which the rows show)."""
    wide = limits.shared_per_block_bytes >= WARPGROUP_BYTES
    side = where(wide, TILE, SPLIT_ROWS)
    found = replace(tile, block_q=side, block_k=side)
    found = replace(found, warps=where(wide, 8, 4), team=where(wide, 4, 1))
    held = _held(found, problem, limits)
    return replace(held, resident=where(wide, 1, held.resident))


def filled(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """A launch for few queries whose parts of the keys fill the processors, at most once."""
    _, blocks, columns = row_blocks(problem, tile)
    seen = problem.keys if problem.window is None else least((problem.keys, problem.window))
    steps = ceil_div(seen, tile.block_k)
    parts = floor_div(limits.processors * tile.resident, columns * blocks)
    split = most((1, least((parts, MOST_PARTS))))
    return replace(tile, split=ceil_div(steps, ceil_div(steps, split)))


def flash3_decode(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """FlashAttention-3's launch for few queries, whose masks cost where a window hides keys."""
    return _masked(filled(tile, problem, limits), problem, MASKING_FLASH3)


def xqa(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """TensorRT-LLM's launch for few queries: XQA for groups, one head after another else."""
    grouped = (problem.group > 1) & (problem.group <= XQA_GROUP)
    rows, together = where(grouped, XQA_ROWS, 1), where(grouped, 2, 0)
    return filled(replace(tile, block_q=rows, packed=together), problem, limits)


def latent(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """TensorRT-LLM's launch for latents that all heads share: keys split where it has XQA for them.

    Before Hopper one block walks all keys of a sequence's heads, which the rows show. Pairs of
    processors have blocks of 16 rows for less than 64 heads, of 64, or of 128 for a pair's: so 128
    heads read their keys once, as 64 do, and 32 of them twice.
    """
    heads = problem.group
    paired = where(
        heads >= PAIR_ROWS, PAIR_ROWS, where(heads >= DECODE_ROWS, DECODE_ROWS, XQA_ROWS)
    )
    rows = where(limits.pair > 1, paired, tile.block_q)
    found = filled(replace(tile, block_q=rows), problem, limits)
    wide = limits.shared_per_block_bytes >= WARPGROUP_BYTES
    return replace(found, split=where(wide, found.split, 1))


def _flash2_keys(tile: AttentionTile, problem: AttentionProblem) -> AttentionTile:
    """Keys of a step: 16 Ki elements of K."""
    dim = problem.head_dim
    return replace(tile, block_k=where(dim <= 64, 256, where(dim <= 128, 128, 64)))


def _held(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """How many blocks a processor's shared memory holds: Q, and a step of K and of V in 16 bits."""
    return replace(tile, resident=_resident(tile, problem, limits, MOST_RESIDENT))


def _resident(
    tile: AttentionTile, problem: AttentionProblem, limits: Limits, most_of_them: int
) -> Amount:
    wanted: Amount = 2 * problem.head_dim * (tile.block_q + 2 * tile.block_k)
    room = limits.shared_per_block_bytes + RESERVED_BYTES
    held = floor_div(room, wanted + RESERVED_BYTES)
    return most((1, least((most_of_them, held))))
