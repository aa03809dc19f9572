"""Schedules of fused attention on a GPU: one pass over keys, for many queries or for one.

The cascade is the one-pass form (FlashAttention-2, arXiv 2307.08691; FuseMax's Cascade 5). A block
owns `block_q` query rows of one head and walks the keys in steps of `block_k`:

    matrix FLOP      2 block_q block_k (d_qk + d_v)            per step, head dimensions padded
    exp              block_q block_k + block_q                 (numerator, correction)
    vector FLOP      12 block_q block_k + 2 block_q d_v        (scale, subtract, max, sum, convert;
                                                                rescaling the output)
    from the L2      block_k (d_qk b_k + d_v b_v)
    pipeline         matrix instructions that a warp issues one after the other

A step that a mask crosses, or that ends beyond the keys, also compares positions. Before its steps
a block fetches its rows of Q and the keys of the first (its share of them, where other blocks read
the same through the L2), and after them it stores its rows of O; nothing of its own hides that.
Steps without a kept pair are skipped, so that blocks of a causal mask differ: the longest works
`spread` times the mean, and where they start in order rather than longest first, the processors end
raggedly.

Blocks beyond a whole wave have a processor with fewer neighbours, and run faster for it. With few
queries (decode) the rows of a KV head's group may share a block, and the keys are cut into `split`
parts that other blocks take; each part writes its fp32 partial output and its log-sum to the L2 and
a second kernel combines them, part after part (FlashDecoding, 2023).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Overlap, Serial, Waves, Work

PARTIAL_BYTES = 4
LANE_FLOP = 2
"""An instruction of the vector lanes takes the time of a multiply-add, two FLOP."""
VECTOR_PER_SCORE = 6
"""Vector instructions per score beyond its exp: scale, subtract, max, sum, two conversions."""
MASK_PER_SCORE = 3
"""Further ones in a masked step: position, comparison, selection."""

RAGGED = 0.64
"""Share of the longest block by which processors end apart when blocks of a causal mask start
shortest first, head by head (list scheduling of arithmetic series on 264 slots, simulated)."""

MATRIX_INSTRUCTION = (16, 8, 16)
"""Rows, keys and depth of the largest matrix instruction of one warp on 16-bit operands (PTX ISA,
mma.m16n8k16)."""


@dataclass(frozen=True)
class AttentionProblem:
    """Sizes of one attention call; `batch` counts sequences, `heads` query heads.

    `offset` is how many keys query 0 sees beyond itself under a causal mask (keys - queries), and
    `window` how many keys a query sees at most; None is no mask.
    """

    batch: Amount
    heads: Amount
    kv_heads: Amount
    queries: Amount
    keys: Amount
    head_dim: Amount
    value_dim: Amount
    causal: bool = False
    window: Amount | None = None
    density: Amount = 1.0
    dtype: str = "bf16"
    kv_dtype: str = "bf16"
    dtype_out: str = "bf16"
    latent: bool = False
    """Whether values are the first elements of each key, and stored once."""
    passes: int = 1
    """Passes over the keys that the cascade makes; a fused kernel makes one whatever it says."""

    @property
    def stored_dim(self) -> Amount:
        """Elements of a key and its value that are stored."""
        return self.head_dim + (0 if self.latent else self.value_dim)

    @property
    def group(self) -> Amount:
        """Query heads that share one KV head."""
        return self.heads / self.kv_heads


@dataclass(frozen=True)
class AttentionTile:
    """The launch record: query rows and keys per step, splits of the keys, blocks per processor.

    Attributes:
        packed: 1 where the rows of a KV head's group share a block if they fit, 2 where they share
            as many as they fill, else 0.
        pad: multiple to which the head dimension is padded.
        team: warps that fetch an operand from shared memory together: 4 where the matrix unit reads
            it itself (wgmma), 1 where each warp loads registers (mma).
        in_order: 1 where blocks start in order of their rows, 0 where the longest start first.
        whole: 1 where a block moves all its rows of Q and O, even those beyond the queries.
        masking: vector instructions per score of a masked step.
        spilling: of a masked step too, per accumulator (score or output) of the block.
        fitting: multiple to which a block of fewer rows is padded; 0 where it is always `block_q`.
        persistent: 1 where blocks take tile after tile, and one of their warps copies for others.
    """

    block_q: Amount
    block_k: Amount
    split: Amount = 1
    stages: Amount = 2
    warps: Amount = 8
    resident: Amount = 1
    packed: Amount = 1
    pad: Amount = 16
    team: Amount = 4
    in_order: Amount = 0
    whole: Amount = 0
    masking: Amount = MASK_PER_SCORE
    spilling: Amount = 0
    fitting: Amount = 0
    persistent: Amount = 0


@dataclass(frozen=True)
class Steps:
    """Steps of `block_k` keys that a block takes: the mean, the most, and how many are masked."""

    mean: Amount
    most: Amount
    masked: Amount


Block: TypeAlias = Callable[[AttentionProblem, AttentionTile, Steps, Amount], Activity]
"""What one block does, among so many on its processor."""


def row_blocks(problem: AttentionProblem, tile: AttentionTile) -> tuple[Amount, Amount, Amount]:
    """(rows, blocks of rows, columns): query rows of one column, a head or a KV head's group."""
    together = problem.queries * problem.group
    packed = (tile.packed > 1) | ((tile.packed > 0) & (together <= tile.block_q))
    rows = where(packed, together, problem.queries)
    columns = problem.batch * where(packed, problem.kv_heads, problem.heads)
    return rows, ceil_div(rows, tile.block_q), columns


