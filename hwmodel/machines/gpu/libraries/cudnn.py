"""cuDNN: its fused attention as torch's SDPA calls it, and its convolutions.

Convolutions were measured on H200s (`schedules/cudnn_convolution.py`). Elsewhere an implicit GEMM
is taken to run as cuBLAS's products do, with tiles of the same menu; Winograd and FFT kernels,
which cuDNN has, ran nowhere.
"""

from hwmodel.machines.gpu.libraries.library import (
    AMD,
    BLACKWELL,
    BY_WARP,
    HALVES,
    NVIDIA,
    SINCE_AMPERE,
    WORDS,
    Launch,
    Library,
    Measured,
    Reported,
    Sampled,
    Support,
    is_backward,
    is_decode,
    is_prefill,
    is_wide,
    priors,
)
from hwmodel.machines.gpu.regimes import ATTENTION
from hwmodel.machines.gpu.schedules import (
    attention,
    attention_backward,
    convolution,
    cublas,
    cudnn,
    cudnn_convolution,
    cudnn_filters,
    filter_gradient,
    pair_tiles,
    warp_tiles,
)

PREFILL = priors(
    """
    matrix = 0.76 in 0.2 .. 1: share of the datasheet's matrix rate, inside fused attention
    exp = 0.48 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions
        in series
    dram = 0.9 in 0.8 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.5 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 5 in 0.3 .. 8: kernel to kernel in a graph, descriptors fetched and barriers set up, in
        graph launches of the device
    fill = 0.5 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)
DECODE = priors(
    """
    matrix = 0.2 in 0.05 .. 1: share of the datasheet's matrix rate, padded rows counted
    dram = 0.95 in 0.5 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.5 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 4.4 in 0.3 .. 8: kernel to kernel in a graph, descriptors fetched and barriers set up,
        in graph launches of the device
    fill = 0.5 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 2.4 in 0 .. 8: the launch that combines split keys, in graph launches
    step = 4 in 0 .. 8: a step whose keys could not be loaded ahead, in DRAM latencies
    split = 0 in 0 .. 0: one more part to combine, in DRAM latencies: all parts at once
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)

BACKWARD = priors(
    """
    matrix = 0.5 in 0.2 .. 0.85: share of the datasheet's matrix rate, inside fused gradients
    exp = 0.5 in 0.1 .. 1: share of the exponential unit's rate, other instructions in series
    dram = 0.9 in 0.3 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 0.7 in 0.1 .. 2: share of the catalogue's L2 bandwidth, at which sums of dQ are added
    port = 0.4 in 0.02 .. 1: share of a processor's port at which a block moves K, V and gradients
    launch = 3 in 0.3 .. 16: kernel to kernel in a graph, in graph launches of the device
    fill = 2 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    step = 0.05 in 0 .. 5: wait for the queries of a step, in DRAM latencies
    sharpness = 4 in 1 .. 16: exponent of the norm that overlaps units, latencies and DRAM
    """
)

CONVOLUTION = priors(
    """
    matrix = 0.7 in 0.3 .. 1: share of the datasheet's matrix rate, addresses of windows computed on
        the way (chosen on published throughputs of networks on an RTX 4090)
    engine = 0.8 in 0.2 .. 1.5: bandwidth of kernels that convert layouts, in datasheet DRAM
        bandwidths
    split = 3 in 0.2 .. 16: a kernel that converts or pads, beside its bytes, in DRAM latencies
    """
)
"""Its other rates are those of products, with a prior's interval at any size."""
FILTERS = priors(
    """
    matrix = 0.6 in 0.2 .. 1: share of the datasheet's matrix rate, addresses of windows computed on
        the way, both operands turned
    split = 9 in 0.2 .. 30: a kernel that clears the sums, in DRAM latencies (half of 50 times of an
        H200, which left the others 33 % off)
    engine = 0.55 in 0.2 .. 1.5: bandwidth of kernels that convert layouts, in datasheet DRAM
        bandwidths (as of convolutions on an H200)
    """
)
"""The same of gradients of filters."""

