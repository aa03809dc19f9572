"""Attention to some blocks of keys, chosen for each block of queries: a prior.

Nobody measured it here. Blocks that are kept are taken to run as FlashAttention-2 runs all of them,
steps in proportion to the density; lists of blocks are read beside, and cost nothing. What chooses
the blocks is kernels of its own.
"""

from hwmodel.machines.gpu.libraries import flash_attention_2
from hwmodel.machines.gpu.libraries.library import (
    FP8,
    GENERATIONS,
    HALVES,
    STORED,
    Library,
    Support,
)

LIBRARY = Library(
    name="block-sparse",
    title="attention to blocks that are chosen",
    launches={name: flash_attention_2.LIBRARY.launches[name] for name in ("prefill", "decode")},
    support=(
        Support(
            ("prefill", "decode"),
            {**HALVES, **FP8},
            "kernels of papers on sparse attention, FlexAttention: assumed to take what"
            " FlashAttention takes, and narrow keys and values",
            narrow=STORED,
            alike=("bf16", "fp16", "fp8"),
            head_dim=dict.fromkeys(GENERATIONS, 256),
            skips=True,
        ),
    ),
    borrows={
        "prefill": "prefill:flash-attention-2",
        "decode": "decode:flash-attention-2",
    },
    costed_as=dict.fromkeys(
        GENERATIONS,
        "block-sparse: attention to a density of blocks is costed as FlashAttention-2 on as many"
        " of them; its interval is widened",
    ),
    native=flash_attention_2.LIBRARY.native,
)
