"""TensorRT-LLM's kernels: its linear layers (`linear_layers`); products in 16 bits are cuBLAS's."""

from hwmodel.machines.gpu.libraries.library import Library
from hwmodel.machines.gpu.libraries.linear_layers import TRTLLM

LIBRARY = Library(
    name="trtllm",
    title="TensorRT-LLM's kernels",
    calls={"gemm": TRTLLM[0], "reduction": "torch", "rows": "torch"},
    instead={"gemm": (*(each.name for each in TRTLLM[1:]), "cublas", "weight-only")},
)
