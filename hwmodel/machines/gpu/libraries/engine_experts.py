"""Experts of serving engines, a library for each engine and format of the products.

What runs where, as the rows name it that the calibrations are fitted to (aiconfigurator-core
0.12.0, Apache-2.0; vLLM 0.24, TensorRT-LLM 1.3):

    activations, weights   vLLM
    bf16                   Triton's; FlashInfer's on Blackwell: TRT-LLM-gen, CUTLASS on workstations
    fp8                    Triton's on Ada, CUTLASS's on Hopper, FlashInfer's on Blackwell
    fp8, by block          Triton's on Ada, CUTLASS's and Triton's on Hopper, TRT-LLM-gen
    bf16, int4             Marlin (`schedules.marlin`)
    bf16, mxfp4            Triton's gathered products on Hopper (`matmul_ogs`), TRT-LLM-gen on data
                           centres' Blackwell, else Marlin
    fp8, mxfp4             TRT-LLM-gen on data centres' Blackwell
    nvfp4                  TRT-LLM-gen on data centres' Blackwell, CUTLASS on workstations

    TensorRT-LLM           CUTLASS's, TRT-LLM-gen's on data centres' Blackwell

Triton's gathered products stay a prior: of the rows that name them those of divided experts launch
other kernels, and the rest are too few.

All gather rows as they read them, pad each expert's to whole tiles, and stream the weights of the
experts that are touched: the schedule is that of Triton's (`schedules.fused_moe`), with rates of
each engine, format and GPU. What they do to every token, sort it, bring it to its experts and sum
what comes back, is done to those of other devices' experts as well (`schedules.engine_experts`).
CUTLASS's experts in fp8 have rates of their own: on Hopper they read weights at a fifth of the
DRAM's rate, for no cause that is known.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwmodel.hardware.calibration import Family
from hwmodel.machines.gpu.libraries import matmul_ogs
from hwmodel.machines.gpu.libraries.library import (
    BLACKWELL,
    FP8,
    GENERATIONS,
    HALVES,
    NVIDIA,
    SINCE_ADA,
    UNEVEN,
    Launch,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import fused_moe, marlin
from hwmodel.machines.gpu.schedules.engine_experts import Experts

GROUPED = priors(
    """
    matrix = 0.7 in 0.05 .. 1: share of the datasheet's matrix rate that a full tile reaches
    matrix_fp8 = 0.6 in 0.05 .. 1: the same for fp8
    matrix_nvfp4 = 0.5 in 0.05 .. 1: the same for nvfp4
    dram = 0.85 in 0.1 .. 1: share of the datasheet's DRAM bandwidth
    store = 0.5 in 0.05 .. 1: share of the port at which a block brings its sums into rows and
        writes them
    port = 0.8 in 0.8 .. 0.8: share of a processor's port to the L2
    l2 = 1.5 in 0.2 .. 4: share of the catalogue's L2 bandwidth
    copy = 0.5 in 0.01 .. 4: share of 32 copy instructions a clock and processor, an element each,
        at which rows of tokens are brought to their experts and back
    slice = 1500 in 100 .. 8000: clocks from the request of a slice of K to its arrival from a busy
        DRAM
    launch = 8 in 0.3 .. 60: one kernel to the next in a graph, those that sort rows included, in
        graph launches of the device
    fill = 0 in 0 .. 0: start and end of a block, in DRAM latencies: within its scan
    scan = 1.5 in 0 .. 6: a block's reading of its expert and its rows' places, in DRAM latencies
    sharpness = 2.5 in 1.2 .. 16: exponent of the norm that overlaps waves of blocks with the DRAM
    inner = 4 in 4 .. 4: exponent of the norm that overlaps the slices, products and stores of
        blocks on one processor
    """
)
STRIPED = priors(
    """
    matrix = 0.4 in 0.05 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.6 in 0.1 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1.5 in 0.2 .. 4: share of the catalogue's L2 bandwidth
    copy = 0.2 in 0.01 .. 4: share of 32 copy instructions a clock and processor, an element each,
        at which rows of tokens are brought to their experts and back
    launch = 12 in 0.3 .. 60: one kernel to the next in a graph, those that sort rows included, in
        graph launches of the device
    fill = 0.5 in 0 .. 8: end of a tile and start of the next, in DRAM latencies
    sharpness = 4 in 1.2 .. 16: exponent of the norm that overlaps products with the DRAM
    """
)
WIDENED = priors(
    """
    vector = 0.5 in 0.05 .. 4: multiple of the vector lanes' rate at which weights are widened, an
        instruction an element
    """
)
MIXED = priors(
    """
    matrix = 0.28 in 0.05 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.6 in 0.1 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 0.75 in 0.2 .. 4: share of the catalogue's L2 bandwidth
    """
)
"""Of TensorRT-LLM's grouped products of mxfp4 on Hopper, taken to be CUTLASS's, widened in
registers: no row times them. So slow they are by published throughput of both sizes of gpt-oss,
eight rows that are 13 and 15 % off with it."""
SOURCE = "as the rows of aiconfigurator-core 0.12.0 name them"


Formats = Mapping[str, tuple[str, ...]]


PRODUCT = Launch(Experts(), fused_moe.MENU)
BY_TRITON = Launch(Experts(zeroed=True), fused_moe.MENU)
BY_MARLIN = Launch(Experts(marlin.activity, zeroed=True), marlin.MENU, marlin.resolved)


def _library(
    name: str,
    title: str,
    formats: Formats,
    launch: Launch = PRODUCT,
    by_triton: tuple[str, ...] = (),
    rates: Family | None = None,
    **how: Any,
) -> Library:
    """A library of one engine's experts; of weights in `narrow` formats these alone."""
    line = Support(("grouped",), formats, SOURCE, **how)
    prior = GROUPED
    if line.narrow:
        line = replace(line, alike=())
        prior = STRIPED if launch is BY_MARLIN else GROUPED
        prior = prior.model_copy(update={"parameters": prior.parameters | WIDENED.parameters})
    prior = prior if rates is None else prior.over(rates)
    return Library(
        name=name,
        title=title,
        launches={"grouped": launch},
        apart={each: {"grouped": BY_TRITON} for each in by_triton},
        calls={"rows": "vllm", **dict.fromkeys(("reduction", *UNEVEN), "torch")},
        support=(line,),
        priors={"grouped": prior},
    )


