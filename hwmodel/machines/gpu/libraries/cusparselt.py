"""Products with weights of which two in each four along K are zero (`weight_dtype=bf16~2:4`).

What cuSPARSELt (behind torch's semi-structured tensors) runs: nonzeros and their places (2 bits
each) are read, and the matrix units skip the zeros (Mishra et al., "Accelerating Sparse Deep Neural
Networks", arXiv 2104.08378; PTX ISA, mma.sp, wgmma.mma_async.sp). Costed as cuBLAS' kernels with
narrower weights on units that are faster; operations count the zeros, as of dense weights.

What differs was fitted to 18 products each of 16 and of 8 bits on an H200 (cuSPARSELt 0.8, torch
2.11; `zeros.csv` of `validation/data`), each with the algorithm that its search finds: of 30 others
of that board, and 15 of another, errors are 8 % in the mean, 17 at the 90th percentile (clusters of
two or four that share one side: with cuBLAS's of eight they were 10). The
algorithm that torch takes unasked needs 1 to 3 times as long, the more the fewer the rows. Kernels
of 16 bits read a third of what the DRAM could bring, so that few rows take longer than dense ones.
"""

from dataclasses import replace

from hwmodel.machines.gpu.libraries import cublas
from hwmodel.machines.gpu.libraries.library import (
    HALVES,
    NVIDIA,
    SINCE_ADA,
    Library,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import cublas as schedule

SKIPPING = (*NVIDIA, "cdna3", "cdna4")
"""Generations whose matrix units skip zeros (white papers of NVIDIA Ampere and AMD CDNA 3)."""
SOURCE = (
    "cuSPARSELt documentation, cusparseLtMatmul; hipSPARSELt; torch 2.11,"
    " SparseSemiStructuredTensorCUSPARSELT"
)
SPREAD = (0.78, 1.28)
"""Of measured over predicted times on rows that the fit did not see: what holds 90 % of them."""
DIFFERS = """
    structured = 1 in 0.3 .. 1: share of the datasheet's rate with sparsity, where dense products
        reach theirs
    dram = {} in 0.1 .. 1: share of the DRAM's bandwidth at which values and places are read
    slice = {} in 20 .. 5000: clocks that a slice of K takes at least
    launch = {} in 0.3 .. 20: kernel to kernel in a graph, in graph launches
    queue = {} in 0 .. 20: what is left once the last byte has come, in DRAM latencies
"""


_PRODUCTS = cublas.LIBRARY.launches["gemm"]


def _library(name: str, title: str, support: Support, *differs: float) -> Library:
    return Library(
        name=name,
        title=title,
        launches={"gemm": replace(_PRODUCTS, resolve=schedule.resolved_alike)},
        apart=cublas.LIBRARY.apart,
        support=(support,),
        borrows={"gemm": "gemm:cublas"},
        priors={"gemm": priors(DIFFERS.format(*differs), SPREAD)},
    )


EIGHT = _library(
    "cusparselt:8-bit",
    "products of 8 bits with two of four weights zero",
    Support(
        ("gemm",),
        {"fp8": SINCE_ADA, "int8": SKIPPING},
        SOURCE,
        multiples={each: {"N": 32, "K": 32} for each in ("fp8", "int8")},
        structured=True,
    ),
    *(0.818, 528, 6.47, 2.03),
)
LIBRARY = replace(
    _library(
        "cusparselt",
        "products with two of four weights zero",
        Support(
            ("gemm",),
            dict.fromkeys(HALVES, SKIPPING),
            SOURCE,
            multiples={each: {"N": 16, "K": 16} for each in HALVES},
            structured=True,
        ),
        *(0.343, 652, 10.17, 0.01),
    ),
    instead={"gemm": (EIGHT.name,)},
)
