"""Shapes beyond those of `shapes.py`, where a library changes its kernel or refuses.

Row kernels below 64 columns, and of few bytes or few long rows; reductions to few outputs; fp8
products with a scale for each row, and with sizes that are no multiple of 16; attention with many
query heads for each KV head; grouped fp8 products. Drawn as those of `shapes.py` are: seeded,
log-uniform, a third odd, within the same limits of work and memory.

Sources: multi-query attention with 71 heads is Falcon-7B's (head size 64) and with 48 GPT-BigCode's
(published config.json files), 128 heads over one latent KV head DeepSeek-V3's, whose heads of 576
and 512 numbers stand for those that SDPA refuses. `torch._scaled_mm` takes fp8 in multiples of 16.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from hwmodel.validation.measure.shapes import (
    ITEM_BYTES,
    Case,
    draw_gemm,
    draw_moe,
    draws,
    round_robin,
    size,
    tokens,
)

NORMS, ELEMENTWISE = ("softmax", "rmsnorm", "layernorm"), ("copy", "add", "gelu")
NARROW_COLS, MOST_NARROW_ROWS = 63, 4_000_000
SMALL_BYTES = (1 << 10, 4 << 20)
FEW_ROWS, LONG_COLS = 132, (1 << 12, 1 << 20)
THIN, MANY = 127, (128, 1 << 17)
DEEP, LONG_DOT = (16, 1 << 15), (1 << 10, 1 << 26)
"""Terms of a thin product's sum, and of a dot product's."""
OUTPUTS, REDUCED = 4096, (1 << 10, 1 << 28)
MOST_REDUCED_BYTES = 1.1e9
ROW_SCALES = ("cublas-row-scales", "cublas-row-scales-fast-accum")
GROUPED_ROW_SCALES = "torch-row-scales"
GROUPS = (16, 32, 48, 64, 65, 71, 96, 128)
GROUP_ODDS = (0.06, 0.08, 0.06, 0.16, 0.16, 0.16, 0.16, 0.16)
"""Query heads for each KV head."""
WIDE_HEAD_DIMS, WIDE_HEAD_ODDS = (64, 128, 256, 512, 576), (0.35, 0.35, 0.2, 0.05, 0.05)
ODD_FP8 = (
    (256, 1024, 1016), (256, 1016, 1024), (256, 1024, 1028), (256, 1028, 1024), (256, 1024, 17),
    (256, 63, 1024), (256, 1025, 1024), (256, 1024, 1025), (255, 1024, 1024), (1, 1016, 1024),
    (17, 63, 129), (256, 24, 4096), (256, 4096, 24),
)  # fmt: skip
"""(M, N, K): N or K a multiple of 8, 4 or nothing, and one whose M alone is odd."""


def row_dtype(rng: np.random.Generator) -> str:
    """Number format of a row kernel."""
    return str(rng.choice(["bf16", "fp32", "fp16"], p=[0.5, 0.3, 0.2]))


def odd(rng: np.random.Generator) -> bool:
    """A third."""
    return bool(rng.random() < 1 / 3)


def draw_narrow(rng: np.random.Generator, family: str) -> Case:
    """A row kernel of 1 to 63 columns, a third multiples of 8, and up to millions of rows."""
    kind = rng.integers(3)
    cols = (
        8 * int(rng.integers(1, 8)) if kind == 0 else
        int(rng.integers(1, NARROW_COLS + 1)) if kind == 1 else
        size(rng, 1, NARROW_COLS)
    )  # fmt: skip
    shape = {"rows": tokens(rng, 1, MOST_NARROW_ROWS, odd(rng)), "cols": cols}
    return Case(family, "torch", row_dtype(rng), shape)


def draw_small(rng: np.random.Generator, family: str) -> Case:
    """A copy, add or gelu of 1 KiB to 4 MiB in its input."""
    dtype = row_dtype(rng)
    item = ITEM_BYTES[dtype]
    step = 1 if odd(rng) else 64
    elements = size(rng, SMALL_BYTES[0] // item, SMALL_BYTES[1] // item, step)
    cols = min(size(rng, 64, 65536, step), elements)
    return Case(family, "torch", dtype, {"rows": max(elements // cols, 1), "cols": cols})


def draw_long(rng: np.random.Generator, family: str) -> Case:
    """A norm or softmax of at most 132 rows, each of 4 Ki to 1 Mi columns."""
    step = 1 if odd(rng) else 64
    shape = {"rows": tokens(rng, 1, FEW_ROWS, odd(rng)), "cols": size(rng, *LONG_COLS, step)}
    return Case(family, "torch", row_dtype(rng), shape)


def draw_thin(rng: np.random.Generator) -> Case:
    """A product of 1 to 127 rows, or columns, or both; a quarter of these counts are one."""
    uneven = odd(rng)
    step = 1 if uneven else 8
    few = [1 if rng.random() < 0.25 else tokens(rng, 1, THIN, uneven) for _ in range(2)]
    many = size(rng, *MANY, step)
    kind = rng.integers(4)
    m, n = ((many, few[0]), (few[0], many), (few[0], few[1]), (1, 1))[kind]
    k = size(rng, *(DEEP if kind < 2 else LONG_DOT), step)
    return Case("gemm", "cublas", row_dtype(rng), {"M": m, "N": n, "K": k})


def draw_reduce(rng: np.random.Generator) -> Case:
    """A sum or maximum over all numbers, or over the last or first axis to at most 4096 outputs."""
    dtype = str(rng.choice(["fp32", "bf16"]))
    axis = str(rng.choice(["all", "last", "first"], p=[0.2, 0.4, 0.4]))
    outputs = 1 if axis == "all" else tokens(rng, 1, OUTPUTS, odd(rng))
    most = min(REDUCED[1], int(MOST_REDUCED_BYTES / ITEM_BYTES[dtype] / outputs))
    shape = {
        "op": str(rng.choice(["sum", "amax"], p=[0.65, 0.35])),
        "axis": axis,
        "outputs": outputs,
        "reduced": tokens(rng, REDUCED[0], most, odd(rng)),
    }
    return Case("reduce", "torch", dtype, shape)


def draw_wide(rng: np.random.Generator, kernel: str, *, decode: bool) -> Case:
    """Attention whose KV heads serve 16 to 128 query heads each."""
    group = int(rng.choice(GROUPS, p=GROUP_ODDS))
    kv_heads = int(rng.choice([1, 2, 4, 8], p=[0.55, 0.2, 0.15, 0.1]))
    uneven = odd(rng)
    queries = 1 if decode else tokens(rng, 16, 4096, uneven)
    shape = {
        "batch": tokens(rng, 1, 128 if decode else 8, uneven),
        "heads": group * kv_heads,
        "kv_heads": kv_heads,
        "queries": queries,
        "keys": tokens(rng, 128, 65536, uneven) if decode else queries,
        "head_dim": int(rng.choice(WIDE_HEAD_DIMS, p=WIDE_HEAD_ODDS)),
        "causal": not decode and bool(rng.random() < 0.6),
    }
    return Case("attention", kernel, "bf16", shape)


def draw_grouped(rng: np.random.Generator) -> Case:
    """An expert layer in fp8, its sizes multiples of 16."""
    drawn = draw_moe(rng)
    sizes = {name: -(-drawn.shape[name] // 16) * 16 for name in ("hidden", "intermediate")}
    return Case("moe", GROUPED_ROW_SCALES, "fp8", {**drawn.shape, **sizes})


def odd_fp8() -> Iterator[Case]:
    """The fixed fp8 products whose sizes are no multiple of 16, with one scale and with many."""
    for m, n, k in ODD_FP8:
        for kernel in ("cublas", ROW_SCALES[0]):
            yield Case("gemm", kernel, "fp8", {"M": m, "N": n, "K": k})


def edge_streams(seed: int) -> dict[str, Iterator[Case]]:
    """Streams of a sitting, by the names that the stages use; that of odd fp8 sizes ends."""

    def drawn(label: str, draw: Callable[[np.random.Generator], Case]) -> Iterator[Case]:
        return draws(seed, "edge-" + label, draw)

    def row(family: str, draw: Callable[[np.random.Generator, str], Case]) -> Iterator[Case]:
        return drawn(draw.__name__ + family, lambda rng: draw(rng, family))

    def wide(kernel: str, decode: bool) -> Iterator[Case]:
        return drawn(f"{kernel}{decode}", lambda rng: draw_wide(rng, kernel, decode=decode))

    scaled = [
        drawn(kernel, lambda rng, k=kernel: replace(draw_gemm(rng, "fp8"), kernel=k))
        for kernel in ROW_SCALES
    ]
    few = [row(f, draw) for pair in zip(ELEMENTWISE, NORMS, strict=True)
           for f, draw in zip(pair, (draw_small, draw_long), strict=True)]  # fmt: skip
    flash, cudnn = "flash-attention-2", "cudnn"
    decode = [wide(flash, True), wide(cudnn, True)]
    prefill = [wide(flash, False), wide(cudnn, False)]
    return {
        "rows-narrow": round_robin([row(family, draw_narrow) for family in NORMS]),
        "rows-small": round_robin(few),
        "reduce": drawn("reduce", draw_reduce),
        "fp8-rows": round_robin(scaled),
        "gqa-wide": round_robin([*decode, *decode, *prefill]),
        "fp8-grouped": drawn("moe8", draw_grouped),
        "fp8-odd": odd_fp8(),
        "gemm-thin": drawn("thin", draw_thin),
    }
