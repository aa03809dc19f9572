"""FlashAttention-2's forward kernels: which tile, and how often the keys are split.

Two kernels (Dao-AILab/flash-attention, csrc/flash_attn/src, 2.7, as torch's SDPA builds it; on
Hopper too it uses the warp-level matrix instruction of sm_80):

    standard     one block for 128 (64 when d > 128) query rows of a head; causal blocks in order
    split keys   blocks of 64 rows and 16 Ki elements of K; a second kernel combines the parts

The keys are split when blocks of 64 rows would fill less than 80 % of two for each processor. Then
the fewest splits are taken whose last wave is at least 85 % as full as that of the best; splits
that change no block's count of steps are skipped. With one query, the heads of a group become rows
of one head, however many (`seqlenq_ngroups_swapped`).

Tiles and the rule were recalled from those sources, and the measured times of an H200 agree: the
standard kernel streams keys at 2.8 TB/s, split ones at 4.5. Registers: where the two accumulators
take 192 of them in each thread, the causal kernel for sizes that do not fill its tiles spills in
its masked steps (inferred from times, which the 128 x 64 tile with d = 96 does not show, and from
counters: such a call with 1500 queries wrote 1.6 times its output to the DRAM).
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, row_blocks
from hwmodel.quantity.arithmetic import ceil_div, where
from hwmodel.quantity.units import Amount

SPLIT_ROWS = 64
MOST_SPLITS = 128
FULL_SHARE, GOOD_SHARE = 0.8, 0.85
BLOCKS_PER_PROCESSOR = 2
"""By registers: 128 threads with the full 255 each."""

SPILL_ACCUMULATORS = 192
MASKING, SPILLING = 11, 4
"""Vector instructions of a masked step per score, and per spilled accumulator (fitted, H200)."""
THREADS = 128

MENU = (
    AttentionTile(
        128,
        64,
        stages=1,
        warps=4,
        resident=BLOCKS_PER_PROCESSOR,
        pad=32,
        team=1,
        in_order=1,
        masking=MASKING,
    ),
)
"""One record: `resolved` fills in what the sizes decide."""


def resolved(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch that FlashAttention-2 makes for these sizes."""
    narrow, wide = problem.head_dim <= 64, problem.head_dim > 128
    packed = where(problem.queries <= 1, 2, 0)
    keys_a_step = where(narrow, 256, where(wide, 64, 128))
    split_tile = replace(tile, block_q=SPLIT_ROWS, block_k=keys_a_step, packed=packed)
    _, blocks, columns = row_blocks(problem, split_tile)
    split = splits(columns * blocks, ceil_div(problem.keys, keys_a_step), 2 * limits.processors)
    parts = split > 1
    block_q = where(parts | wide, 64, 128)
    block_k = where(parts, keys_a_step, where(narrow, 128, 64))
    accumulators = block_q * (block_k + problem.head_dim) / THREADS
    uneven = (ceil_div(problem.queries, block_q) * block_q > problem.queries) | (
        ceil_div(problem.keys, block_k) * block_k > problem.keys
    )
    spills = (accumulators >= SPILL_ACCUMULATORS) & uneven & (split <= 1) & problem.causal
    found = {"block_q": block_q, "block_k": block_k, "split": split, "packed": packed}
    found["spilling"] = where(spills, SPILLING, 0)
    column = 0 * tile.split
    return replace(tile, **{name: value + column for name, value in found.items()})


def splits(blocks: Amount, steps: Amount, slots: Amount) -> Amount:
    """How often the keys are split: `blocks` of rows, `steps` each, on `slots`.

    Shares are rounded to single precision, as the library does: some of them tie.

    >>> int(splits(8, 512, 264))
    29
    """
    shape = np.broadcast_shapes(np.shape(blocks), np.shape(steps), np.shape(slots))
    b, n, s = (np.broadcast_to(np.asarray(v, np.float64), shape) for v in (blocks, steps, slots))
    chosen = np.ones(shape)
    few = (b < FULL_SHARE * s) & (n > 1)
    if not few.any():
        return chosen if shape else 1
    each_b, each_n, each_s = b[few], n[few], s[few]
    most_splits = int(min(MOST_SPLITS, each_n.max(), each_s.max()))
    count = np.arange(1, most_splits + 1, dtype=np.float32)
    pairs, of_pair = np.unique(each_s * 2.0**32 + each_b, return_inverse=True)
    tiles = np.outer(pairs % 2.0**32, count).astype(np.float32)
    waves = tiles / (pairs // 2.0**32).astype(np.float32)[:, None]
    full = (waves / np.ceil(waves))[of_pair]
    steps_of = np.ceil(each_n.astype(np.float32)[:, None] / count)
    full[:, 1:] *= steps_of[:, 1:] != steps_of[:, :-1]
    full *= count <= np.minimum(each_n, each_s)[:, None]
    good = full >= GOOD_SHARE * full.max(axis=1, keepdims=True).astype(np.float64)
    chosen[few] = good.argmax(axis=1) + 1
    return chosen if shape else int(chosen)
