"""SGLang's kernels: its linear layers (`linear_layers`); products in 16 bits are cuBLAS's."""

from hwmodel.machines.gpu.libraries.library import UNEVEN, Library
from hwmodel.machines.gpu.libraries.linear_layers import SGLANG

LIBRARY = Library(
    name="sglang",
    title="SGLang's kernels",
    calls={"gemm": SGLANG[0], **dict.fromkeys(("reduction", "rows", *UNEVEN), "torch")},
    instead={"gemm": (*(each.name for each in SGLANG[1:]), "cublas", "weight-only")},
    by_row={"gemm": "sglang"},
)
