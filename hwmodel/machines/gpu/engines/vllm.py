"""vLLM's V1 engine on Hopper: FlashAttention-3, CUTLASS scaled products, Triton experts, Inductor.

What it fuses was read off the kernels that version 0.22.1 launches on an H200 (validation/data,
engine_kernels.csv): residual with norm, q and k rotated in one kernel, gate with its activation,
keys and values written by one kernel, the quantisation of what an fp8 product reads joined to the
kernel that makes it, experts chosen and summed by a kernel each. FlashInfer is off.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.engines import fused
from hwmodel.machines.gpu.engines.engine import Aside, Engine, Fusion, Graphs, Memory, Stages
from hwmodel.machines.gpu.libraries.library import priors
from hwmodel.quantity.arithmetic import where
from hwmodel.quantity.dtypes import base_of, bytes_of
from hwmodel.quantity.dtypes import dtype as format_of
from hwmodel.quantity.units import Amount

CAPTURED = (1, 2, 4, *range(8, 257, 8))
"""Tokens of the steps that a graph is captured for (vllm/config/compilation.py, up to the largest
batch; here as in the rows measured)."""


SQUARE = 32
"""Side of a block of weights from which rows are scaled by groups, too."""


def _arguments(stage: Stage) -> dict[str, Any]:
    origin = stage.cascade.origin
    return dict(origin.arguments) if origin is not None else {}


def _reads(stages: Stages, wide: str, *names: str) -> str:
    """The format in which the first of these products that is there reads its rows, or `wide`."""
    found = (_arguments(stages[name]) for name in names if name in stages)
    return next((_rows_format(each) for each in found), wide)


def _rows_format(product: Mapping[str, Any]) -> str:
    """The format of a product's rows: beside weights in square blocks, scaled by as wide groups."""
    side = math.isqrt(format_of(str(product.get("weight_dtype") or product["dtype"])).block)
    kind = str(product["dtype"])
    return f"{kind}@{side}:32" if kind == "fp8" and side >= SQUARE else kind


def _norms(stages: Stages) -> Sequence[Stage]:
    """The first norm reads the embedding alone; all others take a residual sum on the way."""
    given = _arguments(stages["attention norm"])
    rows, cols, dtype = given["rows"], given["cols"], given["dtype"]
    layers = stages["attention norm"].times
    into = _reads(stages, dtype, "qkv", "latents")
    first = fused.norm(rows, cols, dtype, out=into, added=False, name="first norm")
    norm = fused.norm(rows, cols, dtype, out=into, added=True, name="attention norm")
    last = fused.norm(rows, cols, dtype, out=dtype, added=True, name="final norm")
    more = (Stage(norm, layers - 1),) if layers > 1 else ()
    return (Stage(first), *more, Stage(last))


def _mlp_norms(stages: Stages) -> Sequence[Stage]:
    given = _arguments(stages["mlp norm"])
    out = _reads(stages, given["dtype"], "gate-up")
    made = fused.norm(
        given["rows"], given["cols"], given["dtype"], out=out, added=True, name="mlp norm"
    )
    return (Stage(made, stages["mlp norm"].times),)


def _latent_norm(stages: Stages) -> Sequence[Stage]:
    """The norm of queries' latents, narrowed where the product after it is fp8."""
    norm = stages["q latent norm"]
    given = _arguments(norm)
    rows, cols, dtype = given["rows"], given["cols"], given["dtype"]
    out = _reads(stages, dtype, "q up")
    if out == dtype:
        return (norm,)
    made = fused.norm(rows, cols, dtype, out=out, added=False, name="q latent norm")
    return (Stage(made, norm.times),)


def _head_norms(stages: Stages) -> Sequence[Stage]:
    """Norms of q's and k's heads, in one kernel."""
    q, k = _arguments(stages["q norm"]), _arguments(stages["k norm"])
    made = fused.norm(
        q["rows"] + k["rows"], q["cols"], q["dtype"], out=q["dtype"], added=False, name="qk norm"
    )
    return (Stage(made, stages["q norm"].times),)


