"""FlashAttention-4 on Blackwell: attention with its scores in tensor memory, for many queries.

cuDNN's kernel there is of the same kind: 9.19.1 lies within a tenth of FlashAttention-4 in all that
"AVO" (arXiv 2603.24517, 2026) timed of both on a B200. Nothing was fitted to that.
"""

from hwmodel.machines.gpu.libraries.library import Launch, Library, Support, priors
from hwmodel.machines.gpu.schedules import flash4

PREFILL = priors(
    """
    matrix = 0.75 in 0.2 .. 1: share of the datasheet's matrix rate, inside fused attention: as
        cuDNN's kernel, of the same kind, reached on an H200
    exp = 0.9 in 0.3 .. 1: share of the exponential unit's rate
    vector = 0.9 in 0.3 .. 1: share of the datasheet's vector rate
    shared = 0.9 in 0.3 .. 1: share of the shared memory's bandwidth
    tensor = 0.9 in 0.3 .. 1: share of the catalogue's tensor memory bandwidth
    dram = 0.9 in 0.4 .. 1: share of the datasheet's DRAM bandwidth
    port = 0.45 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 2 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 2 in 0 .. 8: the launch that combines split keys: none here
    split = 0.35 in 0 .. 3: one more part to combine: none here
    sharpness = 6 in 1 .. 16: exponent of the norm that overlaps units and DRAM: as the attention
        kernels measured on an H200
    """
)

LIBRARY = Library(
    name="flash-attention-4",
    title="FlashAttention-4",
    launches={"prefill": Launch(flash4.activity, flash4.MENU, flash4.resolved)},
    support=(
        Support(
            ("prefill",),
            {"bf16": ("blackwell",), "fp16": ("blackwell",)},
            "FlashAttention-4, arXiv 2603.05451: tensor memory of sm_100; head dimensions to 256",
            head_dim={"blackwell": 256},
        ),
    ),
    priors={"prefill": PREFILL},
)

CUDNN = Library(
    name="cudnn:tensor-memory",
    title="cuDNN's fused attention on data centres' Blackwell",
    launches=LIBRARY.launches,
    support=(
        Support(
            ("prefill",),
            {name: ("blackwell",) for name in ("bf16", "fp16", "fp8")},
            "cuDNN frontend documentation, Attention, support matrix of cuDNN 9.18",
            head_dim={"blackwell": 256},
            multiples={"bf16": {"head_dim": 8}, "fp16": {"head_dim": 8}, "fp8": {"head_dim": 16}},
        ),
    ),
    priors={"prefill": PREFILL},
)
