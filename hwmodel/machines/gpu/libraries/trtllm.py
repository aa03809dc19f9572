"""TensorRT-LLM's kernels: linear layers (`linear_layers`), attention (`paged_attention`), experts.

Products in 16 bits are cuBLAS's.
"""

from hwmodel.machines.gpu.libraries import engine_experts, paged_attention
from hwmodel.machines.gpu.libraries.library import UNEVEN, Library
from hwmodel.machines.gpu.libraries.linear_layers import TRTLLM

ATTENTION, *NARROW = (
    *paged_attention.TRTLLM,
    paged_attention.TRTLLM_E4M3,
    *paged_attention.LATENT,
)

LIBRARY = Library(
    name="trtllm",
    title="TensorRT-LLM's kernels",
    calls={
        "gemm": TRTLLM[0],
        **dict.fromkeys(("reduction", "rows", *UNEVEN), "torch"),
        **{"prefill": ATTENTION, "decode": ATTENTION, "grouped": engine_experts.TRTLLM},
    },
    instead={
        "gemm": (*(each.name for each in TRTLLM[1:]), "cublas", "weight-only"),
        "grouped": (engine_experts.TRTLLM_NARROW.name, "weight-only"),
        **dict.fromkeys(("prefill", "decode"), tuple(each.name for each in NARROW)),
    },
)
