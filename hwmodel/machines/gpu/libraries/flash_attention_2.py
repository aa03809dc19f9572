"""FlashAttention-2, torch's own attention: warp-level matrix instructions on all GPUs.

On Hopper and later such instructions reach some six tenths of the datasheet's rate at best.
"""

from hwmodel.machines.gpu.libraries.library import (
    BEFORE_AMPERE,
    GENERATIONS,
    HALVES,
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
from hwmodel.machines.gpu.schedules import attention, attention_backward, flash

PREFILL = priors(
    """
    matrix = 0.4 in 0.2 .. 1: share of the datasheet's matrix rate, inside fused attention
    exp = 0.35 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions
        in series
    dram = 0.9 in 0.8 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.4 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    slice = 16 in 1 .. 64: clocks from one matrix instruction of a warp to its next
    launch = 1.8 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 2 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 3.4 in 0 .. 8: the launch that combines split keys, in graph launches
    step = 0 in 0 .. 0: wait for the keys of a step, in DRAM latencies: hidden by 128 rows of work
    split = 0.35 in 0.35 .. 0.35: one more part to combine, in DRAM latencies: as in decode
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units, latencies and DRAM
    """
)
DECODE = priors(
    """
    matrix = 0.5 in 0.2 .. 1: share of the datasheet's matrix rate, padded rows counted
    exp = 0.4 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions in
        series
    dram = 0.95 in 0.5 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 1 .. 1: share of the catalogue's L2 bandwidth
    port = 0.42 in 0.05 .. 1: share of a processor's port at which a block moves Q, O and its first
        keys
    launch = 3 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 0.5 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    reduction = 2.2 in 0 .. 8: the launch that combines split keys, in graph launches
    step = 1 in 0 .. 5: wait for the keys of a step, in DRAM latencies
    split = 0.35 in 0 .. 3: one more part to combine, in DRAM latencies
    sharpness = 5 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """
)

BACKWARD = priors(
    """
    matrix = 0.35 in 0.2 .. 0.66: share of the datasheet's matrix rate, inside fused gradients
    exp = 0.5 in 0.3 .. 1: share of the exponential unit's rate, other instructions in series
    dram = 0.9 in 0.3 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 0.7 in 0.1 .. 2: share of the catalogue's L2 bandwidth, at which sums of dQ are added
    port = 0.4 in 0.02 .. 1: share of a processor's port at which a block moves K, V and gradients
    launch = 3 in 0.3 .. 16: kernel to kernel in a graph, in graph launches of the device
    fill = 2 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    step = 0.1 in 0 .. 5: wait for the queries of a step, in DRAM latencies
    sharpness = 4 in 1 .. 16: exponent of the norm that overlaps units, latencies and DRAM
    """
)

HOPPER_SHARE = 0.62
"""Share of the matrix rate that a warp's mma gets on Hopper, where a warpgroup's gets all (Luo et
al. 2024, Benchmarking and Dissecting the NVIDIA Hopper GPU Architecture: 62 % on average)."""

LAUNCH = Launch(attention.activity, flash.MENU, flash.resolved, regimes=ATTENTION)
LIBRARY = Library(
    name="flash-attention-2",
    title="FlashAttention-2, as torch calls it",
    launches={
        **{"prefill": LAUNCH, "decode": LAUNCH},
        "backward": Launch(
            attention_backward.activity, attention_backward.FLASH, attention_backward.resolved
        ),
    },
    support=(
        Support(
            ("prefill", "decode", "backward"),
            HALVES,
            "Dao-AILab/flash-attention, README: fp16 and bf16, all head dimensions up to 256; from"
            " sm_80 on",
            head_dim=dict.fromkeys(GENERATIONS, 256),
            elsewhere=dict.fromkeys(BEFORE_AMPERE, "the memory-efficient kernel"),
        ),
    ),
    priors={"prefill": PREFILL, "decode": DECODE, "backward": BACKWARD},
    costed_as={
        each: f"flash-attention-2 on {each}: torch runs its memory-efficient kernel there, which is"
        " costed as this one; its interval is widened"
        for each in BEFORE_AMPERE
    },
    native=dict.fromkeys(("volta", "turing", "ampere", "ada", "blackwell-rtx"), 1 / HOPPER_SHARE),
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        (
            "hwmodel.validation.measure.shapes:streams",
            "hwmodel.validation.measure.edges:edge_streams",
            "hwmodel.validation.measure.backward:backward_streams",
        ),
        {
            "prefill-flash": Sampled(0.08, 150, launches=60, plan=("essentials", "depth")),
            "decode-flash": Sampled(0.05, 150, launches=200, plan=("essentials", "depth")),
            "gqa-wide": Sampled(0.05, 90),
            "attention-backward": Sampled(0.05, 130),
        },
    ),
    reported=(
        Reported("prefill flash", is_prefill),
        Reported("decode flash", is_decode),
        Reported("wide groups", is_wide),
        Reported("attention backward", is_backward),
    ),
)
