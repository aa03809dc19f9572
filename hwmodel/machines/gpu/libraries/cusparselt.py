"""Products with weights of which two in each four along K are zero (`weight_dtype=bf16~2:4`).

What cuSPARSELt (behind torch's semi-structured tensors) and CUTLASS' sparse kernels run: nonzeros
and their places (2 bits each) are read, and the matrix units skip the zeros (Mishra et al.,
"Accelerating Sparse Deep Neural Networks", arXiv 2104.08378; PTX ISA, mma.sp, wgmma.mma_async.sp).
Costed as cuBLAS' kernels with narrower weights on units that are faster; operations count the
zeros, as of dense weights.
"""

from hwmodel.machines.gpu.libraries import cublas
from hwmodel.machines.gpu.libraries.library import HALVES, NVIDIA, SINCE_ADA, Library, Support

SKIPPING = (*NVIDIA, "cdna3", "cdna4")
"""Generations whose matrix units skip zeros (white papers of NVIDIA Ampere and AMD CDNA 3)."""

LIBRARY = Library(
    name="cusparselt",
    title="products with two of four weights zero",
    launches=cublas.LIBRARY.launches,
    apart=cublas.LIBRARY.apart,
    support=(
        Support(
            ("gemm",),
            {**dict.fromkeys(HALVES, SKIPPING), "fp8": SINCE_ADA, "int8": SKIPPING},
            "cuSPARSELt documentation, cusparseLtMatmul; hipSPARSELt; torch 2.11,"
            " SparseSemiStructuredTensorCUSPARSELT",
            multiples={
                each: {"N": step, "K": step}
                for step, formats in ((16, HALVES), (32, ("fp8", "int8")))
                for each in formats
            },
            structured=True,
        ),
    ),
    borrows={"gemm": "gemm:cublas"},
)
