"""Attention over keys and values in 8 bits or fewer: a prior, since nobody measured it here.

Keys and values are converted in the kernel, or everything is fp8: FlashAttention-3, FlashInfer.
"""

from hwmodel.machines.gpu.libraries.library import (
    FP8,
    GENERATIONS,
    HALVES,
    STORED,
    Launch,
    Library,
    Support,
)
from hwmodel.machines.gpu.schedules import attention, cudnn, flash

LIBRARY = Library(
    name="quantised",
    title="attention over narrow keys and values",
    launches={
        "prefill": Launch(attention.activity, flash.MENU, flash.resolved),
        "decode": Launch(attention.activity, cudnn.DECODE_MENU, cudnn.resolved),
    },
    support=(
        Support(
            ("prefill", "decode"),
            {**HALVES, **FP8},
            "vLLM and FlashInfer: keys and values of 8 bits and fewer; FlashAttention-3, fp8",
            narrow=(*STORED, "int2"),
            alike=("fp8",),
            head_dim=dict.fromkeys(GENERATIONS, 256),
        ),
    ),
    borrows={"prefill": "prefill:flash-attention-2", "decode": "decode:cudnn"},
)
