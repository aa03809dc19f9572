"""No answer depends on its neighbours: alone and among strangers it is the same to the last bit.

Sizes and counts stay below 2**53, as floats hold them exactly. Strangers are drawn so that every
rule that has a threshold has points on both sides of it in one array.
"""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

import hwmodel as hw
from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.einsum.workloads.collective import collective as exchange
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.nccl import ON_ONE_SWITCH
from hwmodel.verbs.cases import predict_lines
from tests.strangers import answer, check, differences
from tests.thorough import thorough, tried

Draw: TypeAlias = Callable[[np.random.Generator, int], NDArray[np.float64]]
POINTS = 10


def sizes(low: int, high: int) -> Draw:
    """Whole numbers between two ends, as likely in each octave."""
    return lambda random, n: np.floor(np.exp(random.uniform(np.log(low), np.log(high + 1), n)))


def one_of(*values: int) -> Draw:
    return lambda random, n: random.choice(np.array(values, dtype=np.float64), n)


def multiples(of: int, most: int) -> Draw:
    return lambda random, n: of * sizes(1, most)(random, n)


def drawn(axes: dict[str, Draw], seed: int, points: int = POINTS) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {name: draw(random, points) for name, draw in axes.items()}


SIDES: dict[str, Draw] = {
    **{"M": sizes(1, 40_000), "N": sizes(1, 40_000), "K": sizes(1, 40_000)},
    "batch": one_of(1, 1, 2, 7),
}
EVEN: dict[str, Draw] = SIDES | dict.fromkeys(("N", "K"), multiples(16, 2500))
"""Sides that fp8 is multiplied at."""
HEADS: dict[str, Draw] = {
    **{"batch": sizes(1, 64), "group": sizes(1, 70), "kv_heads": sizes(1, 16)},
    **{"queries": sizes(1, 4096), "more": sizes(1, 20_000)},
    "head_dim": one_of(32, 64, 96, 128, 192, 256),
}
HELD: dict[str, Draw] = HEADS | {"group": sizes(1, 16)}
"""Heads of which 8 queries, the most of our decode kernel, have its 128 rows of a KV head."""
ROWS: dict[str, Draw] = {"rows": sizes(1, 100_000), "cols": sizes(1, 100_000)}
EXPERTS: dict[str, Draw] = {
    **{"tokens": sizes(1, 20_000), "picks": one_of(1, 2, 4, 8), "times": one_of(1, 2, 16)},
    **{"hidden": one_of(1000, 2048, 4096), "intermediate": one_of(768, 1536, 14_336)},
}


def attention(**fixed: Any) -> Callable[..., Any]:
    def build(batch: Any, group: Any, kv_heads: Any, queries: Any, more: Any, head_dim: Any) -> Any:
        return hw.workloads.attention(
            batch=batch,
            heads=group * kv_heads,
            kv_heads=kv_heads,
            queries=queries,
            keys=queries + more,
            head_dim=head_dim,
            **fixed,
        )

    return build


def experts(name: str, routing: str) -> Callable[..., Any]:
    skew: dict[str, Any] = {"exponent": 1.1} if routing == "zipf" else {}

    def build(tokens: Any, picks: Any, times: Any, hidden: Any, intermediate: Any) -> Any:
        return hw.workloads.workload(
            name,
            tokens=tokens,
            experts=picks * times,
            top_k=picks,
            hidden=hidden,
            intermediate=intermediate,
            routing=routing,
            **skew,
        )

    return build


def named(name: str, **fixed: Any) -> Callable[..., Any]:
    def build(**given: Any) -> Any:
        return hw.workloads.workload(name, **fixed, **given)

    return build


def written(text: str) -> Callable[..., Any]:
    def build(**given: Any) -> Any:
        return hw.parse(text, sizes=given)

    return build


