"""Cases at random that laws are held to: lines of a cases file, or cascades in notation with sizes.

What they are fields of is said by `tests/laws.py`.
"""

import math
from typing import Any, TypeAlias

from hypothesis import strategies as st

Case: TypeAlias = dict[str, Any]

GPUS = ("h200", "h100", "a100", "b200", "b300", "l40s", "mi300x")
OTHERS = ("fusemax", "flat", "flat-edge", "i9-14900", "raspberry-pi-5", "u250", "u280", "zcu102")
BOARDS = ("stm32h743", "stm32f746", "stm32f412", "nrf52840")
FORMATS = ("bf16", "fp16", "tf32", "fp32", "fp8", "int8")
MODELS = ("llama-3.1-8b", "qwen2.5-7b", "qwen3-30b-a3b", "mistral-7b-v0.1", "mixtral-8x7b")
ROWS = ("softmax", "rmsnorm", "layernorm", "gelu", "add", "copy")
EIGHT_BITS = ("fp8", "int8")
TEXTS = (
    "Y[m, n] = X[m, n]",
    "Y[m, n] = exp(X[m, n]) * S[n]",
    "tensor U[n, k]: weight\nY[m, n] = X[m, n] + B[n]",
    "M[m] = max(n) X[m, n]\nY[m, n] = X[m, n] / M[m]",
    "tensor W[n, k]: weight\nZ[m, n] = A[m, k] * W[n, k]\nY[m, n] = max(Z[m, n], 0)",
    "tensor W[n, k]: weight\ntensor V[k, n]: weight\n"
    "Z[m, n] = A[m, k] * W[n, k]\nY[m, k] = Z[m, n] * V[k, n]",
    "tensor W[b, n, k]: weight\nZ[b, m, n] = A[b, m, k] * W[b, n, k]",
)
"""Cascades of a user: maps, reductions, products, one that declares more than it reads."""


