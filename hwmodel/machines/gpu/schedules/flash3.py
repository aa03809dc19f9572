"""FlashAttention-3's forward kernels as vLLM calls them: paged keys, groups packed into blocks.

Rows of all query heads of a KV head share blocks ("pack GQA", always with paged keys). Pages of 16
keys are no multiple of a block's keys, so that threads load them (no bulk copies), with the tiles
of that kind (Dao-AILab/flash-attention, hopper/tile_size.h, 16-bit operands, recalled):

    head_dim      <= 64       <= 96       <= 128      <= 192      <= 256     latents
    rows x keys   192 x 128   192 x 128   128 x 128   128 x 96    128 x 64   64 x 64

One warpgroup works on 64 rows where d = 128 and a sequence's packed rows are no more. Blocks are
persistent, one a processor, and take tiles as they become free. In decode the keys of a sequence
are split by a small kernel ahead of the step (prepare_varlen_num_blocks): with T tiles of keys in
all, a part has ceil(1.1 T / processors) of them, and a sequence at most 32 parts (vLLM's bound in
graphs); the combining kernel always runs.

Of a cache in fp8 the products are fp8 too, whose V must lie along the keys: the warps that load
turn each tile of V in shared memory, an element at a time by the pace of `copy`. Tiles there are of
160 keys where d <= 64 or d = 128.
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import attention
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, Steps
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

MOST_SPLITS = 32
SPREAD = 1.1
"""Tiles of keys of a part, over an even share of all."""

WIDEST = 256
"""Head dimension beyond which keys are latents, which all heads share."""

ONE_WARPGROUP_ROWS, ONE_WARPGROUP_DIM = 64, 128

DECODE = (AttentionTile(128, 128, stages=2, warps=8, packed=2, team=4, split=1, resident=1),)
PREFILL = (AttentionTile(128, 128, stages=2, warps=8, packed=2, team=4, resident=1, in_order=0),)


def _tiles(tile: AttentionTile, problem: AttentionProblem) -> AttentionTile:
    dim, rows = np.asarray(problem.head_dim), problem.queries * problem.group
    few = (rows <= ONE_WARPGROUP_ROWS) & (dim == ONE_WARPGROUP_DIM)
    block_q = where(dim <= 96, 192, where(few | (dim > WIDEST), 64, 128))
    block_k = where(dim <= 128, 128, where(dim <= 192, 96, 64))
    if _turns(problem):
        block_k = where((dim <= 64) | (dim == 128), 160, 128)
    column = 0 * tile.split
    return replace(tile, block_q=block_q + column, block_k=block_k + column)


def _turns(problem: AttentionProblem) -> bool:
    return bytes_of(problem.kv_dtype) < bytes_of(problem.dtype)


def prefill(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch for many queries."""
    return _tiles(tile, problem)


def decode(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch for few queries: the keys split over the processors."""
    found = _tiles(tile, problem)
    tiles = ceil_div(problem.keys, found.block_k)
    rows = ceil_div(problem.queries * problem.group, found.block_q)
    every = problem.batch * problem.kv_heads * rows * tiles
    part = most((1, ceil_div(SPREAD * every, limits.processors)))
    return replace(found, split=_splits(tiles, part))


def activity(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """One call of few queries: processors turn to the next tile together, and the DRAM waits."""
    _, blocks, columns = attention.row_blocks(problem, tile)
    turns = most((1.0, columns * blocks * tile.split / (limits.processors * tile.resident)))
    streamed = attention.activity(problem, tile, limits, _walk)
    return Serial((Work(slots={"fill": turns}), streamed))


def prompts(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """One call of many queries."""
    return attention.activity(problem, tile, limits, _block)


def _block(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    began = Work(slots={"fill": 1})
    walked = _walk(problem, tile, each, resident)
    return Serial((attention.ends(problem, tile), began, walked))


def _walk(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    """Steps over the keys; of a cache in fp8, V is turned on the way."""
    walked = attention.walk(problem, tile, each, resident)
    if not _turns(problem):
        return walked
    turned = tile.block_k * problem.value_dim * each.mean
    return Overlap((walked, Work(read={"copy": turned})))


def _splits(tiles: Amount, part: Amount) -> Amount:
    """Parts of a sequence's keys.

    >>> int(_splits(68, 5))
    14
    """
    return least((MOST_SPLITS, ceil_div(tiles, part)))