def _rotary(stages: Stages) -> Sequence[Stage]:
    """All heads of q and of k, what is rotated of each: two halves of the width.

    Beside latents it is within the kernel that copies whole queries.
    """
    if "query join" in stages:
        return ()
    q, k = (stages[f"rotary {each} add"].cascade.sizes() for each in "qk")
    tensors = stages["rotary q add"].cascade.tensors
    made = fused.rotary(q["b"] * q["p"], q["h"] + k["h"], 2 * q["d"], tensors["Y"].dtype, "rotary")
    return (Stage(made, stages["rotary q add"].times),)


def _latents(stages: Stages) -> Sequence[Stage]:
    """Queries that have no latent of their own are a product apart from that of keys' latents."""
    both = stages["latents"]
    if "q up" in stages:
        return (both,)
    kept = _arguments(stages["latent norm"])["cols"] + _turned(stages)
    queries = _arguments(both)["N"] - kept
    return tuple(
        replace(both, cascade=both.cascade.but(N=width, name=name))
        for width, name in ((queries, "queries"), (kept, "latents"))
    )


def _turned(stages: Stages) -> Amount:
    """Elements of a head beside latents that are rotated."""
    return 2 * stages["rotary k add"].cascade.sizes()["d"]


def _copied(stages: Stages) -> Sequence[Stage]:
    """Whole queries copied as they are rotated, before latents absorb them."""
    join = stages["query join"]
    cols = _arguments(join)["cols"]
    if "q absorb" in stages:
        cols = _arguments(stages["q absorb"])["K"] + _turned(stages)
    return (replace(join, cascade=join.cascade.but(cols=cols)),)


def _cache(stages: Stages) -> Sequence[Stage]:
    given = _arguments(stages["kv write"])
    tokens, heads = given["batch"] * given["tokens"], 2 * given["kv_heads"]
    kinds = given["dtype"], given["kv_dtype"] or given["dtype"]
    made = fused.cached(tokens, heads, given["head_dim"], *kinds, "kv write")
    both = stages["kv write"].times
    times = both // 2 if isinstance(both, int) else both / 2
    return (Stage(made, times), *_queries(stages, times, *kinds))


def _queries(stages: Stages, times: Amount, dtype: str, kv_dtype: str) -> Sequence[Stage]:
    """Queries narrowed as the cache is, whose products with its keys are of one format."""
    if bytes_of(kv_dtype) >= bytes_of(dtype) or "attention output" not in stages:
        return ()
    rows = _arguments(stages["attention output"])
    made = parse(
        "Y[r, c] = cast(X[r, c])",
        sizes={"r": rows["M"], "c": rows["K"]},
        dtypes={"X": dtype, "Y": kv_dtype},
        name="queries to fp8",
    )
    return (Stage(made, times),)


def _narrowed(stages: Stages) -> Sequence[Stage]:
    """Attention's rows are narrowed by a kernel of their own, where the product after it is fp8."""
    product = stages["attention output"]
    given = _arguments(product)
    wide = str(given.get("out_dtype") or given["dtype"])
    if given["dtype"] == wide:
        return (product,)
    out = _rows_format(given)
    made = fused.narrowed(given["M"], given["K"], wide, out=out, name="attention to fp8")
    return (Stage(made, product.times), product)


ACTIVATIONS = ("silu", "gelu", "gelu_tanh")


def _gated(name: str) -> Callable[[Stages], Sequence[Stage]]:
    """A gate's activation and product, whatever the function."""

    def makes(stages: Stages) -> Sequence[Stage]:
        given, sizes = _arguments(stages[name]), stages[name].cascade.sizes()
        shape = sizes["r"], sizes["c"], given["dtype"]
        made = fused.gated(*shape, out=_reads(stages, given["dtype"], "down"), name="gate")
        return (Stage(made, stages[name].times),)

    return makes


EXPERTS = ("experts gate-up", "experts up")