@st.composite
def sizes(draw: st.DrawFn, low: int, high: int) -> int:
    """A whole number, log-uniform between two ends; often a multiple of 8, 64 or a power of two."""
    value = int(low * (high / low) ** (draw(st.integers(0, 4096)) / 4096))
    grain = draw(st.sampled_from((1, 1, 8, 64, 0)))
    if grain == 0:
        return max(low, 2 ** int(math.log2(value)))
    return max(low, value // grain * grain)


@st.composite
def gemms(draw: st.DrawFn) -> Case:
    case: Case = {
        "workload": "gemm",
        **{name: draw(sizes(1, 65536)) for name in "MNK"},
        "dtype": draw(st.sampled_from(FORMATS)),
        "on": draw(st.sampled_from(GPUS)),
    }
    if draw(st.integers(0, 3)) == 0:
        case |= {"batch": draw(sizes(1, 64))}
    if case["dtype"] in EIGHT_BITS:  # the libraries take them in multiples of 16 only
        case |= {name: max(16, case[name] // 16 * 16) for name in "MNK"}
    elif draw(st.booleans()):
        case |= {"bias": draw(st.booleans())}
    if draw(st.integers(0, 3)) == 0:
        case |= {"kernel": "triton"}
    elif case["dtype"] == "fp8":
        case |= {"kernel": draw(st.sampled_from(("cublas", "cublas-fast-accum")))}
    return case


@st.composite
def attentions(draw: st.DrawFn) -> Case:
    kv_heads, group = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from((1, 2, 4, 8, 12)))
    few = draw(st.booleans())
    queries = draw(st.integers(1, 4)) if few else draw(sizes(5, 16384))
    case = {
        "workload": "attention",
        "batch": draw(sizes(1, 256)),
        "heads": kv_heads * group,
        "kv_heads": kv_heads,
        "queries": queries,
        "keys": queries + draw(sizes(1, 32768)),
        "head_dim": draw(st.sampled_from((64, 80, 96, 128, 192, 256))),
        "causal": draw(st.booleans()),
        "dtype": draw(st.sampled_from(("bf16", "fp16"))),
        "on": draw(st.sampled_from(GPUS)),
    }
    kernel = draw(st.sampled_from((None, None, "cudnn", "triton", "flash-attention-4")))
    if kernel == "flash-attention-4":
        kernel = None if few else kernel
        case |= {"on": draw(st.sampled_from(("b200", "b300"))), "dtype": "bf16"}
    return case if kernel is None else {**case, "kernel": kernel}


def row_kernels() -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(
        {
            "workload": st.sampled_from(ROWS),
            "rows": sizes(1, 2**20),
            "cols": sizes(1, 2**20),
            "dtype": st.sampled_from(("bf16", "fp16", "fp32")),
            "on": st.sampled_from(GPUS),
        },
        optional={"kernel": st.just("triton")},
    )


@st.composite
def experts(draw: st.DrawFn) -> Case:
    count = draw(st.sampled_from((8, 16, 64, 128)))
    return {
        "workload": "moe",
        "tokens": draw(sizes(1, 16384)),
        "experts": count,
        "top_k": draw(st.sampled_from((1, 2, 4, 8))),
        "hidden": draw(sizes(256, 8192)),
        "intermediate": draw(sizes(256, 16384)),
        "routing": draw(st.sampled_from(("balanced", "uniform"))),
        "on": draw(st.sampled_from(GPUS)),
    }


@st.composite
def models(draw: st.DrawFn) -> Case:
    phase, size = draw(st.sampled_from((("decode", "context"), ("prefill", "prompt"))))
    return {
        "workload": "llm",
        "config": draw(st.sampled_from(MODELS)),
        "phase": phase,
        "batch": draw(sizes(1, 128 if phase == "decode" else 8)),
        size: draw(sizes(1, 16384)),
        "on": draw(st.sampled_from(GPUS)),
    }


def collectives() -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(
        {
            "workload": st.just("collective"),
            "op": st.sampled_from(("all_reduce", "all_gather", "reduce_scatter", "all_to_all")),
            "bytes": sizes(64, 2**32),
            "ranks": st.sampled_from((2, 4, 8)),
            "on": st.sampled_from(("h200", "h100", "a100", "b200")),
        }
    )


@st.composite
def cascades(draw: st.DrawFn) -> Case:
    text = draw(st.sampled_from(TEXTS))
    wanted = [rank for rank in "bmnk" if f"{rank}," in text or f"{rank}]" in text]
    return {
        "text": text,
        "sizes": {rank: draw(sizes(1, 64 if rank == "b" else 16384)) for rank in wanted},
        "dtype": draw(st.sampled_from(("bf16", "fp32"))),
        "on": draw(st.sampled_from(GPUS)),
    }


@st.composite
def elsewhere(draw: st.DrawFn) -> Case:
    """Work on spatial arrays, FPGAs, CPUs and microcontrollers."""
    if draw(st.integers(0, 4)) == 0:
        return {
            "workload": "cnn",
            "network": "mobilenetv2",
            "resolution": draw(st.sampled_from((48, 64, 96, 128))),
            "width": draw(st.sampled_from((0.35, 0.5, 1.0))),
            "on": draw(st.sampled_from(BOARDS)),
        }
    case = draw(st.one_of(gemms(), attentions(), row_kernels(), experts(), models(), cascades()))
    case = {name: value for name, value in case.items() if name != "kernel"}
    if case.get("dtype") in ("tf32", "fp8"):
        case["dtype"] = "fp16"
    return {**case, "on": draw(st.sampled_from(OTHERS))}


KERNELS = st.one_of(gemms(), attentions(), row_kernels(), experts(), cascades())
"""One workload on one GPU."""
GPU = st.one_of(KERNELS, models(), collectives())
ALL = st.one_of(GPU, GPU, elsewhere())