def steps(problem: AttentionProblem, tile: AttentionTile) -> Steps:
    """Steps of a block of query rows, over all splits of the keys together.

    Under a causal mask, block i of n (rows i q .. (i+1) q - 1) visits the keys up to offset plus
    its last row: ceil(((i+1) q + offset) / k) steps, at most all. That is an arithmetic series when
    k divides q, and rounding adds half of what is missing when q divides k. A window cuts it off
    below. Masked are the steps that the diagonal crosses, and one more where rows or keys do not
    fill their blocks.
    """
    rows, blocks, _ = row_blocks(problem, tile)
    whole = ceil_div(problem.keys, tile.block_k)
    filled = ceil_div(rows, tile.block_q) * tile.block_q == rows
    uneven = where(filled & (whole * tile.block_k == problem.keys), 0, 1)
    if not problem.causal:
        return Steps(whole * problem.density, whole * problem.density, uneven)
    high = tile.block_q * (problem.queries / rows)  # queries that the rows of a block are of
    per_block = high / tile.block_k
    offset = (problem.keys - problem.queries) / tile.block_k
    before = where(per_block >= 1, ceil_div(offset, 1), offset + (1 - per_block) / 2)
    beyond = most((0, blocks * per_block + before - whole))
    mean = (blocks + 1) / 2 * per_block + before - beyond / blocks
    mean = where(blocks <= 1, whole, least((whole, most((1, mean)))))
    longest = whole
    if problem.window is not None:
        seen = ceil_div(problem.window + least((high, problem.queries)) - 1, tile.block_k)
        mean, longest = least((mean, seen)), least((longest, seen))
    masked = least((mean, ceil_div(per_block, 1) + uneven))
    return Steps(mean * problem.density, longest * problem.density, masked)


def activity(
    problem: AttentionProblem, tile: AttentionTile, limits: Limits, block: Block | None = None
) -> Activity:
    """One attention call: launch, waves of blocks over the DRAM stream, and the combination.

    `block` is what a block does, where it is not this module's.
    """
    _, blocks, columns = row_blocks(problem, tile)
    each = steps(problem, tile)
    part = _part(each, tile.split)
    tiles = columns * blocks * tile.split
    read, written = dram_bytes(problem, blocks, limits.processors * tile.resident, limits)
    body = Overlap(
        (
            _waves(problem, tile, part, tiles, limits.processors, block or _block),
            Work(read={"dram": read}, written={"dram": written}),
        )
    )
    split = where(tile.split > 1, 1.0, 0.0)
    outputs = problem.batch * problem.heads * problem.queries * (problem.value_dim + 1)
    partial = split * tile.split * outputs * PARTIAL_BYTES
    combine = Work(
        read={"l2": partial},
        written={"l2": partial},
        slots={"reduction": split, "split": split * tile.split},
    )
    return Serial((Work(slots={"launch": 1}), body, combine))


def _part(whole: Steps, split: Amount) -> Steps:
    """Steps of one part of the keys of `split`: the parts are whole steps, the last one shorter."""
    return replace(
        whole,
        mean=whole.mean / split,
        most=ceil_div(whole.most, split),
        masked=whole.masked / split,
    )


def _waves(
    problem: AttentionProblem,
    tile: AttentionTile,
    each: Steps,
    tiles: Amount,
    processors: Amount,
    block: Block,
) -> Activity:
    """Whole waves with every slot taken, then the blocks left over, with fewer to a processor.

    Blocks that differ are one list: its slots end together but for the longest block, or raggedly
    when blocks start in order.
    """
    slots = processors * tile.resident
    spread = each.most / each.mean
    differ = spread > 1 + 1e-9
    crowded = tiles > processors
    whole = where(differ, where(crowded, tiles, 0), floor_div(tiles, slots) * slots)
    left = tiles - whole
    share = least((tile.resident, most((1, ceil_div(left, processors)))))
    ragged = RAGGED * (1 + 1 / tile.resident) / 2 * tile.in_order
    listed = tiles / slots + ragged * spread
    even_parts = ceil_div(tiles, slots) * spread
    turns = where(tiles <= slots, spread, where(tile.split > 1, even_parts, listed))
    return Serial(
        (
            Waves(
                whole,
                slots,
                block(problem, tile, each, tile.resident),
                where(differ & (whole > 0), turns, 1),
            ),
            Waves(
                left,
                processors * share,
                block(problem, tile, each, share),
                where(differ & (left > 0), spread, 1),
            ),
        )
    )


