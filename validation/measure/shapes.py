"""Which shapes are measured: seeded draws over the ranges of real models, and fixed anchors.

Sizes are log-uniform within stated ranges, from launch-bound to saturated. A third are odd: token
counts of any integer, channel counts that are multiples of 8 (half of the odd ones), of 2 (a fifth)
or of nothing; fp8 needs multiples of 16 and grouped products multiples of 8, which they keep.
Another third of the GEMMs takes (N, K) from real models. Work is capped so that one call stays
under some 4 ms (8 ms for flash attention). The anchors are the same in every sitting, so that
boards and days can be compared.

Sources of the model sizes: the published config.json of each model named in `models.py`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np

from hwmodel.validation import irregular
from hwmodel.validation.measure.fused_work import WORK
from hwmodel.validation.rows import ROW_KERNELS
from hwmodel.validation.windows import convolution_work, pool_work

Shape = Mapping[str, Any]
ITEM_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4, "tf32": 4, "fp8": 1}
MOST_FLOP = {"bf16": 2.5e12, "fp16": 2.5e12, "tf32": 1e12, "fp32": 1.5e11, "fp8": 5e12}
HOT_FLOP_PER_S = {"bf16": 2.5e14, "fp16": 2.5e14, "tf32": 1.2e14, "fp32": 2.5e13, "fp8": 5e14}
HOT_BYTES_PER_S = 3.2e12
"""Rates above which a call may meet the power limit, and is held until its clock is steady."""
MOST_SET_BYTES = 4.5e9
MOST_POOL_BYTES = {"bf16": 5.5e9, "fp16": 1.9e9, "fp32": 3.9e9, "tf32": 3.9e9, "fp8": 1.9e9}
MODEL_LINEAR = (
    (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (128256, 4096),
    (3072, 2048), (2048, 2048), (16384, 2048), (2048, 8192), (5120, 3072), (16384, 3072),
    (3072, 8192), (4608, 3584), (3584, 3584), (37888, 3584), (3584, 18944), (152064, 3584),
    (1152, 896), (896, 896), (9728, 896), (896, 4864), (17920, 1536), (1536, 8960),
    (24576, 4096), (4096, 12288), (19456, 2560), (2560, 9728), (10240, 8192), (8192, 8192),
    (57344, 8192), (8192, 28672), (7168, 5120), (5120, 5120), (55296, 5120), (5120, 27648),
    (5120, 2048), (2048, 4096), (1536, 7168), (24576, 1536), (7168, 16384), (4096, 1024),
)  # fmt: skip
"""(N, K) of the linear layers of Llama-3.x, Qwen2.5, Qwen3, Mistral and DeepSeek-V3 models."""
HEADS = ((8, 8), (16, 16), (32, 32), (12, 12), (8, 2), (32, 8), (16, 4), (64, 16),
         (40, 8), (20, 4), (10, 2), (32, 4), (64, 8), (16, 2))  # fmt: skip
"""(heads, kv_heads): groups of 1, 4, 5 and 8."""
HEAD_DIMS, HEAD_DIM_ODDS = (64, 96, 128, 256), (0.27, 0.12, 0.46, 0.15)
MOE_MODELS = ((8, 2, 4096, 14336), (128, 8, 2048, 768), (64, 6, 2048, 1408), (16, 1, 5120, 8192),
              (64, 8, 2048, 1024), (32, 4, 2880, 2880), (60, 4, 2048, 1408))  # fmt: skip
"""(experts, top_k, hidden, intermediate) near Mixtral, Qwen3-30B, DeepSeek-V2-Lite, Llama-4 Scout
(its first 16 experts), OLMoE, gpt-oss-20b, Qwen1.5-MoE."""


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    family: str
    kernel: str
    dtype: str
    shape: Shape
    anchor: bool = False


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def size(rng: np.random.Generator, low: int, high: int, multiple: int = 1) -> int:
    """A log-uniform multiple of `multiple`, at least one of them."""
    return max(multiple, round(log_uniform(rng, low, high) / multiple) * multiple)


def odd_multiple(rng: np.random.Generator, least: int) -> int:
    """The alignment of an odd channel count: 8, 2 or 1, never below what the kernel needs."""
    return max(least, int(rng.choice([8, 2, 1], p=[0.5, 0.2, 0.3])))


def tokens(rng: np.random.Generator, low: int, high: int, odd: bool) -> int:
    """A token count: any integer, or a power of two or a multiple of 32."""
    if odd:
        return size(rng, low, high)
    drawn = log_uniform(rng, low, high)
    power = 1 << round(float(np.log2(drawn)))
    return min(high, power if rng.random() < 0.5 or drawn < 48 else round(drawn / 32) * 32)


def draw_gemm(rng: np.random.Generator, dtype: str, kernel: str = "cublas") -> Case:
    """A linear layer: a third from models, a third log-uniform and aligned, a third odd."""
    kind = rng.integers(3)
    least = 16 if dtype == "fp8" else 1
    if kind == 0:
        n, k = MODEL_LINEAR[rng.integers(len(MODEL_LINEAR))]
        m = tokens(rng, 1, 16384, bool(rng.random() < 0.3))
    elif kind == 1:
        n, k = size(rng, 128, 32768, 64), size(rng, 128, 32768, 64)
        m = tokens(rng, 1, 16384, False)
    else:
        n = size(rng, 128, 32768, odd_multiple(rng, least))
        k = size(rng, 128, 32768, odd_multiple(rng, least))
        m = tokens(rng, 1, 16384, True)
    return Case("gemm", kernel, dtype, {"M": m, "N": n, "K": k})


def draw_prefill(rng: np.random.Generator, kernel: str) -> Case:
    """Attention over many queries; a quarter of the flash cases has more keys than queries."""
    odd = bool(rng.random() < 1 / 3)
    heads, kv_heads = HEADS[rng.integers(len(HEADS))]
    causal = bool(rng.random() < 0.6)
    queries = tokens(rng, 16, 32768, odd)
    keys = queries
    if rng.random() < 0.25 and not (causal and kernel == "cudnn"):
        keys = queries + tokens(rng, 16, max(17, 7 * queries), odd)
    shape = {
        "batch": size(rng, 1, 32),
        "heads": heads,
        "kv_heads": kv_heads,
        "queries": queries,
        "keys": keys,
        "head_dim": int(rng.choice(HEAD_DIMS, p=HEAD_DIM_ODDS)),
        "causal": causal,
    }
    return Case("attention", kernel, "bf16", shape)


def draw_decode(rng: np.random.Generator, kernel: str) -> Case:
    """Attention of one query for each sequence; a single query sees every key."""
    odd = bool(rng.random() < 1 / 3)
    heads, kv_heads = HEADS[rng.integers(len(HEADS))]
    shape = {
        "batch": tokens(rng, 1, 256, odd),
        "heads": heads,
        "kv_heads": kv_heads,
        "queries": 1,
        "keys": tokens(rng, 128, 131072, odd),
        "head_dim": int(rng.choice(HEAD_DIMS, p=HEAD_DIM_ODDS)),
        "causal": False,
    }
    return Case("attention", kernel, "bf16", shape)


def draw_moe(rng: np.random.Generator) -> Case:
    """An expert layer: a third from models, a third aligned to 128, a third odd."""
    kind = rng.integers(3)
    if kind == 0:
        experts, top_k, hidden, inner = MOE_MODELS[rng.integers(len(MOE_MODELS))]
    else:
        experts = int(rng.choice([8, 16, 32, 64, 128]))
        top_k = int(rng.integers(1, 9))
        step = 128 if kind == 1 else 8
        hidden, inner = size(rng, 512, 8192, step), size(rng, 256, 16384, step)
    shape = {
        "tokens": tokens(rng, 1, 16384, bool(kind == 2)),
        "experts": experts,
        "top_k": min(top_k, experts),
        "hidden": hidden,
        "intermediate": inner,
        "routing": "balanced" if rng.random() < 0.6 else "uniform",
    }
    return Case("moe", "torch", "bf16", shape)


def draw_rows(rng: np.random.Generator, family: str) -> Case:
    """A row kernel; a third has any number of rows and columns."""
    odd = bool(rng.random() < 1 / 3)
    dtype = str(rng.choice(["bf16", "fp32", "fp16"], p=[0.7, 0.2, 0.1]))
    cols = size(rng, 64, 65536) if odd else size(rng, 64, 65536, 64)
    shape = {"rows": tokens(rng, 1, 65536, odd), "cols": cols}
    return Case(family, "torch", dtype, shape)


COUNTED = {"convolution": convolution_work, "pool": pool_work, **irregular.WORK, **WORK}
"""Families whose columns say their work by themselves."""


def work(case: Case) -> tuple[float, float, float]:
    """FLOPs (exact masked work), bytes of the inputs, and bytes of inputs and output once each."""
    s, item = case.shape, ITEM_BYTES[case.dtype]
    if case.family in COUNTED:
        return COUNTED[case.family](s, item)
    if case.family == "gemm":
        m, n, k = float(s["M"]), float(s["N"]), float(s["K"])
        out = 2 if case.dtype == "fp8" else item
        return 2 * m * n * k, (m + n) * k * item, (m + n) * k * item + m * n * out
    if case.family == "attention":
        pairs = float(s["queries"]) * s["keys"]
        if s["causal"]:
            pairs -= s["queries"] * (s["queries"] - 1) / 2
        head = float(s["batch"]) * s["head_dim"] * item
        kv = 2 * head * s["kv_heads"] * s["keys"]
        q = head * s["heads"] * s["queries"]
        return 4 * float(s["batch"]) * s["heads"] * pairs * s["head_dim"], kv + q, kv + 2 * q
    if case.family == "attention_backward":
        flop, _, once = work(replace(case, family="attention"))
        return 2.5 * flop, once, 2 * once
    if case.family == "moe":
        rows = float(s["tokens"]) * s["top_k"]
        weights = 3.0 * s["hidden"] * s["intermediate"]
        touched = least_touched(s)
        once = (touched * weights + 2 * rows * s["hidden"]) * item
        return 2 * rows * weights, (s["experts"] * weights + rows * s["hidden"]) * item, once
    if case.family == "reduce":
        read = float(s["outputs"]) * s["reduced"] * item
        return 0.0, read, read + s["outputs"] * item
    elements = float(s["rows"]) * s["cols"] * item
    reads = 2 if case.family == "add" else 1
    return 0.0, reads * elements, (reads + 1) * elements


def least_touched(s: Shape) -> float:
    """The least number of experts that a routing can touch."""
    if s["routing"] == "balanced":
        return float(min(s["experts"], s["tokens"] * s["top_k"]))
    return float(s["top_k"])


def feasible(case: Case) -> bool:
    """Whether a case fits the input pools and the time that one call may take."""
    flop, input_bytes, _ = work(case)
    if case.family == "moe":
        s = case.shape
        item = ITEM_BYTES[case.dtype]
        weights = s["experts"] * 3.0 * s["hidden"] * s["intermediate"] * item
        if weights > MOST_POOL_BYTES[case.dtype]:
            return False
    elif input_bytes > min(MOST_SET_BYTES, MOST_POOL_BYTES[case.dtype]):
        return False
    if case.family == "gemm" and case.shape["M"] * case.shape["N"] > 1e9:
        return False
    return flop <= MOST_FLOP[case.dtype]


def draws(seed: int, label: str, draw: Callable[[np.random.Generator], Case]) -> Iterator[Case]:
    """An endless stream of feasible cases; the label keeps the streams of a sitting apart."""
    rng = np.random.default_rng([seed, *label.encode()])
    while True:
        case = draw(rng)
        if feasible(case):
            yield case


def streams(seed: int) -> dict[str, Iterator[Case]]:
    """The streams of a sitting, by the names that the stages use."""
    gemm_kinds = ("fp16", "tf32", "fp32")
    fp8_kinds = ("cublas", "cublas-fast-accum")
    other = {kind: draws(seed, kind, lambda rng, d=kind: draw_gemm(rng, d)) for kind in gemm_kinds}
    fp8 = {
        kind: draws(seed, kind + "8", lambda rng, k=kind: draw_gemm(rng, "fp8", k))
        for kind in fp8_kinds
    }
    rows = {
        family: draws(seed, family, lambda rng, f=family: draw_rows(rng, f))
        for family in ROW_KERNELS
    }
    flash, cudnn = "flash-attention-2", "cudnn"
    return {
        "gemm": draws(seed, "bf16", lambda rng: draw_gemm(rng, "bf16")),
        "gemm-other": round_robin([other[kind] for kind in gemm_kinds]),
        "gemm-fp8": round_robin([fp8[kind] for kind in fp8_kinds]),
        "prefill-flash": draws(seed, "pf", lambda rng: draw_prefill(rng, flash)),
        "prefill-cudnn": draws(seed, "pc", lambda rng: draw_prefill(rng, cudnn)),
        "decode-flash": draws(seed, "df", lambda rng: draw_decode(rng, flash)),
        "decode-cudnn": draws(seed, "dc", lambda rng: draw_decode(rng, cudnn)),
        "moe": draws(seed, "moe", draw_moe),
        "rows": round_robin([rows[family] for family in ROW_KERNELS]),
    }


def round_robin(sources: list[Iterator[Case]]) -> Iterator[Case]:
    """One from each in turn."""
    for source in cycle(sources):
        yield next(source)


def anchors() -> list[Case]:
    """The fixed cases of every sitting."""
    cases: list[Case] = []

    def gemms(dtype: str, sizes: list[tuple[int, int, int]], kernel: str = "cublas") -> None:
        cases.extend(
            Case("gemm", kernel, dtype, {"M": m, "N": n, "K": k}, True) for m, n, k in sizes
        )

    gemms("bf16", [(1, 4096, 4096), (16, 6144, 4096), (64, 28672, 4096), (128, 4096, 14336),
                   (256, 4096, 4096), (512, 28672, 4096), (777, 3333, 1111), (1024, 1024, 1024),
                   (2048, 28672, 4096), (4096, 4096, 4096), (8192, 8192, 8192), (32, 128256, 4096),
                   (2048, 256, 16384)])  # fmt: skip
    gemms("fp8", [(1, 4096, 4096), (64, 28672, 4096), (512, 4096, 14336), (2048, 28672, 4096),
                  (8192, 8192, 8192)])  # fmt: skip
    gemms("fp8", [(2048, 28672, 4096)], "cublas-fast-accum")
    gemms("fp16", [(1024, 4096, 4096)])
    gemms("tf32", [(1024, 4096, 4096), (4096, 4096, 4096)])
    gemms("fp32", [(64, 4096, 4096), (2048, 2048, 2048)])
    for kernel in ("flash-attention-2", "cudnn"):
        for b, h, hk, q, k, d, causal in (
            (1, 32, 8, 256, 256, 128, True), (1, 32, 8, 2048, 2048, 128, True),
            (1, 32, 8, 8192, 8192, 128, True), (8, 16, 16, 1024, 1024, 64, False),
            (2, 40, 8, 1500, 1500, 128, True), (4, 16, 2, 4096, 4096, 256, True),
            (1, 32, 8, 1, 2048, 128, False), (32, 32, 8, 1, 2048, 128, False),
            (64, 32, 8, 1, 8192, 128, False), (1, 64, 8, 1, 65536, 128, False),
            (128, 16, 16, 1, 777, 64, False),
        ):  # fmt: skip
            shape = {"batch": b, "heads": h, "kv_heads": hk, "queries": q, "keys": k}
            shape |= {"head_dim": d, "causal": causal}
            cases.append(Case("attention", kernel, "bf16", shape, True))
    for t, (e, top_k, h, i), routing in (
        (1, MOE_MODELS[0], "balanced"), (64, MOE_MODELS[0], "uniform"),
        (2048, MOE_MODELS[0], "balanced"), (16, MOE_MODELS[1], "uniform"),
        (512, MOE_MODELS[1], "balanced"), (8192, MOE_MODELS[1], "uniform"),
    ):  # fmt: skip
        shape = {"tokens": t, "experts": e, "top_k": top_k, "hidden": h, "intermediate": i}
        cases.append(Case("moe", "torch", "bf16", shape | {"routing": routing}, True))
    for family in ROW_KERNELS:
        for rows, cols in ((64, 4096), (4096, 4096), (32768, 8192)):
            cases.append(Case(family, "torch", "bf16", {"rows": rows, "cols": cols}, True))
    return cases
