"""vLLM's kernels on Hopper: FlashAttention-3, CUTLASS scaled products, Triton experts, fused rows.

bf16 products are cuBLAS's. FlashInfer is off. A linear layer in a narrow format narrows its
activations (`linear_layers`); in the engine's steps other kernels do, and `vllm:cutlass` is the
product alone.
"""

from dataclasses import replace

from hwmodel.hardware.calibration import Family, Parameter
from hwmodel.machines.gpu.libraries import engine_experts, paged_attention
from hwmodel.machines.gpu.libraries.library import (
    FP8,
    GENERATIONS,
    HALVES,
    SIXTEEN,
    UNEVEN,
    Launch,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.libraries.linear_layers import VLLM
from hwmodel.machines.gpu.schedules import (
    cutlass,
    flash3,
    fused_moe,
    inductor,
    rows,
    triton_grouped,
)

PREFILL = priors(
    """
    matrix = 1 in 1 .. 1: share of the datasheet's matrix rate, inside fused attention: the
        exponentials bind
    exp = 0.51 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions
        in series
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth: never binds
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.21 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    slice = 0.07 in 0.07 .. 0.07: clocks from one matrix instruction of a warp to its next:
        warpgroups issue whole tiles
    launch = 8.3 in 0.3 .. 12: kernel to kernel, tiles counted, in graph launches of the device
    fill = 4.8 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 3 in 3 .. 3: the launch that combines split keys, in graph launches
    step = 0 in 0 .. 0: wait for the keys of a step, in DRAM latencies: loaded ahead
    split = 0.35 in 0.35 .. 0.35: one more part to combine, in DRAM latencies
    sharpness = 3 in 1 .. 16: exponent of the norm that overlaps units, latencies and DRAM
    """
)
DECODE = priors(
    """
    matrix = 1 in 1 .. 1: share of the datasheet's matrix rate, padded rows counted: seldom binds
    exp = 1 in 1 .. 1: share of the exponential unit's rate: seldom binds
    dram = 1 in 1 .. 1: share of the datasheet's DRAM bandwidth, what overlaps badly apart
        (sharpness)
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 1 in 1 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 11.3 in 0.3 .. 16: this kernel, the one ahead that splits the keys, and the one that
        combines the parts, which runs even where there is one, in graph launches
    fill = 3.4 in 0 .. 16: what each turn of tiles takes besides its keys' stream, in DRAM latencies
    reduction = 0 in 0 .. 0: the launch that combines split keys, in graph launches: within `launch`
    step = 0 in 0 .. 0: wait for the keys of a step, in DRAM latencies: loaded ahead
    split = 0.019 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 2.77 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
ROWS = priors(
    """
    launch = 1.2 in 0.2 .. 5: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 1 .. 1: first load of a kernel, in DRAM latencies
    queue = 0.3 in 0.3 .. 0.3: what loads wait for each other when all block slots are taken, in
        DRAM latencies
    dram = 0.9 in 0.4 .. 1.3: share of the datasheet's DRAM bandwidth; above 1 where the L2 holds
        what the kernel before wrote
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    cycle = 1 in 0.5 .. 2: cycles of a block, in those counted on an H200
    engine = 0.55 in 0.1 .. 1: share of the DRAM's bandwidth at which kernels on views stream
    sharpness = 4 in 4 .. 4: exponent of the norm that overlaps instructions, DRAM and L2
    """
)

GEMM = priors(
    """
    matrix_fp8 = 0.94 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.88 in 0.5 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1.54 in 1.54 .. 1.54: multiple of the catalogue's L2 bandwidth that bulk copies reach, as
        of gemm:cublas-fast-accum
    port = 0.85 in 0.85 .. 0.85: share of a processor's port to the L2
    store = 0.5 in 0.5 .. 0.5: share of the port at which a block writes its tile of C, sums scaled
        and converted on the way
    slice = 29 in 29 .. 29: clocks that a slice of K takes at least
    launch = 3.4 in 0.3 .. 7: one kernel to the next in a graph, in graph launches of the device
    fill = 0 in 0 .. 0: fill and drain of a tile's pipeline in a kernel whose blocks are not
        persistent, in DRAM latencies
    scales = 0.2 in 0.2 .. 0.2: reading the scale factors, in DRAM latencies
    engine = 0.62 in 0.3 .. 1: share of the DRAM's bandwidth that products of 17 to 32 rows reach
    sharpness = 16 in 16 .. 16: exponent of the norm that overlaps waves of blocks with the DRAM
    """
)
GROUPED = priors(
    """
    matrix = 0.9 in 0.9 .. 0.9: share of the datasheet's matrix rate that a full tile reaches: what
        long prompts take by the wall
    matrix_fp8 = 0.9 in 0.9 .. 0.9: the same for fp8
    dram = 1 in 1 .. 1: share of the datasheet's DRAM bandwidth, what overlaps badly apart
        (sharpness)
    store = 0.63 in 0.63 .. 0.63: share of the port at which a block brings its sums into rows and
        writes them
    l2 = 4 in 4 .. 4: share of the catalogue's L2 bandwidth, as of gemm:triton
    slice = 2800 in 200 .. 6000: clocks from the request of a slice of K to its arrival from a busy
        DRAM
    launch = 2.9 in 0.3 .. 5: one kernel to the next in a graph, in graph launches of the device
    fill = 0 in 0 .. 0: start and end of a block, in DRAM latencies: within its scan
    scan = 1.5 in 0 .. 4: a block's reading of its expert and its rows' places, in DRAM latencies
    sharpness = 2.3 in 1.3 .. 8: exponent of the norm that overlaps waves of blocks with the DRAM
    inner = 4 in 4 .. 4: exponent of the norm that overlaps the slices, products and stores of
        blocks on one processor
    """
)

FLASH3 = {
    "prefill": Launch(flash3.prompts, flash3.PREFILL, flash3.prefill),
    "decode": Launch(flash3.activity, flash3.DECODE, flash3.decode),
}

LIBRARY = Library(
    name="vllm",
    title="vLLM's kernels",
    launches={
        **FLASH3,
        "grouped": Launch(triton_grouped.grouped, fused_moe.MENU),
        "rows": Launch(rows.activity, inductor.MENU, inductor.resolved),
    },
    calls={"gemm": VLLM[0], **dict.fromkeys(("reduction", *UNEVEN), "torch")},
    on={
        **dict.fromkeys(("prefill", "decode"), paged_attention.OF_VLLM),
        "grouped": engine_experts.OF_VLLM,
    },
    instead={
        "gemm": (*(each.name for each in VLLM[1:]), "cublas", "weight-only"),
        "grouped": (engine_experts.BLOCKS.name, engine_experts.VLLM_NARROW.name, "weight-only"),
        "prefill": ("vllm:narrow-cache", "latent-attention", "block-sparse"),
        "decode": ("vllm:narrow-cache", "latent-attention", "block-sparse"),
    },
    support=(
        Support(
            ("grouped",),
            {**HALVES, **FP8},
            "vllm, model_executor/layers/fused_moe/fused_moe.py: bf16, fp16 and e4m3",
            blocks=False,
        ),
        Support(
            ("prefill",),
            HALVES,
            "Dao-AILab/flash-attention, hopper: bf16 and fp16, head dimensions up to 256",
            head_dim=dict.fromkeys(GENERATIONS, 256),
        ),
        Support(
            ("decode",),
            HALVES,
            "vllm, FLASH_ATTN_MLA: the same, and latents of 512 and 64 for all heads",
            head_dim=dict.fromkeys(GENERATIONS, 576),
        ),
    ),
    costed_as=dict.fromkeys(
        (each for each in GENERATIONS if each != "hopper"),
        "vllm: its kernels are costed as those that it runs on Hopper; their interval is widened",
    ),
    priors={
        **{"prefill": PREFILL, "decode": DECODE, "rows": ROWS},
        "grouped": GROUPED,
    },
    by_row={"gemm": "vllm"},
)


def _held(family: Family) -> dict[str, Parameter]:
    """Its parameters at their values: those of 16 bits, the turning of V being fitted alone."""
    return {
        name: each.model_copy(update={"low": each.value, "high": each.value})
        for name, each in family.parameters.items()
    }


TURNS = priors(
    """
    copy = 0.21 in 0.02 .. 1: share of 32 elements a clock and processor at which V is turned
    """
)
NARROW_CACHE = Library(
    name="vllm:narrow-cache",
    title="vLLM's attention to keys and values in fp8",
    launches=FLASH3,
    on=dict.fromkeys(("prefill", "decode"), paged_attention.OF_VLLM),
    support=tuple(
        replace(line, narrow=("fp8",), alike=()) for line in LIBRARY.support if line.head_dim
    ),
    costed_as=LIBRARY.costed_as,
    priors={
        name: given.model_copy(update={"parameters": _held(given) | TURNS.parameters})
        for name, given in {"prefill": PREFILL, "decode": DECODE}.items()
    },
)

CUTLASS = Library(
    name="vllm:cutlass",
    title="vLLM's scaled products",
    launches={"gemm": Launch(cutlass.activity, cutlass.MENU, cutlass.resolved)},
    instead={"gemm": ("vllm:deep-gemm", "cublas", "weight-only")},
    support=(
        Support(
            ("gemm",),
            FP8,
            "vllm, csrc/quantization/w8a8/cutlass: scaled products of e4m3 from sm_90 on",
            blocks=False,
            multiples=SIXTEEN,
        ),
    ),
    costed_as=LIBRARY.costed_as,
    priors={"gemm": GEMM},
)