CASES: dict[str, tuple[Callable[..., Any], dict[str, Draw], tuple[str, ...], tuple[Any, ...]]] = {
    **{
        f"gemm {dtype}": (named("gemm", dtype=dtype), SIDES, ("h200", "b200"), (None, "triton"))
        for dtype in ("bf16", "fp32", "tf32")
    },
    "gemm fp8": (named("gemm", dtype="fp8"), EVEN, ("h200", "b200"), (None, "triton")),
    "gemm bias": (named("gemm", bias=True), SIDES, ("a100",), (None,)),
    "gemm int4": (named("gemm", weight_dtype="int4"), SIDES, ("h200",), (None,)),
    **{
        f"attention {words}": (attention(**words), HEADS, ("h200", "b200"), (None,))
        for words in ({"causal": False}, {"causal": True})
    },
    **{
        f"attention ours {words}": (attention(**words), HELD, ("h200", "b200"), ("triton",))
        for words in ({"causal": False}, {"causal": True})
    },
    "attention window": (attention(causal=True, window=1000), HEADS, ("h200",), (None, "cudnn")),
    "attention long": (
        attention(causal=True),
        HEADS | {"queries": sizes(9, 4096)},
        ("b200",),
        ("flash-attention-4",),
    ),
    **{
        f"{name} {dtype}": (named(name, dtype=dtype), ROWS, ("h200",), (None, "triton"))
        for name in ("softmax", "rmsnorm", "layernorm", "gelu", "silu", "add", "copy", "multiply")
        for dtype in ("bf16", "fp32")
    },
    **{
        f"{name} {routing}": (experts(name, routing), EXPERTS, ("h200",), (None,))
        for name in ("moe", "moe_layer")
        for routing in ("balanced", "uniform", "zipf")
    },
    "moe uniform triton": (experts("moe", "uniform"), EXPERTS, ("h200",), ("triton",)),
    "mlp": (
        named("mlp"),
        {"tokens": sizes(1, 20_000), "hidden": sizes(8, 8192), "intermediate": sizes(8, 20_000)},
        ("h200",),
        (None, "triton"),
    ),
    **{
        f"sum {text}": (
            written(text),
            {"r": sizes(1, 3_000_000), "c": sizes(1, 3000)},
            ("h200",),
            (None,),
        )
        for text in ("S[r] = sum(c) X[r, c]", "S[c] = max(r) X[r, c]")
    },
    "top_k": (
        named("top_k"),
        {"rows": sizes(1, 5000), "cols": sizes(16, 5000), "top_k": sizes(1, 16)},
        ("h200",),
        (None,),
    ),
    "gather": (
        named("gather"),
        {"rows": sizes(1, 50_000), "table": sizes(1, 50_000), "cols": sizes(1, 9000)},
        ("h200",),
        (None,),
    ),
}
RUNS = [
    (name, on, kernel)
    for name, (_, _, machines, kernels) in CASES.items()
    for on in machines
    for kernel in kernels
]


@pytest.mark.parametrize(("name", "on", "kernel"), RUNS)
def test_a_gpu_answers_each_point_as_it_does_alone(name: str, on: str, kernel: str | None) -> None:
    build, axes, _, _ = CASES[name]
    held = {"group": sizes(1, 8)} if kernel == "triton" and "group" in axes else {}
    check(build, drawn(axes | held, len(name)), device(on), kernel)  # 16 queries x 8: its 128 rows


@pytest.mark.parametrize("config", ["llama-3.1-8b", "qwen3-30b-a3b", "mistral-7b-v0.1"])
@pytest.mark.parametrize("kernel", [None, thorough("triton")])
def test_a_model_answers_each_point_as_it_does_alone(config: str, kernel: str | None) -> None:
    model, h200 = hw.model(config), device("h200")
    decode = drawn({"batch": sizes(1, 200), "context": sizes(16, 60_000)}, 1, 5)
    prefill = drawn({"batch": sizes(1, 8), "prompt": sizes(1, 30_000)}, 2, 5)
    prefill["prompt"][0] = 1  # a prompt of one token is no decoder step
    check(model.decode, decode, h200, kernel)
    check(model.prefill, prefill, h200, kernel)


def test_a_short_row_beside_a_long_one_is_a_short_row() -> None:
    """Found by use: 27 columns took 226 us beside 2975, and 2.7 us alone."""

    def predicted(cols: Any) -> Any:
        return hw.predict(hw.workloads.rmsnorm(rows=45_195, cols=cols), "h200")

    together = hw.sweep(predicted, cols=[27, 2975])
    apart = hw.sweep(predicted, cols=hw.each([27, 2975]))
    assert together.table["time_s"].to_list() == apart.table["time_s"].to_list()


def test_an_array_of_machines_answers_as_each_machine() -> None:
    """Processors, bandwidth and L2 vary with the sizes: no rule may round one by the others."""
    axes = SIDES | {"sms": sizes(2, 400), "l2": sizes(1_000_000, 1_000_000_000)}
    h200, columns = device("h200"), drawn(axes, 5, 30)

    def changed(sms: Any, l2: Any) -> Hardware:
        return h200.but(sms={"count": sms}, l2={"capacity_bytes": l2})

    gemm = named("gemm")
    for kernel in (None, "triton"):
        works = {name: columns[name] for name in SIDES}
        together = hw.predict(gemm(**works), changed(columns["sms"], columns["l2"]), kernel=kernel)
        for place in range(30):
            one = {name: int(column[place]) for name, column in columns.items()}
            work = gemm(**{name: one[name] for name in SIDES})
            alone = hw.predict(work, changed(one["sms"], one["l2"]), kernel=kernel)
            assert (one, differences(answer(alone, 0), answer(together, place))) == (one, {})


