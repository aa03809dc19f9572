"""Attention of serving engines, a library for each engine's kernels (`schedules.paged`).

What runs where, as the rows name it that the calibrations are fitted to (aiconfigurator-core
0.12.0, Apache-2.0; vLLM 0.14 and 0.24, TensorRT-LLM 1.0 and 1.3):

    vLLM          Ampere, Ada, Blackwell RTX   FlashAttention-2; FlashInfer where the cache is fp8
                  Hopper                       FlashAttention-3
                  Blackwell                    TRT-LLM-gen's kernels by FlashInfer
                  Ada, Blackwell               Triton's (`schedules.unified`), of caches in fp8 in
                                               heads that FlashInfer has no kernel for
    TensorRT-LLM  Blackwell                    its own, prompts by FMHA and decode by TRT-LLM-gen
                  all others                   decode by XQA or MMHA (`schedules.xqa`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hwmodel.machines.gpu.libraries.library import (
    GENERATIONS,
    NVIDIA,
    SINCE_ADA,
    Launch,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import attention, flash3, paged, unified, xqa

LEFT_OUT = (0.7, 1.4)
"""What holds the times of generations that a fit of several left out, in multiples."""

PREFILL = priors(
    """
    matrix = 0.6 in 0.05 .. 1: share of the datasheet's matrix rate, inside fused attention
    exp = 0.5 in 0.05 .. 1: share of the exponential unit's rate, the softmax's other instructions
        in series
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth: seldom binds
    l2 = 1 in 0.2 .. 2: share of the catalogue's L2 bandwidth
    port = 0.3 in 0.03 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    copy = 0.05 in 0.002 .. 1: share of 32 copy instructions a clock and processor, an element each,
        at which keys and values are written into their pages
    launch = 9 in 0.3 .. 20: kernel to kernel, the one that writes keys into their pages included,
        in graph launches of the device
    fill = 3 in 0 .. 12: first loads and last stores of a block, pages looked up, in DRAM latencies
    step = 0.3 in 0 .. 5: wait for the keys of a step, in DRAM latencies
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
BESIDES = priors(
    """
    matrix_bf16 = 0.4 in 0.05 .. 1: share of the matrix rate in 16 bits, of heads whose sizes have
        no kernel in fp8
    begin = 10000 in 0 .. 60000: beginning and end of a block of those, in clocks
    step = 3 in 0 .. 16: wait of those for the keys of a step, in DRAM latencies
    """
)
PREFILL_FP8 = PREFILL.model_copy(update={"parameters": PREFILL.parameters | BESIDES.parameters})
DECODE = priors(
    """
    matrix = 0.3 in 0.01 .. 1: share of the datasheet's matrix rate, padded rows counted
    exp = 0.4 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions in
        series
    dram = 0.9 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 0.2 .. 2: share of the catalogue's L2 bandwidth
    port = 0.42 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 10 in 0.3 .. 20: kernel to kernel, in graph launches of the device
    fill = 2 in 0 .. 12: first loads and last stores of a block, pages looked up, in DRAM latencies
    reduction = 3 in 0 .. 12: the launch that combines split keys, or copies, in graph launches
    step = 0.8 in 0 .. 12: wait for the keys of a step, in DRAM latencies
    split = 0.05 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 3 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
FEW_OF_TRTLLM = priors(
    """
    matrix = 0.3 in 0.01 .. 1: share of the datasheet's matrix rate, padded rows counted, in XQA
    vector = 0.5 in 0.05 .. 1: share of the vector lanes' rate, in MMHA and in XQA's softmax
    exp = 0.4 in 0.1 .. 1: share of the exponential unit's rate
    dram = 0.9 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 0.2 .. 2: share of the catalogue's L2 bandwidth
    port = 0.1 in 0.005 .. 1: share of a processor's port at which a block moves Q and O, rotated
    copy = 0.2 in 0.02 .. 1: share of 32 elements a clock and processor that XQA widens from fp8
    narrow = 0.1 in 0.02 .. 1: the same of MMHA
    launch = 3 in 0.3 .. 20: kernel to kernel, in graph launches of the device
    reduction = 2 in 0 .. 12: the kernel that writes keys before XQA's, in graph launches
    cycle = 4000 in 0 .. 20000: beginning and end of a block of XQA's, in clocks
    step = 0.8 in 0 .. 12: wait for the keys of a step of XQA's, in DRAM latencies
    begin = 4000 in 0 .. 40000: beginning and end of a block of MMHA's, in clocks
    fill = 2 in 0 .. 12: first loads and last stores of a block of TRT-LLM-gen's, in DRAM latencies
    turn = 2 in 0 .. 12: wait for the keys of a turn of MMHA's, in DRAM latencies
    scan = 2 in 0 .. 16: the last part of a sequence finds that it is, in DRAM latencies
    split = 0.05 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 3 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
UNIFIED_PREFILL = priors(
    """
    matrix = 0.36 in 0.02 .. 1: share of the datasheet's matrix rate, inside fused attention
    exp = 0.5 in 0.05 .. 1: share of the exponential unit's rate, the softmax's other instructions
        in series
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth: seldom binds
    l2 = 1 in 0.2 .. 2: share of the catalogue's L2 bandwidth
    port = 0.28 in 0.03 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    copy = 0.016 in 0.002 .. 1: share of 32 copy instructions a clock and processor, an element
        each, at which keys and values are written into their pages
    narrow = 0.31 in 0.02 .. 2: share of 32 elements a clock and processor that are widened
    launch = 7.4 in 0.3 .. 20: kernel to kernel, the one that writes keys into their pages included,
        in graph launches of the device
    fill = 1.8 in 0 .. 12: first loads and last stores of a block, pages looked up, in DRAM
        latencies
    step = 0.3 in 0 .. 5: wait for the keys of a step, in DRAM latencies
    sharpness = 5.5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """,
    LEFT_OUT,
)
UNIFIED_DECODE = priors(
    """
    matrix = 0.99 in 0.01 .. 1: share of the datasheet's matrix rate, padded rows counted
    exp = 0.4 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions in
        series
    dram = 0.8 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1.57 in 0.2 .. 2: share of the catalogue's L2 bandwidth
    port = 0.18 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    narrow = 0.26 in 0.02 .. 2: share of 32 elements a clock and processor that are widened
    launch = 9.6 in 0.3 .. 20: kernel to kernel, in graph launches of the device
    fill = 2.3 in 0 .. 12: first loads and last stores of a block, pages looked up, in DRAM
        latencies
    reduction = 1 in 0 .. 12: the launch that combines split keys, in graph launches
    step = 1.3 in 0 .. 12: wait for the keys of a step, in DRAM latencies
    split = 0.06 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 4 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """,
    LEFT_OUT,
)
"""Of vLLM's Triton attention, fitted to 85 rows of five GPUs together, too few of one: GPUs left
out are 4 to 12 % off in prompts, 18 to 25 in decode."""
LATENTS: dict[str, int] = dict.fromkeys(GENERATIONS, 576)
WIDEST: dict[str, int] = dict.fromkeys(GENERATIONS, 512)


WITHOUT_TENSOR_MEMORY = ("ampere", "ada", "blackwell-rtx")
"""Generations whose matrix instructions are a warp's."""

SOURCE = "as the rows of aiconfigurator-core 0.12.0 name them; head dimensions up to 512"


def _library(
    name: str,
    title: str,
    places: tuple[str, ...],
    prefill: Launch,
    decode: Launch,
    narrow: bool = False,
    sizes: tuple[int, ...] = (),
) -> Library:
    """One engine's attention on some generations of GPUs; of a cache in fp8 where `narrow`."""
    formats = {"bf16": places, "fp16": places}
    line = Support(("prefill", "decode"), formats, SOURCE, head_dim=WIDEST, head_dims=sizes)
    if narrow:
        line = replace(line, narrow=("fp8",), alike=())
    launches, given = {"prefill": prefill, "decode": decode}, {"prefill": PREFILL, "decode": DECODE}
    return Library(name=name, title=title, launches=launches, support=(line,), priors=given)


def _both(
    name: str,
    title: str,
    places: tuple[str, ...],
    prefill: Launch,
    decode: Launch,
    sizes: tuple[int, ...] = (),
) -> tuple[Library, Library]:
    """The library, and that of its kernels for caches in fp8, of heads of some sizes."""
    how, told = (places, prefill, decode), f"{title}, fp8 cache"
    return (
        _library(name, title, *how),
        _library(f"{name}-fp8", told, *how, narrow=True, sizes=sizes),
    )


def _prompts(menu: Sequence[Any], resolve: Any) -> Launch:
    return Launch(paged.prefill, menu, resolve)


FILLED = Launch(attention.activity, paged.GEN_DECODE, paged.filled)
GEN_XQA = Launch(attention.activity, paged.TRTLLM_DECODE, paged.xqa)
XQA = Launch(xqa.activity, xqa.DECODE, xqa.checked)
UNCUT = Launch(xqa.activity, xqa.DECODE, xqa.uncut)
FUSED = Launch(xqa.fused, xqa.NARROW, xqa.narrow)

BY_FLASHINFER = (64, 128, 256, 512)
"""Head dimensions of its kernels, the last on data centres' Blackwell alone: the rows of other
sizes name Triton's."""

FLASH2 = _library(
    "vllm:flash-attention-2",
    "vLLM's FlashAttention-2 over pages",
    WITHOUT_TENSOR_MEMORY,
    _prompts(paged.FLASH2, paged.flash2),
    Launch(paged.swapping, paged.FLASH2_DECODE, paged.flash2_decode),
)
FLASHINFER = _library(
    "vllm:flashinfer-fp8",
    "vLLM's FlashInfer over pages, fp8 cache",
    WITHOUT_TENSOR_MEMORY,
    _prompts(paged.PACKED, paged.narrow),
    Launch(attention.activity, paged.PACKED_DECODE, paged.filled),
    narrow=True,
    sizes=BY_FLASHINFER[:-1],
)
FLASH3 = _both(
    "vllm:flash-attention-3",
    "vLLM's FlashAttention-3 over pages, keys written",
    ("hopper",),
    _prompts(paged.FLASH3, flash3.prefill),
    Launch(attention.activity, paged.GEN_DECODE, paged.flash3_decode),
)
TRTLLM_GEN = _both(
    "vllm:trtllm-gen",
    "vLLM's TRT-LLM-gen attention over pages",
    ("blackwell",),
    _prompts(paged.GEN, paged.gen),
    FILLED,
    BY_FLASHINFER,
)
UNIFIED = replace(
    _library(
        "vllm:triton-attention-fp8",
        "vLLM's Triton attention over pages, fp8 cache",
        (*WITHOUT_TENSOR_MEMORY[1:], "blackwell"),
        Launch(unified.prefill, unified.PREFILL, unified.prompts),
        Launch(unified.decode, unified.DECODE, unified.few),
        narrow=True,
    ),
    priors={"prefill": UNIFIED_PREFILL, "decode": UNIFIED_DECODE},
)
ON_GEN, NARROW_ON_GEN, E4M3_ON_GEN = (
    {"prefill": Launch(made, paged.GEN, paged.gen_masked), "decode": GEN_XQA}
    for made in (paged.rotating, paged.rotating_in_fp8, paged.narrowed)
)
ROTATING = Launch(paged.rotating, paged.TRTLLM, paged.trtllm)
ON_RTX = {"prefill": replace(ROTATING, resolve=paged.trtllm_rtx)}
NARROW_ON_HOPPER = {
    "prefill": Launch(paged.rotating_in_fp8, paged.TRTLLM_FP8, paged.e4m3),
    "decode": FUSED,
}
TRTLLM = tuple(
    replace(
        each,
        launches={**each.launches, "decode": few},
        apart=apart,
        priors={**each.priors, "decode": FEW_OF_TRTLLM},
        by_phase=True,
    )
    for each, few, apart in zip(
        _both(
            "trtllm:attention",
            "TensorRT-LLM's attention over pages",
            NVIDIA,
            ROTATING,
            XQA,
        ),
        (XQA, UNCUT),
        (
            {"blackwell": ON_GEN, "blackwell-rtx": ON_RTX},
            {"blackwell": NARROW_ON_GEN, "blackwell-rtx": ON_RTX, "hopper": NARROW_ON_HOPPER},
        ),
        strict=True,
    )
)
TRTLLM_E4M3 = Library(
    name="trtllm:attention-e4m3",
    title="TensorRT-LLM's attention that multiplies in fp8",
    launches={"prefill": Launch(paged.narrowed, paged.TRTLLM_FP8, paged.e4m3), "decode": UNCUT},
    apart={"blackwell": E4M3_ON_GEN, "hopper": {"decode": FUSED}},
    support=(
        Support(
            ("prefill", "decode"),
            {"fp8": tuple(each for each in NVIDIA if each in SINCE_ADA)},
            SOURCE,
            head_dim=WIDEST,
        ),
    ),
    priors={"prefill": PREFILL_FP8},
    borrows={"decode": "decode:trtllm:attention-fp8"},
    by_phase=True,
)
NARROW_LATENTS = {
    "blackwell": {"decode": Launch(paged.in_fp8, paged.LATENT, paged.latent)},
    "blackwell-rtx": {"decode": Launch(paged.all_heads, paged.LATENT, paged.latent_by_four)},
}
"""Of caches in fp8: Blackwell multiplies in fp8, too; that of workstations for 128 heads."""

LATENT = tuple(
    replace(
        each,
        support=tuple(replace(line, head_dim=LATENTS) for line in each.support),
        apart=apart,
    )
    for each, apart in zip(
        _both(
            "trtllm:latent-attention",
            "TensorRT-LLM's attention to latents",
            NVIDIA,
            Launch(attention.activity, paged.TRTLLM, paged.whole_tiles),
            Launch(attention.activity, paged.LATENT, paged.latent),
        ),
        ({}, NARROW_LATENTS),
        strict=True,
    )
)
LIBRARIES = (FLASH2, FLASHINFER, UNIFIED, *FLASH3, *TRTLLM_GEN, *TRTLLM, TRTLLM_E4M3, *LATENT)

OF_VLLM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(WITHOUT_TENSOR_MEMORY, (FLASH2.name, FLASHINFER.name, UNIFIED.name)),
    "hopper": tuple(each.name for each in FLASH3),
    "blackwell": (*(each.name for each in TRTLLM_GEN), UNIFIED.name),
}
"""Generation -> what vLLM's attention is there, the first that takes the formats; else its own."""
