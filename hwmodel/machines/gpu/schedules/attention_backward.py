"""Attention's backward pass as a fused kernel runs it: blocks of keys, each walking over queries.

A block keeps `block_q` rows of K and V, as the forward pass keeps rows of Q, and visits the queries
that see them `block_k` at a time (the launch record has the forward's names: rows kept, and rows a
step). Per step (FlashAttention-2, arXiv 2307.08691, algorithm 2), bq = block_q, bk = block_k:

    matrix FLOP      2 bq bk (3 d_qk + 2 d_v)     scores, dP, dV, dQ, dK, head dimensions padded
    exp              bq bk
    vector FLOP      11 bq bk, and 2 bk d_qk for the sums of dQ
    from the L2      bk (d_qk + d_v) of Q and dO, in 16 bits
    with the L2      bk d_qk of dQ, in fp32, added up there by all blocks: read and written
    through shared   probabilities and their gradients, written and read as operands

Before it a kernel makes the sums of each row's O times dO (and clears dQ's sums), after it another
converts dQ; where heads share keys, the gradients of K and V are made for each query head and a
kernel adds those of a group. All of these stream.
"""

from dataclasses import replace

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import attention
from hwmodel.machines.gpu.schedules.attention import (
    LANE_FLOP,
    MATRIX_INSTRUCTION,
    AttentionProblem,
    AttentionTile,
    Steps,
)
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Serial, Work

SUM_BYTES = 4
VECTOR_PER_SCORE = 5.5
"""Vector instructions per score beyond its exp: scale, subtract, subtract, multiply, and three
conversions of two each."""

FLASH = (AttentionTile(128, 64, stages=1, warps=8, resident=1, packed=0, pad=32, team=1),)
"""FlashAttention-2 on sm_80 and later with 160 KiB of shared memory: 128 keys; 128 queries a step
where heads are 64 wide, 64 at 128 (csrc/flash_attn/src/flash_bwd_launch_template.h, recalled; the
fit decides how fast)."""
CUDNN = (AttentionTile(128, 64, stages=2, warps=8, resident=1, packed=0, pad=16, team=4),)
"""cuDNN on Hopper: products by warpgroups. Assumed: the same tiles."""


def resolved(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """Queries of a step by the width of a head."""
    return replace(tile, block_k=where(problem.head_dim <= 64, 128, 64) + 0 * tile.split)


def activity(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The gradients of one attention call: sums of rows, the blocks, the conversion of dQ."""
    item, out = bytes_of(problem.dtype), bytes_of(problem.dtype_out)
    rows = problem.batch * problem.heads * problem.queries
    sums = rows * problem.head_dim * SUM_BYTES
    before = Work(
        read={"dram": 2 * rows * problem.value_dim * item},
        written={"dram": sums + rows * SUM_BYTES},
        slots={"launch": 1},
    )
    after = Work(
        read={"dram": sums}, written={"dram": rows * problem.head_dim * out}, slots={"launch": 1}
    )
    # As the forward pass over keys' blocks: what a block keeps and what it walks over change sides.
    swapped = replace(problem, queries=problem.keys, keys=problem.queries, kv_heads=problem.heads)
    main = attention.activity(swapped, tile, limits, _block)
    grouped = where(problem.group > 1, 1.0, 0.0)
    keys = problem.batch * problem.keys * (problem.head_dim + problem.value_dim) * out
    added = Work(
        read={"dram": grouped * problem.heads * keys},
        written={"dram": grouped * problem.kv_heads * keys},
        slots={"launch": grouped},
    )
    return Serial((before, main, after, added))


def _block(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    """One block of keys among `resident` on its processor."""
    wide, value_wide = attention.widths(problem, tile)
    item = bytes_of(problem.dtype)
    score = tile.block_q * tile.block_k
    depth = 3 * wide + 2 * value_wide
    per_warp, along, deep = MATRIX_INSTRUCTION
    chain = most((1, tile.block_q / tile.warps / per_warp)) * (tile.block_k / along) * depth / deep
    unit, kind = product_unit(problem.dtype, problem.dtype)
    lanes = LANE_FLOP * (VECTOR_PER_SCORE * score + tile.block_k * wide)
    operations: dict[Operation, Amount] = {
        (unit, "flop", kind): 2 * score * depth * each.mean,
        ("exp", "exp", "fp32"): score * each.mean,
    }
    vector = ("vector", "flop", "fp32")
    operations[vector] = operations.get(vector, 0) + lanes * each.mean
    loaded = tile.block_k * (wide + value_wide) * item
    added = tile.block_k * wide * SUM_BYTES
    operands = 2 * score * item
    walk = Work(
        operations=operations,
        read={
            "l2": (loaded + added) * each.mean,
            "shared": (loaded + operands) * tile.warps / tile.team * each.mean,
            "pipeline": chain * each.mean / resident,
        },
        written={"l2": added * each.mean, "shared": (loaded + operands) * each.mean},
        live={"processors": 1 / resident},
        slots={"fill": 1, "step": each.mean},
    )
    masks = Work(operations={vector: LANE_FLOP * tile.masking * score * each.masked})
    return Serial((attention.ends(problem, tile), walk, masks))
