"""vLLM's Triton attention over pages, which runs what no other of its kernels takes.

A block (vllm, v1/attention/ops/triton_unified_attention.py, recalled) has 16 rows of the heads that
share a KV head, or the next power of two of their number, and walks the keys by 32, or by 16 where
there is one query; heads are padded to a power of two, and keys in fp8 are widened in registers, so
many elements a clock and processor (`narrow`). One query of few sequences has its keys cut into 16
parts, which a further kernel adds; of many, one block walks all keys of a KV head.

Its instructions, not the matrix unit, take the time: a step of 32 keys in heads of 192 takes some
1,800 clocks on an L40S, an RTX PRO 6000 and a B200 alike.
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import attention, paged
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, Steps
from hwmodel.quantity.arithmetic import ceil_div, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

ROWS, PARTS, FEW_BLOCKS = 16, 16, 128
"""Rows of a block, parts of the keys, and KV heads of all sequences up to which there are parts."""

PREFILL = (AttentionTile(ROWS, 32, stages=1, warps=4, packed=2, team=1, in_order=1, resident=2),)
DECODE = (AttentionTile(ROWS, 16, stages=1, warps=4, packed=2, team=1, resident=2),)
LONGER = 32
"""Keys of a step where one block walks them all."""


def prefill(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """Prompts: new keys and values into their pages, then the kernel."""
    return Serial((paged.pages(problem), decode(problem, tile, limits)))


def decode(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """The kernel."""
    return attention.activity(problem, tile, limits, _block)


def _block(
    problem: AttentionProblem, tile: AttentionTile, each: Steps, resident: Amount
) -> Activity:
    began = Work(slots={"fill": 1})
    walked = attention.walk(problem, tile, each, resident)
    wide = sum(attention.widths(problem, tile))
    widened = Work(read={"narrow": tile.block_k * wide * each.mean})
    return Serial((attention.ends(problem, tile), began, Overlap((walked, widened))))


def prompts(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch for prompts."""
    rows = most((ROWS, _power(problem.group)))
    return replace(tile, block_q=rows + 0 * tile.split, pad=_power(problem.head_dim))


def few(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The launch for one query of a sequence."""
    found = prompts(tile, problem, limits)
    parted = problem.batch * problem.kv_heads <= FEW_BLOCKS
    keys = where(parted, tile.block_k, LONGER)
    steps = ceil_div(problem.keys, keys)
    split = where(parted, ceil_div(steps, ceil_div(steps, PARTS)), 1)
    return replace(found, block_k=keys, split=split)


def _power(size: Amount) -> Amount:
    """The power of two that holds a size."""
    return np.exp2(np.ceil(np.log2(size)))
