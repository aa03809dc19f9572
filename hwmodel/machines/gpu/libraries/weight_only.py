"""Products whose weights are stored narrower than the activations: a prior, never measured here.

Weights are converted on their way to the matrix units, which run in the activations' format: the
Marlin kernels of vLLM, torch's int4 and int8 weight-only products, TensorRT-LLM's.
"""

from hwmodel.machines.gpu.libraries.library import (
    FP8,
    GENERATIONS,
    HALVES,
    STORED,
    WORDS,
    Launch,
    Library,
    Support,
)
from hwmodel.machines.gpu.schedules import cublas, grouped

PACKED = (*STORED, "fp6", "fp4", "nf4", "int7", "int6", "int5", "int3", "int2", "int1")
"""Formats of weights that some library unpacks: bitsandbytes, HQQ, llama.cpp, FP6-LLM."""

LIBRARY = Library(
    name="weight-only",
    title="products with narrow weights",
    launches={
        "gemm": Launch(cublas.activity, cublas.menu(), cublas.resolved_alike),
        "grouped": Launch(grouped.activity, grouped.menu(), grouped.resolved),
    },
    support=(
        Support(
            ("gemm", "grouped"),
            {**HALVES, **WORDS, **FP8, "int8": GENERATIONS},
            "Frantar et al., MARLIN, arXiv 2408.11743; vLLM, Marlin kernels for dense layers and"
            " mixtures, sm_80 on; Xia et al., FP6-LLM, arXiv 2401.14112; llama.cpp, ggml-cuda",
            narrow=PACKED,
            alike=(),
        ),
    ),
    borrows={"gemm": "gemm:cublas", "grouped": "grouped:torch"},
)
