"""Linear layers of serving engines in narrow formats, a library for each engine and format.

What runs by engine, format and generation, as the rows name it that the calibrations are fitted to
(aiconfigurator-core 0.12.0, Apache-2.0; engines of 2026):

    fp8        vLLM       CUTLASS scaled products, a scale a row
               SGLang     sgl_kernel's fp8_scaled_mm
               TRT-LLM    torch flow
    fp8, 128   vLLM       DeepGEMM where N and K are multiples of its blocks, FlashInfer for few
    x 128                 rows on Hopper, else CUTLASS; Triton on Ada; eager: the host binds
               SGLang     DeepGEMM
               TRT-LLM    torch flow, DeepGEMM on Blackwell
    nvfp4      vLLM       FlashInfer: CuTe DSL, CUTLASS on workstations' Blackwell
               SGLang     the same
               TRT-LLM    torch flow
    int8, int4 TRT-LLM    weight-only plug-in: weights are widened on their way
    int8       TRT-LLM    SmoothQuant plug-in

Activations are given in 16 bits, and narrowed inside the layer. Products in 16 bits are cuBLAS's.
CUTLASS's products never split K (`schedules.cutlass`, on Ada `cutlass_ada`), nor do those by block
and in nvfp4 (which long sums of the rows show); the tiles of others are those of cuBLAS for the
format: these kernels' own were read nowhere.
"""

from dataclasses import replace
from typing import Any