FORMATS = {"bf16": NVIDIA, "fp16": NVIDIA, "fp8": ("hopper", "blackwell")}
MULTIPLES = {name: {"head_dim": 8} for name in ("bf16", "fp16")} | {"fp8": {"head_dim": 16}}
WIDEST: dict[str, int] = dict.fromkeys(NVIDIA, 256)
SOURCE = (
    "cuDNN frontend documentation, Attention, support matrix of cuDNN 9.18: sm_80 on, head"
    " dimensions that are multiples of 8 up to 256 (decode on Ampere and Ada up to 128)"
)

UNCONVERTED = (
    "convolution:cudnn: what converts layouts around a kernel is counted where it was measured"
    " (Hopper): here it may come on top, where channels come first"
)

LIBRARY = Library(
    name="cudnn",
    title="cuDNN's fused attention",
    launches={
        "prefill": Launch(attention.activity, cudnn.PREFILL_MENU),
        "decode": Launch(attention.activity, cudnn.DECODE_MENU, cudnn.resolved, regimes=ATTENTION),
        "backward": Launch(
            attention_backward.activity, attention_backward.CUDNN, attention_backward.resolved
        ),
        "convolution": Launch(
            convolution.activity, cublas.menu(), convolution.resolved, told=UNCONVERTED
        ),
        "filters": Launch(filter_gradient.activity, cublas.menu(), filter_gradient.resolved),
    },
    apart={
        **{
            each: {
                "convolution": Launch(
                    convolution.activity,
                    warp_tiles.MENU,
                    convolution.resolved_by_warp,
                    told=UNCONVERTED,
                ),
                "filters": Launch(
                    filter_gradient.activity, warp_tiles.MENU, filter_gradient.resolved_by_warp
                ),
            }
            for each in BY_WARP
        },
        "hopper": {
            "convolution": Launch(
                cudnn_convolution.activity, cudnn_convolution.MENU, cudnn_convolution.resolved
            ),
            "filters": Launch(cudnn_filters.activity, cudnn_filters.MENU, cudnn_filters.resolved),
        },
        "blackwell": {
            "convolution": Launch(
                convolution.activity,
                pair_tiles.MENU,
                convolution.resolved_by_pair,
                told=UNCONVERTED,
            ),
            "filters": Launch(
                filter_gradient.activity, pair_tiles.MENU, filter_gradient.resolved_by_pair
            ),
        },
    },
    support=(
        Support(("prefill",), FORMATS, SOURCE, head_dim=WIDEST, multiples=MULTIPLES),
        Support(
            ("decode",),
            FORMATS,
            SOURCE,
            head_dim=WIDEST | {"ampere": 128, "ada": 128},
            multiples=MULTIPLES,
        ),
        Support(
            ("backward",),
            {name: NVIDIA for name in ("bf16", "fp16")},
            SOURCE,
            head_dim=WIDEST | {"ampere": 128, "ada": 128},
            multiples=MULTIPLES,
        ),
        Support(
            ("convolution", "filters"),
            {**HALVES, **WORDS, "int8": SINCE_AMPERE},
            "cuDNN documentation, Convolutions (recalled); channels are padded, not refused",
            elsewhere=dict.fromkeys(AMD, "MIOpen"),
        ),
    ),
    priors={
        "prefill": PREFILL,
        "decode": DECODE,
        "backward": BACKWARD,
        "convolution": CONVOLUTION,
        "filters": FILTERS,
    },
    borrows={"convolution": "gemm:cublas", "filters": "gemm:cublas"},
    on={"prefill": {"blackwell": ("cudnn:tensor-memory",)}},
    costed_as={
        each: f"cudnn on {each}: its kernels on Hopper are costed; its interval is widened"
        for each in BLACKWELL
    },
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        (
            "hwmodel.validation.measure.shapes:streams",
            "hwmodel.validation.measure.edges:edge_streams",
        ),
        {
            "prefill-cudnn": Sampled(0.11, 150, launches=100, plan=("more",)),
            "decode-cudnn": Sampled(0.10, 150, launches=200, plan=("more",)),
        },
    ),
    reported=(
        Reported("prefill cuDNN", is_prefill),
        Reported("decode cuDNN", is_decode),
        Reported("wide groups", is_wide),
        Reported("attention backward", is_backward),
    ),
)