def _first(stages: Stages, *names: str) -> Stage:
    """The first of these stages that is there."""
    return next(stages[name] for name in names if name in stages)


ALONE = 4
"""Experts for each row of a token from which blocks take a row each, unsorted (recalled: vllm,
fused_moe.py, SPARSITY_FACTOR; an H200's steps of one token agree)."""

FEW_ROWS, FEW_EXPERTS, PASSES = 1024, 64, 5
"""Rows and experts up to which one block does all the sorting, in passes that wait for each other
(recalled: vllm, moe_align_sum_kernels.cu; an H200: 8.7 us of 48 rows, 11.6 of 768)."""

TORCHS = {"experts choice": 4, "experts mask": 4}
"""Kernels of a router that torch runs: a softmax, two selections in three passes together, and what
stands between them (an H200's steps of DeepSeek-V2-Lite), which its host launches in 390 us where
a fused one takes 77: as five kernels."""


def _chosen(stages: Stages) -> Sequence[Stage]:
    """Scores of the router's logits and the choice of experts in one kernel, then their rows.

    DeepSeek-V2's router (a softmax, in groups, beside latents) is torch's. Rows are sorted by one
    block that reads all their experts, and placed by a kernel after it, unless they are few.
    """
    experts_in = _first(stages, *EXPERTS)
    given, times = _arguments(experts_in), experts_in.times
    routed = _arguments(stages["router"])
    tokens, dtype, experts, picks = routed["M"], routed["dtype"], given["experts"], given["top_k"]
    chosen = parse(
        "PEAK[r] = max(c) X[r, c]\nW[r, c] = exp(X[r, c] - PEAK[r])",
        sizes={"r": tokens, "c": experts},
        dtypes={"*": "fp32", "X": dtype},
        name="experts choice",
    )
    masked = parse(
        "Y[r, c] = copy(X[r, c])",
        sizes={"r": tokens, "c": experts},
        dtypes={"*": "fp32"},
        name="experts mask",
    )
    torchs = "latents" in stages and "router softmax" in stages
    kernels = TORCHS if torchs else {"experts choice": 1}
    made = [(kernel, kernels.get(kernel.name, 0)) for kernel in (chosen, masked)]
    found = [Stage(kernel, count * times) for kernel, count in made if count]
    return (*found, *_aligned(tokens * picks, experts, times))


def _aligned(rows: Amount, experts: Amount, times: Amount) -> list[Stage]:
    """Rows sorted by their experts, and placed."""
    read = "PEAK[r] = max(n) X[r, n]\nY[r, n] = X[r, n] - PEAK[r]"
    ranked = parse(read, sizes={"r": 1, "n": rows}, dtypes={"*": "int32"}, name="rows align")
    placed = parse("Y[n] = copy(X[n])", sizes={"n": rows}, dtypes={"*": "int32"}, name="rows place")
    together = np.asarray(np.less(rows, FEW_ROWS) & np.less_equal(experts, FEW_EXPERTS))
    sorts = where(np.asarray(rows * ALONE > experts), 1, 0)
    runs = ((ranked, sorts * where(together, PASSES, 1)), (placed, sorts * where(together, 0, 1)))
    return [Stage(kernel, times * _plain(count)) for kernel, count in runs if np.any(count)]


def _plain(count: Any) -> Amount:
    return count if np.ndim(count) else int(count)


def _squared(name: str) -> Callable[[Stages], Sequence[Stage]]:
    """ReLU and its square, which torch runs one after the other."""

    def makes(stages: Stages) -> Sequence[Stage]:
        return (replace(stages[name], times=2 * stages[name].times),)

    return makes


CLAMPED = "clamped silu"


