"""The backward pass of attention as one fused kernel computes it, from Q, K, V, O's gradient.

Per pair of a query and a key that the mask keeps, five products of the head dimension
(FlashAttention-2, Dao, arXiv 2307.08691, algorithm 2): the scores again, the gradient of the
probabilities, and the gradients of V, Q and K. LSE, the logarithm of each row's sum, is kept from
the forward pass; DELTA is the sum of each row's output times its gradient.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, once, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

_TEXT = """
tensor K[b, h, m, e]: cache
tensor V[b, h, m, f]: cache
output DQ, DK, DV
DELTA[b, h, g, p] = sum(f) O[b, h, g, p, f] * DO[b, h, g, p, f]
QK[b, h, g, m, p] = Q[b, h, g, p, e] * K[b, h, m, e] {band}
P[b, h, g, m, p] = exp(QK[b, h, g, m, p] - LSE[b, h, g, p]) {band}
DP[b, h, g, m, p] = DO[b, h, g, p, f] * V[b, h, m, f] {band}
DIFF[b, h, g, m, p] = DP[b, h, g, m, p] - DELTA[b, h, g, p] {band}
DS[b, h, g, m, p] = P[b, h, g, m, p] * DIFF[b, h, g, m, p] {band}
DV[b, h, m, f] = P[b, h, g, m, p] * DO[b, h, g, p, f] {band}
DQ[b, h, g, p, e] = DS[b, h, g, m, p] * K[b, h, m, e] {band}
DK[b, h, m, e] = DS[b, h, g, m, p] * Q[b, h, g, p, e] {band}
"""
_SINGLE = ("DELTA", "QK", "DP", "DIFF", "LSE")


@once
@checked
def attention_backward(
    batch: Amount,
    heads: Amount,
    queries: Amount,
    keys: Amount,
    head_dim: Amount,
    kv_heads: Amount | None = None,
    value_dim: Amount | None = None,
    causal: bool = False,
    window: Amount | None = None,
    dtype: str = "bf16",
    name: str = "attention_backward",
) -> Cascade:
    """The gradients of Q, K and V; sizes as `attention` has them, which may be arrays.

    Causal: query i saw keys j <= i + keys - queries; a `window` the last so many of those alone.
    Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole(
        *("attention_backward",),
        **{"batch": batch, "heads": heads, "queries": queries, "keys": keys},
        **{"head_dim": head_dim, "kv_heads": heads if kv_heads is None else kv_heads},
        **{"value_dim": head_dim if value_dim is None else value_dim},
    )
    group = sizes["heads"] / sizes["kv_heads"]
    if isinstance(group, float):
        if not group.is_integer():
            raise InputError(
                f"attention_backward: kv_heads: expected a divisor of heads ({sizes['heads']}),"
                f" found {sizes['kv_heads']}"
            )
        group = int(group)
    if window is not None and not causal:
        raise InputError("attention_backward: window: expected with causal=True, found without it")
    given = formats("attention_backward", dtype=dtype)["dtype"]
    band = "| m - p <= M - P" if causal else ""
    seen = {} if window is None else whole("attention_backward", window=window)
    band += ", m - p > M - P - window" if seen else ""
    return instance(
        "attention_backward",
        attention_backward,
        _TEXT.format(band=band),
        sizes={
            **{"b": sizes["batch"], "h": sizes["kv_heads"], "g": group},
            **{"p": sizes["queries"], "m": sizes["keys"]},
            **{"e": sizes["head_dim"], "f": sizes["value_dim"]},
            **seen,
        },
        dtypes={
            **dict.fromkeys(("Q", "K", "V", "O", "DO", "P", "DS", "DQ", "DK", "DV"), given),
            **dict.fromkeys(_SINGLE, "fp32"),
        },
        arguments=arguments,
        name=name,
    )
