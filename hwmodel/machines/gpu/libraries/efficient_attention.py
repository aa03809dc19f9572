"""Attention in fp32 as torch runs it: the memory-efficient kernel, a prior.

FlashAttention has no fp32 kernels; `scaled_dot_product_attention` takes its CUTLASS one then
(pytorch, aten/native/transformers/cuda/mem_eff_attention: blocks of 64 query rows and 64 keys, or
32 and 128 for wide heads), whose products are fp32 on the vector units or of three tf32 ones.
Nobody measured it here.
"""

from dataclasses import replace

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.libraries.library import WORDS, Launch, Library, Support, priors
from hwmodel.machines.gpu.schedules import attention
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile

ROWS, KEYS = 64, 64
MENU = (AttentionTile(ROWS, KEYS, stages=1, warps=4, resident=1),)


def resolved(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The tile, whose keys are never split between blocks."""
    del problem, limits
    return replace(tile, split=1)


PRIOR = priors(
    """
    matrix = 0.5 in 0.1 .. 1: share of the datasheet's rate of the format, padded rows counted
    exp = 0.4 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions in
        series
    dram = 0.85 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.42 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 3 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 0.5 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 2.2 in 0 .. 8: the launch that combines split keys, in graph launches
    step = 0.2 in 0 .. 5: wait for the keys of a step, in DRAM latencies
    split = 0.35 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
LAUNCH = Launch(attention.activity, MENU, resolved)
LIBRARY = Library(
    name="efficient-attention",
    title="torch's memory-efficient attention, fp32",
    launches={"prefill": LAUNCH, "decode": LAUNCH},
    support=(
        Support(
            ("prefill", "decode"),
            {"fp32": WORDS["fp32"]},
            "pytorch, mem_eff_attention/kernel_forward.h: fp32 beside the halves",
        ),
    ),
    priors={"prefill": PRIOR, "decode": PRIOR},
)