def _block(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    """One block among `resident` on its processor: Q and O, the steps, and the masks."""
    began = Work(slots={"fill": 1})
    return Serial((ends(problem, tile), began, walk(problem, tile, each, resident)))


def walk(problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount) -> Activity:
    """A block's steps over the keys, and the masks."""
    wide, value_wide = widths(problem, tile)
    loaded = key_bytes(problem, tile)
    height = _height(problem, tile)
    score = height * tile.block_k
    per_warp, along_keys, along_depth = MATRIX_INSTRUCTION
    chain = (
        most((1, height / tile.warps / per_warp))
        * (tile.block_k / along_keys)
        * ((wide + value_wide) / along_depth)
    )
    vector = VECTOR_PER_SCORE * score + height * value_wide
    unit, kind = product_unit(problem.dtype, problem.dtype)
    operations: dict[Operation, Amount] = {
        (unit, "flop", kind): 2 * score * (wide + value_wide) * each.mean,
        ("exp", "exp", "fp32"): (score + height) * each.mean,
    }
    lanes = ("vector", "flop", "fp32")
    operations[lanes] = operations.get(lanes, 0) + LANE_FLOP * vector * each.mean
    stepping = Work(
        operations=operations,
        read={
            "l2": loaded * each.mean,
            "shared": loaded * tile.warps / tile.team * each.mean,
            "pipeline": chain * each.mean / resident,
        },
        written={"shared": loaded * each.mean},
        live={"processors": 1 / resident},
        slots={"step": where(tile.stages > 1, 0.0, 1.0) * each.mean},
    )
    masking = tile.masking * score + tile.spilling * (score + height * value_wide)
    masks = Work(operations={("vector", "flop", "fp32"): LANE_FLOP * masking * each.masked})
    return Serial((stepping, masks))


def _height(problem: AttentionProblem, tile: AttentionTile) -> Amount:
    """Rows that a block computes, the mean over blocks, padded."""
    rows, blocks, _ = row_blocks(problem, tile)
    padded = ceil_div(rows / blocks, most((1, tile.fitting))) * tile.fitting
    return where(tile.fitting > 0, least((tile.block_q, padded)), tile.block_q)


def ends(problem: AttentionProblem, tile: AttentionTile) -> Work:
    """What nothing of its own hides: a block's rows of Q and O, and its share of the first keys."""
    rows, blocks, columns = row_blocks(problem, tile)
    wide, value_wide = widths(problem, tile)
    mine = where(tile.whole > 0, tile.block_q, rows / blocks)
    first = least((1.0, problem.keys / tile.block_k)) * key_bytes(problem, tile)
    sharing = blocks * columns / (problem.batch * problem.kv_heads)
    return Work(
        read={"port": mine * wide * bytes_of(problem.dtype) + first / sharing},
        written={"port": mine * value_wide * bytes_of(problem.dtype_out)},
    )


def key_bytes(problem: AttentionProblem, tile: AttentionTile) -> Amount:
    """Bytes of K and V of one step."""
    return tile.block_k * problem.stored_dim * bytes_of(problem.kv_dtype)


def widths(problem: AttentionProblem, tile: AttentionTile) -> tuple[Amount, Amount]:
    """Head dimensions of Q K^T and of P V, padded."""
    return _padded(problem.head_dim, tile.pad), _padded(problem.value_dim, tile.pad)


def _padded(size: Amount, multiple: Amount) -> Amount:
    return ceil_div(size, multiple) * multiple


def dram_bytes(
    problem: AttentionProblem, row_blocks: Amount, slots: Amount, limits: Limits
) -> tuple[Amount, Amount]:
    """(read, written) at the DRAM: Q, K, V and O once, and K, V again for each wave that lost them.

    Blocks of one head run together and share its keys through the L2. Only when a head's K and V
    exceed the L2 does each further wave of its query blocks read them again. Of a density, queries
    are taken to choose independently of each other: keys that none chooses are never read.
    """
    q = problem.batch * problem.heads * problem.queries * problem.head_dim * bytes_of(problem.dtype)
    head = problem.keys * problem.stored_dim * bytes_of(problem.kv_dtype)
    kept = head if problem.window is None else head * least((1.0, _seen(problem) / problem.keys))
    out = problem.batch * problem.heads * problem.queries * problem.value_dim
    group_blocks = most((1, row_blocks * problem.group / slots))
    forgotten = 1 - least((1.0, limits.capacity_bytes["l2"] / head))
    half = 0.5 if problem.causal else 1.0
    again = 1 + most((group_blocks - 1, 0)) * forgotten * half
    if not (isinstance(problem.density, (int, float)) and problem.density == 1):
        read = 1 - np.power(1 - problem.density, problem.queries * problem.group)
        again = read + (again - 1) * problem.density
    return (
        q + problem.batch * problem.kv_heads * kept * again,
        out * bytes_of(problem.dtype_out),
    )


def _seen(problem: AttentionProblem) -> Amount:
    """Keys that any query sees under the window."""
    if problem.window is None:
        return problem.keys
    return least((problem.keys, problem.window + problem.queries - 1))
