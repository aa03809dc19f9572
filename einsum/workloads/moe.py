"""Mixture of experts: grouped products over rows that routing has sent to experts.

`moe` is the expert layer alone: `tokens * top_k` rows, already permuted by expert, through a
grouped gate-and-up product, SiLU, multiply and a grouped down product. `expert_kernels` is the same
as the four kernels of a library. `dispatch.py` has the routing around it.

The rows of each expert are a data-dependent rank: `balanced` spreads the rows as evenly as they can
be; `uniform` lets each token draw top_k distinct experts at random, so that
E(1 - (1 - top_k/E)^tokens) of the E experts are touched on average (a token misses a given expert
with probability 1 - top_k/E, tokens independently); `zipf` has an expert's load fall with its place
in the order of loads to the power `exponent`; `power_law` draws each load from a density that falls
to that power (`einsum.distribution`), of which the fullest device's are taken where several divide
the experts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.distribution import fullest_share
from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.rows import activation, gate_activation, kernel_of, up_multiply
from hwmodel.einsum.workloads.workload import formats, instance, once, product_format, whole
from hwmodel.quantity.arithmetic import ceil_div, floor_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount, amount

ROUTINGS = {
    "balanced": "balanced(tokens, picks{})",
    "uniform": "uniform(tokens, picks{})",
    "zipf": "zipf(tokens, picks, exponent{})",
    "power_law": "power(tokens, picks, exponent{})",
}
SKEWED = ("zipf", "power_law")
"""Routings that have an exponent."""
"""Routing -> how rows spread over experts; where devices divide these, how many follows."""
_ALONE, _DIVIDED = "", ", ways"
_LAYER = """
rank t(x) ~ {routing}
rank j = 2, o = d
tensor W[x, j, i, d]: weight
tensor WD[x, o, i]: weight
H[j, x, t, i] = X[x, t, d] * W[x, j, i, d]
G[x, t, i] = silu(H[0, x, t, i])
A[x, t, i] = G[x, t, i] * H[1, x, t, i]
Y[x, t, o] = A[x, t, i] * WD[x, o, i]
"""
_UNGATED = """
rank t(x) ~ {routing}
rank o = d
tensor W[x, i, d]: weight
tensor WD[x, o, i]: weight
H[x, t, i] = X[x, t, d] * W[x, i, d]
A[x, t, i] = silu(H[x, t, i])
Y[x, t, o] = A[x, t, i] * WD[x, o, i]
"""
_GROUPED = """
rank t(x) ~ {routing}
tensor W[x, n, k]: weight
C[x, t, n] = A[x, t, k] * W[x, n, k]
"""
_LAYER_TEXTS, _UNGATED_TEXTS, _GROUPED_TEXTS = (
    {
        (name, divided): text.format(routing=form.format(_DIVIDED if divided else _ALONE))
        for name, form in ROUTINGS.items()
        for divided in (False, True)
    }
    for text in (_LAYER, _UNGATED, _GROUPED)
)


@once
@checked
def moe(
    tokens: Amount,
    experts: Amount,
    top_k: Amount,
    hidden: Amount,
    intermediate: Amount,
    routing: str = "balanced",
    exponent: float | None = None,
    dtype: str = "bf16",
    weight_dtype: str | None = None,
    gated: bool = True,
    ways: Amount = 1,
    name: str = "moe",
) -> Cascade:
    """The expert layer on `tokens * top_k` rows; 6 FLOP per row, hidden and intermediate if gated.

    `routing` is "balanced", "uniform", "zipf" or "power_law" (both with `exponent`). Experts that
    are not `gated` have one matrix for gate and up, 4 FLOP. Of `ways` devices that divide the
    experts the layer is that of one: `experts / ways` of them, and `top_k / ways` picks of a token
    on average, with "power_law" of the fullest. Without
    router, permutation and combination. Raises `InputError` naming the argument at fault.
    """
    arguments = {**locals()}
    sizes = whole("moe", tokens=tokens, hidden=hidden, intermediate=intermediate)
    spread = _spread("moe", tokens, experts, top_k, routing, exponent, ways)
    given = formats("moe", dtype=dtype, weight_dtype=weight_dtype or dtype)
    out, stored = product_format(given["dtype"]), given["weight_dtype"]
    return instance(
        "moe",
        moe,
        (_LAYER_TEXTS if gated else _UNGATED_TEXTS)[_known(routing), "ways" in spread],
        sizes={"d": sizes["hidden"], "i": sizes["intermediate"], **spread},
        dtypes={
            **{"X": given["dtype"], "H": out, "A": given["dtype"], "Y": out},
            **({"G": out} if gated else {}),
            **{"W": stored, "WD": stored},
        },
        arguments=arguments,
        name=name,
    )


@once
@checked
def grouped_gemm(
    tokens: Amount,
    experts: Amount,
    top_k: Amount,
    N: Amount,
    K: Amount,
    routing: str = "balanced",
    exponent: float | None = None,
    dtype: str = "bf16",
    weight_dtype: str | None = None,
    out_dtype: str | None = None,
    ways: int = 1,
    name: str = "grouped_gemm",
) -> Cascade:
    """`torch._grouped_mm`: rows [tokens * top_k, K], sorted by expert, times [experts, N, K].

    Of `ways` devices that divide the experts each has `experts / ways` of them, to which a token's
    picks fall alike: `top_k / ways` on average.
    """
    arguments = {**locals()}
    sizes = whole("grouped_gemm", tokens=tokens, N=N, K=K)
    spread = _spread("grouped_gemm", tokens, experts, top_k, routing, exponent, ways)
    given = formats("grouped_gemm", dtype=dtype, weight_dtype=weight_dtype or dtype)
    out = formats("grouped_gemm", out_dtype=out_dtype or product_format(given["dtype"]))
    return instance(
        "grouped_gemm",
        grouped_gemm,
        _GROUPED_TEXTS[_known(routing), "ways" in spread],
        sizes={"n": sizes["N"], "k": sizes["K"], **spread},
        dtypes={"A": given["dtype"], "W": given["weight_dtype"], "C": out["out_dtype"]},
        arguments=arguments,
        name=name,
    )


@once
def expert_kernels(
    tokens: Amount,
    experts: Amount,
    top_k: Amount,
    hidden: Amount,
    intermediate: Amount,
    routing: str = "balanced",
    exponent: float | None = None,
    dtype: str = "bf16",
    weight_dtype: str | None = None,
    out_dtype: str | None = None,
    times: Amount = 1,
    down: ModuleFormats | None = None,
    act: str = "silu",
    gated: bool = True,
    ways: int = 1,
    sent: bool = False,
) -> tuple[Stage, ...]:
    """`moe` as the four kernels of torch: grouped product, SiLU, multiply, grouped product.

    Experts that are not `gated` have an activation between two products. `down` are the formats of
    the second product (default: as the first's). The kernels are those of one of `ways` devices,
    to which its rows alone were `sent`, or all rows of which its experts take their own.
    """
    sizes = whole("moe", tokens=tokens, top_k=top_k, hidden=hidden, intermediate=intermediate)
    rows = ceil_div(sizes["tokens"] * sizes["top_k"], ways)
    inner, outer = sizes["intermediate"], sizes["hidden"]
    spread = {"tokens": tokens, "experts": experts, "top_k": top_k, "ways": ways}
    shared: dict[str, Any] = {
        **{**spread, "routing": routing, "exponent": exponent, "dtype": dtype},
        **{"weight_dtype": weight_dtype, "out_dtype": out_dtype},
    }
    second = dict(shared)
    if down is not None:
        second |= {"weight_dtype": down.weight, "dtype": down.input}
    written = out_dtype or product_format(formats("moe", dtype=dtype)["dtype"])
    name, back = f"experts {kernel_of(act)}", {"N": outer, "K": inner, "name": "experts down"}
    between = (
        (
            grouped_gemm(N=2 * inner, K=outer, **shared, name="experts gate-up"),
            gate_activation(act, rows, inner, written, name),
            up_multiply(rows, inner, written, "experts multiply", act),
        )
        if gated
        else (
            grouped_gemm(N=inner, K=outer, **shared, name="experts up"),
            activation(act, rows, inner, written, name),
        )
    )
    kernels = (*between, grouped_gemm(**back, **second))
    return tuple(Stage(_own(kernel) if sent else kernel, times) for kernel in kernels)


def _own(kernel: Cascade) -> Cascade:
    """A kernel of experts to which no row of another device's comes."""
    ranks = {
        name: replace(rank, distribution=replace(rank.distribution, ways=1))
        if rank.distribution is not None
        else rank
        for name, rank in kernel.ranks.items()
    }
    return replace(kernel, ranks=ranks)


def _known(routing: str) -> str:
    if routing not in ROUTINGS:
        raise UnknownNameError("routing", routing, ROUTINGS)
    return routing


def check_routing(where: str, routing: str, exponent: float | None) -> None:
    """Refuses a routing that is none, and an exponent that it lacks or does not have."""
    if (_known(routing) in SKEWED) != (exponent is not None):
        expected = f"a number with routing {routing!r}" if exponent is None else "None"
        raise InputError(
            f"{where}: exponent: expected {expected}, found {shown(exponent)} with routing"
            f" {routing!r}"
        )


def _spread(
    workload: str,
    tokens: Amount,
    experts: Amount,
    top_k: Amount,
    routing: str,
    exponent: float | None,
    ways: Amount = 1,
) -> Mapping[str, Amount]:
    """Sizes of the data-dependent rank of rows per expert, on one of `ways` devices."""
    sizes = whole(workload, tokens=tokens, experts=experts, top_k=top_k, ways=ways)
    if np.any(np.greater(sizes["top_k"], sizes["experts"])):
        raise InputError(
            f"{workload}: top_k: expected at most the number of experts ({sizes['experts']}),"
            f" found {sizes['top_k']}"
        )
    among = sizes["ways"]
    if np.any(np.mod(sizes["experts"], among)):
        raise InputError(
            f"{workload}: ways: expected a divisor of the {sizes['experts']} experts, found {among}"
        )
    alone = isinstance(among, int) and among == 1
    spread = {
        "x": floor_div(sizes["experts"], among),
        "tokens": sizes["tokens"],
        "picks": sizes["top_k"] if alone else sizes["top_k"] / among,
        **({} if alone else {"ways": among}),
    }
    check_routing(workload, routing, exponent)
    if exponent is not None:
        spread["exponent"] = amount(exponent, where=f"{workload}: exponent", zero=True)
    if routing == "power_law" and not alone:
        chosen = (sizes["tokens"], sizes["top_k"], sizes["experts"])
        share = fullest_share(*chosen, spread["exponent"], among)
        spread["picks"] = np.minimum(sizes["top_k"] * share, spread["x"])
        spread["ways"] = sizes["top_k"] / spread["picks"]
    return spread