def _expert_gate(name: str) -> Callable[[Stages], Sequence[Stage]]:
    """The gate of experts; in mxfp4 it is in the epilogue of the product before it."""

    def makes(stages: Stages) -> Sequence[Stage]:
        act = stages[f"experts {name}"]
        sizes, dtype = act.cascade.sizes(), _arguments(act)["dtype"]
        first = _arguments(stages["experts gate-up"]) if "experts gate-up" in stages else {}
        if base_of(str(first.get("weight_dtype"))) == "mxfp4":
            return ()
        shape = sizes["r"], sizes["c"], dtype
        made = fused.gated(*shape, out=_reads(stages, dtype, "experts down"), name="experts gate")
        return (Stage(made, act.times),)

    return makes


def _joined(kind: str) -> Callable[[Stages], Sequence[Stage]]:
    """A norm that takes a residual sum on the way, in the layers that rules above do not know."""

    def makes(stages: Stages) -> Sequence[Stage]:
        norm = stages[kind]
        given = _arguments(norm)
        out = given["dtype"]
        made = fused.norm(given["rows"], given["cols"], out, out=out, added=True, name=kind)
        return (Stage(made, norm.times),)

    return makes


RESIDUALS = (
    *((f"{kind} residual", f"{kind} norm") for kind in ("mamba", "moe", "mixer")),
    *((f"{kind} residual", f"{kind} output norm") for kind in ("attention", "mlp")),
)
"""Residual sums and the norms beside them, of hybrids and of norms behind a block."""


def _summed(stages: Stages) -> Sequence[Stage]:
    given, rows = _arguments(_first(stages, *EXPERTS)), stages["index_add"].cascade.sizes()
    dtype = given.get("out_dtype") or given["dtype"]
    made = fused.summed(rows["t"], rows["k"], given["K"], dtype, "experts sum")
    return (Stage(made, stages["experts down"].times),)


SAMPLED = {
    "logits to fp32": "Y[b, v] = cast(X[b, v])",
    "temperature": "Y[b, v] = X[b, v] / T[b]",
    "probabilities": (
        "PEAK[b] = max(v) X[b, v]\nNUM[b, v] = exp(X[b, v] - PEAK[b])\n"
        "SUM[b] = sum(v) NUM[b, v]\nY[b, v] = NUM[b, v] / SUM[b]"
    ),
    "random": "Y[b, v] = 1",
    "race": "Y[b, v] = X[b, v] / Z[b, v]",
    "token": "Y[b] = max(v) X[b, v]",
}
"""Sampling by exponential races (vllm/v1/sample), a torch kernel each, in fp32."""


def _sampled(stages: Stages) -> Sequence[Stage]:
    """The head, and the choice of each sequence's next token at a temperature."""
    head = stages["head"]
    given = _arguments(head)
    batch, vocabulary = given["M"], given["N"] * (head.collective.ranks if head.collective else 1)
    sizes, logits = {"b": batch, "v": vocabulary}, given.get("out_dtype") or given["dtype"]
    kernels = [
        parse(
            text,
            sizes=sizes,
            dtypes={"*": "fp32"} | ({"X": logits} if name.startswith("logits") else {}),
            name=name,
        )
        for name, text in SAMPLED.items()
    ]
    return (head, *(Stage(kernel) for kernel in kernels))