@pytest.mark.parametrize("op", sorted(ON_ONE_SWITCH))
@pytest.mark.parametrize("on", ["h200", "a100"])
def test_a_collective_answers_each_point_as_it_does_alone(op: str, on: str) -> None:
    columns = drawn({"bytes": sizes(1, 10**11), "ranks": sizes(1, 8)}, 3, 20)

    def both(**sizes: Any) -> Any:
        return sizes

    def ask(sizes: Any, machine: Hardware, kernel: str | None) -> Any:
        return hw.predict(exchange(op, sizes["bytes"], sizes["ranks"]), machine)

    check(both, columns, device(on), ask=ask)


MACHINES: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("flat", "flat-edge", "fusemax")},
    "spatten": {"kv_dtype": "int8"},
    **{name: {"dtype": "fp16"} for name in ("u280", "zcu104", "i9-14900", "rk3588")},
}
"""Machines that take arrays, and the formats that they want."""


@pytest.mark.parametrize("on", MACHINES)
def test_attention_of_one_and_many_queries_on_any_machine(on: str) -> None:
    columns = drawn(HEADS | {"head_dim": one_of(32, 64)}, 7)
    columns["queries"][:3] = 1
    check(attention(**MACHINES[on]), columns, device(on))


@pytest.mark.parametrize("on", [name for name in MACHINES if name != "spatten"])
def test_products_and_rows_on_any_machine(on: str) -> None:
    machine, formats = device(on), MACHINES[on]
    products = {side: sizes(1, 9000) for side in ("M", "N", "K")}
    check(named("gemm", **formats), drawn(products, 8), machine)
    short = {"rows": sizes(1, 9000), "cols": sizes(1, 9000)}
    for name in ("softmax", "copy"):
        check(named(name, **formats), drawn(short, 9), machine)
    if machine.kind == "spatial":
        return
    for name in ("rmsnorm", "gelu"):
        check(named(name, **formats), drawn(short, 10), machine)


@pytest.mark.parametrize("on", ["i9-14900", "rk3588", "xeon-8380"])
def test_models_and_experts_on_cpus(on: str) -> None:
    machine, model = device(on), hw.model("qwen3-30b-a3b")
    check(model.decode, drawn({"batch": sizes(1, 50), "context": sizes(16, 9000)}, 11, 4), machine)
    check(model.prefill, drawn({"batch": sizes(1, 5), "prompt": sizes(1, 9000)}, 12, 4), machine)


