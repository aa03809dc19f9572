"""cuBLAS, behind torch's linear layers and products with one scale for each operand."""

from hwmodel.machines.gpu.libraries.library import (
    AMD,
    BLACKWELL,
    BY_WARP,
    FP8,
    HALVES,
    SINCE_TURING,
    SIXTEEN,
    WORDS,
    Launch,
    Library,
    Measured,
    Reported,
    Sampled,
    Support,
    of_dtype,
)
from hwmodel.machines.gpu.regimes import PRODUCTS
from hwmodel.machines.gpu.schedules import cublas, pair_tiles, warp_tiles

LIBRARY = Library(
    name="cublas",
    title="cuBLAS",
    launches={"gemm": Launch(cublas.activity, cublas.menu(), cublas.resolved, regimes=PRODUCTS)},
    apart={
        **{
            each: {"gemm": Launch(cublas.activity, warp_tiles.CUBLAS, warp_tiles.of_cublas)}
            for each in BY_WARP
        },
        "blackwell": {"gemm": Launch(cublas.activity, pair_tiles.MENU, pair_tiles.resolved)},
    },
    support=(
        Support(
            ("gemm",),
            {**HALVES, **WORDS, **FP8, "int8": SINCE_TURING, "nvfp4": BLACKWELL},
            "cuBLAS 13 documentation, cublasLtMatmul; torch._scaled_mm: fp8 from sm_89 on, K and N"
            " multiples of 16 (torch 2.11 refuses others); torch._int_mm: multiples of 8; fp4 in"
            " blocks of 16 on sm_100 and sm_120",
            multiples={**SIXTEEN, "int8": {"N": 8, "K": 8}},
            elsewhere=dict.fromkeys(AMD, "hipBLASLt"),
        ),
    ),
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        (
            "hwmodel.validation.measure.shapes:streams",
            "hwmodel.validation.measure.edges:edge_streams",
        ),
        {
            "gemm": Sampled(0.10, 300, launches=700, plan=("essentials", "depth")),
            "gemm-other": Sampled(0.06, 130, launches=900, plan=("more",)),
            "gemm-fp8": Sampled(0.08, 180, launches=400, plan=("more",)),
            "fp8-odd": Sampled(0.01),
            "gemm-thin": Sampled(0.06, 300),
        },
    ),
    by_row={"gemm": "cublas-row-scales"},
    reported=(
        Reported("GEMM bf16", of_dtype("bf16")),
        Reported("GEMM fp16/32", of_dtype("fp16", "tf32", "fp32")),
        Reported("GEMM fp8", of_dtype("fp8")),
    ),
)
