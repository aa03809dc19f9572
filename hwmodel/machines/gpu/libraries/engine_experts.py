"""Experts of serving engines, a library for each engine and format of the products.

What runs where, as the rows name it that the calibrations are fitted to (aiconfigurator-core
0.12.0, Apache-2.0; vLLM 0.14 and 0.24, TensorRT-LLM 1.3):

    vLLM          bf16   Triton's experts; FlashInfer (CUTLASS or TRT-LLM-gen) on Blackwell
                  fp8    Triton's on Ampere and Ada, FlashInfer's on Hopper and Blackwell
    TensorRT-LLM  both   CUTLASS's fused experts

All gather rows as they read them, pad each expert's to whole tiles, and stream the weights of the
experts that are touched: the schedule is that of Triton's (`schedules.fused_moe`), with rates of
each engine and GPU. CUTLASS's experts in fp8 have rates of their own: on Hopper they read weights
at a fifth of the DRAM's rate, for no cause that is known.
"""

from collections.abc import Mapping

from hwmodel.machines.gpu.libraries.library import (
    HALVES,
    NVIDIA,
    SINCE_ADA,
    UNEVEN,
    Launch,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import fused_moe, triton_gemm

GROUPED = priors(
    """
    matrix = 0.7 in 0.05 .. 1: share of the datasheet's matrix rate that a full tile reaches
    matrix_fp8 = 0.6 in 0.05 .. 1: the same for fp8
    dram = 0.85 in 0.1 .. 1: share of the datasheet's DRAM bandwidth
    store = 0.5 in 0.05 .. 1: share of the port at which a block brings its sums into rows and
        writes them
    port = 0.8 in 0.8 .. 0.8: share of a processor's port to the L2
    l2 = 1.5 in 0.2 .. 4: share of the catalogue's L2 bandwidth
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
SOURCE = "as the rows of aiconfigurator-core 0.12.0 name them"


def _library(name: str, title: str, formats: Mapping[str, tuple[str, ...]]) -> Library:
    return Library(
        name=name,
        title=title,
        launches={"grouped": Launch(triton_gemm.grouped, fused_moe.MENU)},
        calls={"rows": "vllm", **dict.fromkeys(("reduction", *UNEVEN), "torch")},
        support=(Support(("grouped",), formats, SOURCE),),
        priors={"grouped": GROUPED},
    )


NARROW = {"fp8": tuple(each for each in NVIDIA if each in SINCE_ADA)}
BY_CUTLASS = ("hopper", "blackwell-rtx")
SCALED = _library(
    "vllm:scaled-experts", "vLLM's experts in fp8 by CUTLASS", dict.fromkeys(("fp8",), BY_CUTLASS)
)
VLLM = _library("vllm:experts", "vLLM's experts", {**HALVES, **NARROW})
TRTLLM = _library("trtllm:experts", "TensorRT-LLM's experts", {**HALVES, **NARROW})
LIBRARIES = (VLLM, SCALED, TRTLLM)

OF_VLLM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(NVIDIA, (VLLM.name,)),
    **dict.fromkeys(BY_CUTLASS, (SCALED.name, VLLM.name)),
}
"""Generation -> what vLLM's experts are there, the first that takes the formats."""