OTHERS: dict[str, tuple[str, Callable[..., Any], dict[str, Draw]]] = {
    "residual": ("h200", named("residual"), ROWS),
    "grouped_gemm": (
        "h200",
        named("grouped_gemm", routing="uniform"),
        {
            **{"tokens": sizes(1, 9000), "experts": one_of(8, 64), "top_k": one_of(1, 2, 4)},
            **{"N": sizes(64, 9000), "K": sizes(64, 9000)},
        },
    ),
    "conv2d": (
        "i9-14900",
        named("conv2d", dtype="fp16"),
        {
            **{"batch": sizes(1, 9), "channels": sizes(1, 300), "filters": sizes(1, 300)},
            **{"height": sizes(7, 99), "width": sizes(7, 99), "window": one_of(1, 3, 5, 7)},
        },
    ),
    "kmeans": (
        "i9-14900",
        named("kmeans", dtype="fp32"),
        {"points": sizes(1, 1_000_000), "clusters": sizes(1, 5000), "dims": sizes(1, 900)},
    ),
    "fft": ("i9-14900", named("fft", points=1024), {"batch": sizes(1, 9000)}),
    "attention_backward": (
        "h200",
        named("attention_backward", head_dim=64, causal=True),
        {
            **{"batch": sizes(1, 9), "heads": one_of(8, 16), "kv_heads": one_of(1, 8)},
            **dict.fromkeys(("queries", "keys"), one_of(777, 4096)),
        },
    ),
    "fft_convolution": (
        "h200",
        named("fft_convolution", length=1024),
        {"batch": one_of(2, 8, 64), "channels": sizes(1, 4096)},
    ),
    "power_attention": (
        "h200",
        named("power_attention", features=16),
        {
            **{"batch": sizes(1, 9), "tokens": sizes(1, 9000), "heads": sizes(1, 32)},
            "values": sizes(16, 256),
        },
    ),
    "rational_backward": (
        "h200",
        named("rational_backward", groups=8),
        {"rows": sizes(1, 200_000), "cols": one_of(8, 384, 768, 3072)},
    ),
    "norm_quantise": (
        "h200",
        named("norm_quantise"),
        {"rows": sizes(1, 9000), "cols": sizes(1, 16384)},
    ),
    "hyper_zzw": (
        "h200",
        named("hyper_zzw", side=32),
        {"batch": sizes(1, 64), "channels": sizes(16, 512)},
    ),
    "embedding": (
        "h200",
        named("embedding"),
        {"tokens": sizes(1, 9000), "vocabulary": sizes(9000, 200_000), "hidden": sizes(8, 9000)},
    ),
    "kv_write": (
        "h200",
        named("kv_write"),
        {
            **{"batch": sizes(1, 64), "tokens": sizes(1, 4096), "kv_heads": sizes(1, 16)},
            "head_dim": one_of(64, 128),
        },
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_workload_on_a_machine_that_runs_it(name: str) -> None:
    on, build, axes = OTHERS[name]
    check(build, drawn(axes, 13), device(on))


def test_no_shipped_workload_is_left_out() -> None:
    """Those built of whole numbers only, or of a step of several passes, take no arrays."""
    shown = {name.split()[0] for name in (*CASES, *OTHERS)} | {"llm", "collective"}
    assert {*WORKLOADS} - shown == {"pruned_attention", "cnn", "training", "serving", "exported"}


def test_lines_of_a_file_are_answered_as_each_alone() -> None:
    """Warnings too: a file's cases share a call, and what it says of one it does not of others."""
    draw = np.random.default_rng(4)

    def size(low: int, high: int) -> int:
        return int(sizes(low, high)(draw, 1)[0])

    lines: list[str] = []
    for _ in range(6):
        kinds: list[dict[str, Any]] = [
            {"workload": "gemm", "M": size(1, 40_000), "N": 16 * size(1, 3000), "K": 512},
            {"workload": "rmsnorm", "rows": size(1, 90_000), "cols": size(1, 9000)},
            {
                **{"workload": "attention", "batch": 2, "heads": 32, "head_dim": 128},
                **{"kv_heads": int(draw.choice([1, 8])), "queries": size(1, 40), "keys": 5000},
            },
            {
                **{"workload": "llm", "config": "llama-3.1-8b", "phase": "decode"},
                **{"batch": size(1, 300), "context": size(16, 200_000)},
            },
            {
                **{"workload": "collective", "op": "all_reduce"},
                **{"bytes": size(1, 10**11), "ranks": size(1, 8)},
            },
        ]
        lines += [json.dumps({**kind, "on": "h200"}) for kind in kinds]
    together = predict_lines(lines, where="cases")
    alone = [predict_lines([line], where="cases")[0] for line in lines]
    assert together == alone
    assert sum(bool(answered["warnings"]) for answered in alone) > 3


EXPRESSIONS = (
    "Y[a, b] = X[a, b] {0} Z[a, b]",
    "Y[a, b] = exp(X[a, b]) {0} Z[a]",
    "Y[a] = {1}(b) X[a, b]",
    "Y[b] = {1}(a) X[a, b]",
    "Y[a, c] = X[a, b] * Z[b, c]",
    "Y[a, c] = X[a, b] * Z[c, b]",
    "T[a] = {1}(b) X[a, b]\nY[a, b] = X[a, b] {0} T[a]",
    "T[a, c] = X[a, b] * Z[b, c]\nY[a, c] = T[a, c] {0} W[a, c]",
    "T[a, c] = X[a, b] * Z[b, c]\nS[a] = {1}(c) T[a, c]\nY[a, c] = exp(T[a, c]) / S[a]",
)
EXTENTS = st.lists(st.tuples(*[st.integers(1, 30_000)] * 3), min_size=2, max_size=6)


@tried(
    40,
    150,
    text=st.sampled_from(EXPRESSIONS),
    operator=st.sampled_from("+*-/"),
    reduction=st.sampled_from(("sum", "max")),
    dtype=st.sampled_from(("bf16", "fp32")),
    extents=EXTENTS,
)
def test_cascades_that_nobody_shipped(
    text: str, operator: str, reduction: str, dtype: str, extents: list[tuple[int, int, int]]
) -> None:
    wanted = text.format(operator, reduction)
    columns = np.array(extents, dtype=np.float64).T
    used = {rank: column for rank, column in zip("abc", columns, strict=True) if rank in wanted}

    def build(**given: Any) -> Any:
        return hw.parse(wanted, sizes=given, dtypes={"*": dtype})

    check(build, used, device("h200"))