FUSIONS = (
    Fusion("norms", ("attention norm", "mlp residual", "final norm"), _norms),
    Fusion("mlp norm", ("attention residual", "mlp norm"), _mlp_norms),
    Fusion("latent norm", ("q latent norm",), _latent_norm),
    Fusion("head norms", ("q norm", "k norm"), _head_norms),
    Fusion("latents", ("latents",), _latents),
    Fusion("queries", ("query join",), _copied),
    Fusion(
        "rotary",
        tuple(
            f"rotary {x} {kernel}"
            for x in "qk"
            for kernel in ("multiply", "subtract", "add", "concatenate")
        ),
        _rotary,
        also=("rotary q rest", "rotary k rest"),
    ),
    Fusion("cache", ("kv write",), _cache),
    Fusion("narrowed attention", ("attention output",), _narrowed),
    *(Fusion(f"gate, {name}", (name, "multiply"), _gated(name)) for name in ACTIVATIONS),
    Fusion(
        "choice",
        ("router top-k", "rows gather"),
        _chosen,
        also=(
            *("router softmax", "router sigmoid", "router correction", "scores gather"),
            *("weights scale", "groups' best", "groups sum", "groups top-k", "groups mask"),
            *("weights sum", "weights divide", "weights cast", "argsort", "experts range"),
            *("experts gather", "experts search", "rows divide"),
        ),
    ),
    *(
        Fusion(f"experts gate, {name}", (f"experts {name}", "experts multiply"), _expert_gate(name))
        for name in (*ACTIVATIONS, CLAMPED)
    ),
    Fusion(
        "experts sum", ("weights gather", "weights multiply", "tokens zero", "index_add"), _summed
    ),
    *(Fusion(name, (name,), _squared(name)) for name in ("experts relu squared", "relu2")),
    *(Fusion(norm, (added, norm), _joined(norm)) for added, norm in RESIDUALS),
    Fusion("sampling", ("head",), _sampled),
)

SHARED = Aside(
    "shared",
    after="experts sum",
    before="shared add",
    beneath=("router", "experts choice", "experts mask", "rows align", "rows place"),
)
"""Shared experts run on a stream of their own beside the routed ones' choice (vllm, fused_moe,
shared experts stream; on an H200 the sum of kernels is longer than the step)."""

HOST = priors(
    """
    step = 0.0022 in 0 .. 0.01: seconds of the host for a step of decode, requests apart
    request = 0.000019 in 0 .. 0.0002: seconds more for each request of a step
    gap = 0.00015 in 0 .. 0.001: seconds from the last kernel of a step to the first of the next
    alone = 0.002 in 0.001 .. 0.01: seconds before the first kernel of a prompt and after the last
    kernel = 0.000053 in 0 .. 0.0005: seconds to launch a kernel of a layer without a graph: the
        middle of hosts whose states lie at 35 and 73 us
    mixture = 0.00052 in 0 .. 0.005: seconds more to launch a layer's experts
    gathered = 0.0023 in 0 .. 0.01: the same of experts by Triton's gathered products (gpt-oss)
    piece = 0.00019 in 0 .. 0.002: seconds to launch a layer's graph and its attention
    dynamic = 0.85 in 0.5 .. 1.2: dynamic joules of a step over those of its kernels alone
    """
)

FIXED_BYTES, HELD = 1.05e9, 1.5
"""What an H200's memory holds beside weights, cache and a layer's widest product with its gate:
fitted to the cache that seven models got (validation/data, headers of 2026-11-28)."""

CORE_SHARE = 0.75
"""Its host was measured in one process with its client; what is left of scheduling in a server's:
found on one stream of a small model over HTTP (vLLM 0.22.1, H200)."""

ENGINE = Engine(
    name="vllm",
    title="vLLM",
    version="0.22.1",
    kernel={**dict.fromkeys(("attention", "grouped", "rows"), "vllm"), "gemm": "vllm:cutlass"},
    fusions=FUSIONS,
    graphs=Graphs(CAPTURED, apart=16, most=512),
    host=HOST,
    memory=Memory(0.92, 16, 8192, 256, 17000, FIXED_BYTES, HELD),
    plain=tuple(SAMPLED),
    aside=(SHARED,),
    gathers={"hopper": ("mxfp4",)},
    together=("experts mask", "rows align", "experts relu squared", "relu2"),
    reduces="vllm",
    brings=True,
    core_share=CORE_SHARE,
    narrowed={"fp32": "bf16"},  # vllm/config/model.py: dtype auto
    schemes={"fp8": "fp8"},  # its --quantization fp8 narrows activations as well
    flags=(
        "gpu_memory_utilization 0.92",
        "max_num_batched_tokens 8192",
        "max_num_seqs 256",
        "max_model_len 17000",
        f"graphs of up to {CAPTURED[-1]} tokens",
        "asynchronous scheduling",
        "FlashInfer off",
        "prefix caching off",
    ),
)
