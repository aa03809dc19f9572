"""Attention of heads wider than FlashAttention takes, keys and values one latent: a prior.

Multi-head latent attention in its absorbed form (DeepSeek-V2, arXiv 2405.04434, section 2.1) is
attention of all query heads on one head of 576 elements, whose first 512 are the values too. Nobody
measured it here; FlashMLA's authors state 660 TFLOP/s of an H800's 989 where it computes, and 3
TB/s of 3.35 where it streams (deepseek-ai/FlashMLA, README, 2025): a block holds 64 query rows and
steps over 64 keys, one block a processor, and keys are split until all processors have one.
"""

from dataclasses import replace

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.libraries.library import (
    FP8,
    HALVES,
    STORED,
    Launch,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import attention, flash
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, row_blocks
from hwmodel.quantity.arithmetic import ceil_div

ROWS, KEYS = 64, 64
MENU = (AttentionTile(ROWS, KEYS, stages=2, warps=8, resident=1, packed=2),)


def resolved(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The tile with as many splits of the keys as fill the processors."""
    _, blocks, columns = row_blocks(problem, tile)
    split = flash.splits(columns * blocks, ceil_div(problem.keys, KEYS), limits.processors)
    return replace(tile, split=split + 0 * tile.split)


PRIOR = priors(
    """
    matrix = 0.6 in 0.2 .. 1: share of the datasheet's matrix rate, padded rows counted
    exp = 0.4 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions in
        series
    dram = 0.88 in 0.5 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.42 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 3 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 0.5 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 2.2 in 0 .. 8: the launch that combines split keys, in graph launches
    step = 0 in 0 .. 5: wait for the keys of a step, in DRAM latencies
    split = 0.35 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
LAUNCH = Launch(attention.activity, MENU, resolved)
LIBRARY = Library(
    name="latent-attention",
    title="attention of wide heads on a latent",
    launches={"prefill": LAUNCH, "decode": LAUNCH},
    support=(
        Support(
            ("prefill", "decode"),
            {**HALVES, **FP8},
            "deepseek-ai/FlashMLA, README: bf16, fp16 and fp8 caches, 64 or 128 query heads",
            narrow=STORED,
        ),
    ),
    priors={"prefill": PRIOR, "decode": PRIOR},
)