from hwmodel.hardware.calibration import Family
from hwmodel.machines.gpu.libraries.library import (
    BLACKWELL,
    BY_WARP,
    HALVES,
    NVIDIA,
    SIXTEEN,
    Launch,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import cublas, cutlass, cutlass_ada, warp_tiles
from hwmodel.machines.gpu.schedules.layers import Layer

GEMM = priors(
    """
    matrix = 0.85 in 0.1 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.75 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 0.2 .. 2.5: multiple of the catalogue's L2 bandwidth, which plain loads reach, that
        bulk copies do
    port = 0.8 in 0.1 .. 2: multiple of a processor's port to the L2, 64 bytes a clock as on Volta
    landing = 100 in 100 .. 100: multiple of shared memory's bandwidth at which copies land beside
        reads, which do not wait for them: as cuBLAS's
    store = 0.3 in 0.03 .. 1: share of the port at which a block writes its tile of C, sums scaled
        and converted on the way
    copy = 0.5 in 0.02 .. 1: share of 32 copy instructions a clock and processor, where bulk copies
        cannot be used
    fill = 1 in 0 .. 8: fill and drain of a tile's pipeline in a kernel whose blocks are not
        persistent, in DRAM latencies
    slice = 200 in 20 .. 3000: clocks that a slice of K takes at least
    launch = 6 in 0.3 .. 40: one kernel to the next in a graph, those that narrow the activations
        included, in graph launches of the device
    reduction = 3 in 0 .. 12: the launch that adds split sums, in graph launches
    scales = 0.5 in 0.5 .. 0.5: reading the scale factors, in DRAM latencies
    queue = 0.7 in 0 .. 4: what is left to do once the last byte has come from the DRAM, in DRAM
        latencies
    sharpness = 8 in 1 .. 32: exponent of the norm that overlaps the tiles with the DRAM's stream
    """
)
HOST = priors(
    """
    host = 10 in 1 .. 100: the least that a layer takes outside of a graph, in eager launches of
        the device
    host_few = 10 in 1 .. 100: the same of few rows, by FlashInfer on Hopper
    host_other = 15 in 1 .. 100: the same of sizes that DeepGEMM does not take, by CUTLASS
    host_ragged = 2 in 0 .. 30: what is added where rows are no multiple of four, in eager launches
        of the device
    """
)
BY_ROW = priors(
    """
    cycle = 4000 in 100 .. 40000: clocks that a row waits until it is narrowed
    narrow = 0.06 in 0.005 .. 1: elements that a processor narrows in a clock, of 32
    """
)
OF_CUTLASS = priors(
    """
    engine = 0.62 in 0.3 .. 1: share of the DRAM's bandwidth that products of 17 to 32 rows reach
    """
)
BY_BLOCKS = priors(
    """
    matrix = 0.9 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.9 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 3 in 3 .. 3: multiple of the catalogue's L2 bandwidth that bulk copies reach, shared by
        blocks of a cluster: never binds
    port = 0.85 in 0.85 .. 0.85: share of a processor's port to the L2
    store = 1 in 1 .. 1: share of the port at which a block writes its tile of C, sums scaled
        and converted on the way
    copy = 0.5 in 0.5 .. 0.5: share of 32 copy instructions a clock and processor, where bulk copies
        cannot be used: never binds
    slice = 29 in 29 .. 29: clocks that a slice of K takes at least
    launch = 3.4 in 0.3 .. 12: one kernel to the next in a graph, in graph launches of the device
    fill = 1 in 0 .. 8: fill and drain of a tile's pipeline in a kernel whose blocks are not
        persistent, in DRAM latencies
    reduction = 3 in 3 .. 3: the launch that adds split sums, in graph launches: seldom there
    scales = 0.2 in 0.2 .. 0.2: reading the scale factors, in DRAM latencies
    queue = 0.7 in 0 .. 8: what is left to do once the last byte has come from the DRAM, in DRAM
        latencies
    sharpness = 16 in 16 .. 16: exponent of the norm that overlaps the tiles with the DRAM's stream
    """
)
WIDENED = priors(
    """
    vector = 0.9 in 0.05 .. 1: share of the vector lanes' rate at which weights are widened
    """
)

SOURCE = "as the rows of aiconfigurator-core 0.12.0 name them"
SCALED = ("ada", "hopper", *BLACKWELL)
DEEP = ("hopper", "blackwell")


def _with(*more: Family) -> Family:
    """What all layers have, and more."""
    parameters = {n: p for each in (GEMM, *more) for n, p in each.parameters.items()}
    return GEMM.model_copy(update={"parameters": parameters})


def _layer(
    name: str, title: str, support: Support, ada: Any = None, whole: bool = False, **how: Any
) -> Library:
    """A library of one engine's layers in one format; `ada` is the rule of its tiles there.

    K is never split where it stays `whole`.
    """
    layer = Layer(**how)
    more = [HOST] * layer.eager + [BY_ROW] * (layer.narrows == "rows")
    prior = _with(*more, *[OF_CUTLASS] * (layer.product is cutlass.activity))
    launch, older = Launch(layer, cublas.menu(), cublas.resolved_alike), warp_tiles.MENU
    if layer.product is cutlass.activity:
        launch, older = Launch(layer, cutlass.MENU, cutlass.resolved), warp_tiles.WHOLE
        layer = replace(layer, product=cublas.activity)
    elif whole:
        launch, older = Launch(layer, cublas.menu(), cublas.resolved_whole), warp_tiles.WHOLE
    by_warp = dict.fromkeys(BY_WARP, Launch(layer, older, warp_tiles.resolved))
    if ada is not None:
        by_warp["ada"] = Launch(layer, cutlass_ada.MENU, ada)
    return Library(
        name=name,
        title=title,
        launches={"gemm": launch},
        apart={each: {"gemm": launch} for each, launch in by_warp.items()},
        support=(replace(support, schedules=("gemm",)),),
        priors={"gemm": prior},
    )


def _fp8(places: tuple[str, ...], blocks: bool) -> Support:
    return Support((), {"fp8": places}, SOURCE, blocks=blocks, multiples=SIXTEEN)


DEEP_GEMM = Library(
    name="vllm:deep-gemm",
    title="DeepGEMM's products by blocks, as vLLM calls them",
    launches={"gemm": Launch(Layer(narrows=""), cublas.menu(), cublas.resolved_alike)},
    support=(replace(_fp8(SCALED, True), schedules=("gemm",)),),
    costed_as={
        "ada": "vllm:deep-gemm: other kernels than DeepGEMM's run here, and are costed as those on"
        " Hopper; their interval is widened",
    },
    priors={"gemm": BY_BLOCKS},
)
"""The product alone: other kernels narrow its rows."""

BY_ROWS: dict[str, Any] = {"narrows": "rows"}
BY_CUTLASS: dict[str, Any] = BY_ROWS | {"product": cutlass.activity}
NVFP4 = Support((), {"nvfp4": BLACKWELL}, SOURCE, multiples=SIXTEEN)

VLLM = (
    _layer("vllm:fp8", "vLLM's layers in fp8", _fp8(SCALED, False), cutlass_ada.vllm, **BY_CUTLASS),
    _layer("vllm:fp8-block", "vLLM's in fp8 by block", _fp8(SCALED, True), whole=True, eager=True),
    _layer("vllm:nvfp4", "vLLM's in nvfp4", NVFP4, whole=True),
)
SGLANG = tuple(
    replace(layer, rotated=True)
    for layer in (
        _layer(
            "sglang:fp8",
            "SGLang's layers in fp8",
            _fp8(SCALED, False),
            cutlass_ada.sglang,
            **BY_CUTLASS,
        ),
        _layer(
            "sglang:fp8-block", "SGLang's in fp8 by block", _fp8(DEEP, True), whole=True, **BY_ROWS
        ),
        _layer("sglang:nvfp4", "SGLang's in nvfp4", NVFP4, whole=True, **BY_ROWS),
    )
)
WIDE = Support((), {name: NVIDIA for name in HALVES}, SOURCE, narrow=("int8", "int4"), alike=())
TRTLLM = (
    _layer("trtllm:fp8", "TensorRT-LLM's layers in fp8", _fp8(SCALED, False), **BY_ROWS),
    _layer(
        "trtllm:fp8-block",
        "TensorRT-LLM's in fp8 by block",
        _fp8(SCALED, True),
        whole=True,
        narrows="rows",
    ),
    _layer("trtllm:nvfp4", "TensorRT-LLM's in nvfp4", NVFP4, whole=True, **BY_ROWS),
    _layer("trtllm:int8", "TensorRT-LLM's in int8", Support((), {"int8": NVIDIA}, SOURCE)),
    replace(
        _layer("trtllm:weight-only", "TensorRT-LLM's of narrow weights", WIDE, narrows=""),
        priors={"gemm": _with(WIDENED)},
    ),
)
LIBRARIES = (*VLLM, *SGLANG, *TRTLLM)
