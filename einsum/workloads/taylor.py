"""Linear attention by a Taylor series of the exponential: a state in place of keys and values.

BASED (Arora et al., arXiv 2402.18668): a query q and a key k of few elements n weigh a value by

    1 + q.k + (q.k)^2 / 2

so that a head keeps three sums over tokens, of v, of v k^T and of v (k x k)^T: p (1 + n + n^2)
elements. A column of ones beside the values makes the sum of weights, by which results are divided
afterwards (`normalised`). Factors that scale q and k are folded into the products before.

`chunked` computes a prompt: within chunks of tokens as attention, between them by the sums at their
ends. `updated` is one token: it reads the sums and writes them. Ranks: b batch, h heads, c chunks,
l and j tokens of a chunk, n and m elements of a key, p elements of a value and the one.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount

_CHUNKED = """
rank m = n
tensor K[b, c, j, h, n]
tensor LAST0[b, h, p]: cache
tensor LAST1[b, h, p, n]: cache
tensor LAST2[b, h, p, n, m]: cache
output Y, LAST0, LAST1, LAST2
QK[b, c, h, l, j] = sum(n) Q[b, c, l, h, n] * K[b, c, j, h, n] | j <= l
M[b, c, h, l, j] = 1 + QK[b, c, h, l, j] + 0.5 * QK[b, c, h, l, j] * QK[b, c, h, l, j] | j <= l
INNER[b, c, h, l, p] = sum(j) M[b, c, h, l, j] * V[b, c, j, h, p] | j <= l
KK[b, c, j, h, n, m] = K[b, c, j, h, n] * K[b, c, j, h, m]
QQ[b, c, l, h, n, m] = 0.5 * Q[b, c, l, h, n] * Q[b, c, l, h, m]
ADDED0[b, c, h, p] = sum(j) V[b, c, j, h, p]
ADDED1[b, c, h, p, n] = sum(j) V[b, c, j, h, p] * K[b, c, j, h, n]
ADDED2[b, c, h, p, n, m] = sum(j) V[b, c, j, h, p] * KK[b, c, j, h, n, m]
S0[b, c+1, h, p] = S0[b, c, h, p] + ADDED0[b, c, h, p] ; S0[b, 0, h, p] = 0
S1[b, c+1, h, p, n] = S1[b, c, h, p, n] + ADDED1[b, c, h, p, n] ; S1[b, 0, h, p, n] = 0
S2[b, c+1, h, p, n, m] = S2[b, c, h, p, n, m] + ADDED2[b, c, h, p, n, m]
    ; S2[b, 0, h, p, n, m] = 0
FIRST[b, c, h, l, p] = sum(n) Q[b, c, l, h, n] * S1[b, c, h, p, n]
SECOND[b, c, h, l, p] = sum(n, m) QQ[b, c, l, h, n, m] * S2[b, c, h, p, n, m]
Y[b, c, l, h, p] = INNER[b, c, h, l, p] + S0[b, c, h, p] + FIRST[b, c, h, l, p]
    + SECOND[b, c, h, l, p]