NARROW = {"fp8": tuple(each for each in NVIDIA if each in SINCE_ADA)}
BY_CUTLASS = ("hopper", "blackwell-rtx")
WITHOUT_GEN = tuple(each for each in NVIDIA if each not in BLACKWELL)
"""Generations whose experts in 16 bits are Triton's."""
FOUR = ("int4", "mxfp4")
SCALED = _library(
    "vllm:scaled-experts", "vLLM's experts in fp8 by CUTLASS", dict.fromkeys(("fp8",), BY_CUTLASS)
)
VLLM = _library("vllm:experts", "vLLM's experts", {**HALVES, **NARROW}, by_triton=WITHOUT_GEN)
BLOCKS = _library(
    "vllm:experts-fp8-block", "vLLM's experts in fp8 by block", FP8, by_triton=("ada",), blocks=True
)
NVFP4 = _library("vllm:experts-nvfp4", "vLLM's experts in nvfp4", {"nvfp4": ("blackwell",)})
CUTLASS = _library(
    "vllm:experts-cutlass",
    "vLLM's experts by CUTLASS",
    dict.fromkeys((*HALVES, "nvfp4"), BLACKWELL),
)
MARLIN = _library(
    "vllm:experts-marlin",
    "vLLM's experts of narrow weights",
    dict.fromkeys(HALVES, NVIDIA),
    BY_MARLIN,
    narrow=FOUR,
)
MXFP4 = _library(
    "vllm:experts-mxfp4",
    "vLLM's experts of weights in mxfp4",
    dict.fromkeys(HALVES, ("blackwell",)),
    narrow=("mxfp4",),
)
MXFP8 = _library(
    "vllm:experts-fp8-mxfp4",
    "vLLM's experts in fp8 of weights in mxfp4",
    {"fp8": ("blackwell",)},
    narrow=("mxfp4",),
)
TRTLLM = _library("trtllm:experts", "TensorRT-LLM's experts", {**HALVES, **NARROW})
TRTLLM_NVFP4 = _library("trtllm:experts-nvfp4", "TensorRT-LLM's in nvfp4", {"nvfp4": BLACKWELL})
TRTLLM_MXFP8 = _library(
    "trtllm:experts-fp8-mxfp4",
    "TensorRT-LLM's in fp8 of weights in mxfp4",
    {"fp8": BLACKWELL},
    narrow=("mxfp4",),
)
TRTLLM_MXFP4 = _library(
    "trtllm:experts-mxfp4",
    "TensorRT-LLM's experts of weights in mxfp4",
    dict.fromkeys(HALVES, ("hopper",)),
    rates=MIXED,
    narrow=("mxfp4",),
)


def _chosen(name: str, title: str, on: Mapping[str, tuple[Library, ...]]) -> Library:
    """What an engine runs of experts in 4 bits: by generation the first library that takes them."""
    line = Support(
        ("grouped",),
        {**HALVES, **FP8, "nvfp4": BLACKWELL},
        SOURCE,
        narrow=FOUR,
        alike=("nvfp4",),
    )
    names = {each: tuple(library.name for library in on.get(each, ())) for each in GENERATIONS}
    last = {each: (*first, "matmul-ogs", "weight-only") for each, first in names.items()}
    return replace(MARLIN, name=name, title=title, support=(line,), on={"grouped": last})


VLLM_NARROW = _chosen(
    "vllm:experts-narrow",
    "vLLM's experts in 4 bits",
    {
        **dict.fromkeys(("ampere", "ada"), (MARLIN,)),
        "hopper": (matmul_ogs.LIBRARY, MARLIN),
        "blackwell": (MXFP4, MXFP8, NVFP4, MARLIN),
        "blackwell-rtx": (CUTLASS, MARLIN),
    },
)
TRTLLM_NARROW = _chosen(
    "trtllm:experts-narrow",
    "TensorRT-LLM's experts in 4 bits",
    {
        "hopper": (TRTLLM_MXFP4,),
        "blackwell": (TRTLLM_NVFP4, MXFP8),
        "blackwell-rtx": (TRTLLM_NVFP4, TRTLLM_MXFP8),
    },
)
LIBRARIES = (
    *(VLLM, SCALED, BLOCKS, NVFP4, CUTLASS, MARLIN, MXFP4, MXFP8, VLLM_NARROW),
    *(TRTLLM, TRTLLM_NVFP4, TRTLLM_MXFP4, TRTLLM_MXFP8, TRTLLM_NARROW),
)

OF_VLLM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(NVIDIA, (VLLM.name,)),
    "hopper": (SCALED.name, VLLM.name),
    "blackwell-rtx": (SCALED.name, CUTLASS.name, VLLM.name),
}
"""Generation -> what vLLM's experts are there, the first that takes the formats."""