LAST0[b, h, p] = cast(S0[b, C, h, p])
LAST1[b, h, p, n] = cast(S1[b, C, h, p, n])
LAST2[b, h, p, n, m] = cast(S2[b, C, h, p, n, m])
"""
_UPDATED = """
rank m = n
tensor Q[b, h, n]
tensor K[b, h, n]
tensor S0[b, h, p]: cache
tensor S1[b, h, p, n]: cache
tensor S2[b, h, p, n, m]: cache
tensor LAST0[b, h, p]: cache
tensor LAST1[b, h, p, n]: cache
tensor LAST2[b, h, p, n, m]: cache
output Y, LAST0, LAST1, LAST2
LAST0[b, h, p] = S0[b, h, p] + V[b, h, p]
LAST1[b, h, p, n] = S1[b, h, p, n] + V[b, h, p] * K[b, h, n]
LAST2[b, h, p, n, m] = S2[b, h, p, n, m] + V[b, h, p] * K[b, h, n] * K[b, h, m]
FIRST[b, h, p] = sum(n) LAST1[b, h, p, n] * Q[b, h, n]
SECOND[b, h, p] = sum(n, m) LAST2[b, h, p, n, m] * Q[b, h, n] * Q[b, h, m]
Y[b, h, p] = LAST0[b, h, p] + FIRST[b, h, p] + 0.5 * SECOND[b, h, p]
"""
_NORMALISED = "Y[r, p] = X[r, p] / Z[r]"
_STATES = ("S0", "S1", "S2", "LAST0", "LAST1", "LAST2")
_INSIDE = {
    _CHUNKED: (
        *("QK", "INNER", "QQ", "ADDED0", "ADDED1", "ADDED2", "FIRST", "SECOND"),
        *("M", "KK"),
    ),
    _UPDATED: ("FIRST", "SECOND"),
}
"""Tensors that a kernel makes for itself: sums in fp32, factors of products as stored."""
_FACTORS = ("M", "KK", "QQ")


def state_elements(feature_dim: int, values: int) -> int:
    """Elements that a head keeps: its values and the one, by 1 + n + n^2."""
    return (values + 1) * (1 + feature_dim + feature_dim**2)


def chunked(
    batch: Amount,
    tokens: Amount,
    heads: Amount,
    feature_dim: Amount,
    value_dim: Amount,
    chunk: int = 64,
    dtype: str = "bf16",
    state_dtype: str = "bf16",
    name: str = "taylor attention",
) -> Cascade:
    """A prompt by chunks of tokens, the last one padded; V has `value_dim` columns and the one."""
    arguments: dict[str, Any] = {**locals()}
    extents = {
        **_sizes(batch, heads, feature_dim, value_dim),
        **{"c": ceil_div(whole("taylor", tokens=tokens)["tokens"], chunk), "l": chunk, "j": chunk},
    }
    return _made(chunked, _CHUNKED, extents, arguments)


def updated(
    batch: Amount,
    heads: Amount,
    feature_dim: Amount,
    value_dim: Amount,
    dtype: str = "bf16",
    state_dtype: str = "bf16",
    name: str = "taylor attention",
) -> Cascade:
    """One token: the sums are read and written."""
    arguments: dict[str, Any] = {**locals()}
    sizes = _sizes(batch, heads, feature_dim, value_dim)
    return _made(updated, _UPDATED, sizes, arguments)


def normalised(rows: Amount, columns: Amount, dtype: str, name: str = "taylor norm") -> Cascade:
    """Results of `rows` heads divided by the sum of their weights."""
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("normalised", rows=rows, columns=columns)
    return instance(
        *("normalised", normalised, _NORMALISED),
        sizes={"r": sizes["rows"], "p": sizes["columns"]},
        dtypes={"*": formats("normalised", dtype=dtype)["dtype"]},
        arguments=arguments,
        name=name,
    )


def _sizes(
    batch: Amount, heads: Amount, feature_dim: Amount, value_dim: Amount
) -> dict[str, Amount]:
    sizes = whole("taylor", batch=batch, heads=heads, feature_dim=feature_dim, value_dim=value_dim)
    of_ranks = {"b": "batch", "h": "heads", "n": "feature_dim"}
    found = {rank: sizes[name] for rank, name in of_ranks.items()}
    return {**found, "p": sizes["value_dim"] + 1}


def _made(
    make: Any, text: str, extents: Mapping[str, Amount], arguments: Mapping[str, Any]
) -> Cascade:
    """A text of this file with sizes and formats."""
    given = formats("taylor", dtype=arguments["dtype"], state_dtype=arguments["state_dtype"])
    inside = {n: given["dtype"] if n in _FACTORS else "fp32" for n in _INSIDE[text]}
    kept = {name: given["state_dtype"] for name in _STATES}
    return instance(
        *("taylor", make, text),
        sizes=extents,
        dtypes={"*": given["dtype"], **inside, **kept},
        arguments=arguments,
        name=arguments["name"],
    )
