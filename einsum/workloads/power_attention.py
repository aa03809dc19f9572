"""Causal attention by a Taylor series of the exponential, normalised, as one fused kernel does it.

BASED (Arora et al., arXiv 2402.18668): with s = q.k a value weighs 1 + s + s^2 / 2, and a result is
divided by the sum of its weights. Within chunks of tokens as attention; what earlier chunks add is
sums of v, v k^T and v (k x k)^T, and, for the weights, of 1, k and k k^T, which stay on chip. The
scale of the scores is folded into q. `taylor` has the parts of whole models, which keep the sums.
Ranks: b batch, h heads, c chunks, l and j tokens of a chunk, n and m elements of a key, p of a
value.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

_TEXT = """
rank m = n
tensor Q[b, h, c, l, n]
tensor K[b, h, c, j, n]
tensor V[b, h, c, j, p]
QK[b, h, c, l, j] = sum(n) Q[b, h, c, l, n] * K[b, h, c, j, n] | j <= l
M[b, h, c, l, j] = 1 + QK[b, h, c, l, j] + 0.5 * QK[b, h, c, l, j] * QK[b, h, c, l, j] | j <= l
INNER[b, h, c, l, p] = sum(j) M[b, h, c, l, j] * V[b, h, c, j, p] | j <= l
WEIGHT[b, h, c, l] = sum(j) M[b, h, c, l, j] | j <= l
KK[b, h, c, j, n, m] = K[b, h, c, j, n] * K[b, h, c, j, m]
QQ[b, h, c, l, n, m] = 0.5 * Q[b, h, c, l, n] * Q[b, h, c, l, m]
ADDED0[b, h, c, p] = sum(j) V[b, h, c, j, p]
ADDED1[b, h, c, p, n] = sum(j) V[b, h, c, j, p] * K[b, h, c, j, n]
ADDED2[b, h, c, p, n, m] = sum(j) V[b, h, c, j, p] * KK[b, h, c, j, n, m]
KEYS[b, h, c, n] = sum(j) K[b, h, c, j, n]
PAIRS[b, h, c, n, m] = sum(j) KK[b, h, c, j, n, m]
S0[b, h, c+1, p] = S0[b, h, c, p] + ADDED0[b, h, c, p] ; S0[b, h, 0, p] = 0
S1[b, h, c+1, p, n] = S1[b, h, c, p, n] + ADDED1[b, h, c, p, n] ; S1[b, h, 0, p, n] = 0
S2[b, h, c+1, p, n, m] = S2[b, h, c, p, n, m] + ADDED2[b, h, c, p, n, m]
    ; S2[b, h, 0, p, n, m] = 0
COUNT[b, h, c+1] = COUNT[b, h, c] + L ; COUNT[b, h, 0] = 0
Z1[b, h, c+1, n] = Z1[b, h, c, n] + KEYS[b, h, c, n] ; Z1[b, h, 0, n] = 0
Z2[b, h, c+1, n, m] = Z2[b, h, c, n, m] + PAIRS[b, h, c, n, m] ; Z2[b, h, 0, n, m] = 0
FIRST[b, h, c, l, p] = sum(n) Q[b, h, c, l, n] * S1[b, h, c, p, n]
SECOND[b, h, c, l, p] = sum(n, m) QQ[b, h, c, l, n, m] * S2[b, h, c, p, n, m]
WEIGHT1[b, h, c, l] = sum(n) Q[b, h, c, l, n] * Z1[b, h, c, n]
WEIGHT2[b, h, c, l] = sum(n, m) QQ[b, h, c, l, n, m] * Z2[b, h, c, n, m]
TOTAL[b, h, c, l] = WEIGHT[b, h, c, l] + COUNT[b, h, c] + WEIGHT1[b, h, c, l] + WEIGHT2[b, h, c, l]
Y[b, h, c, l, p] = (INNER[b, h, c, l, p] + S0[b, h, c, p] + FIRST[b, h, c, l, p]
    + SECOND[b, h, c, l, p]) / TOTAL[b, h, c, l]
"""
_STORED = ("Q", "K", "V", "Y", "M", "KK", "QQ", "S1", "S2", "Z1", "Z2")
"""In the format of the activations: what products read; other sums are fp32."""


@checked
def power_attention(
    batch: Amount,
    tokens: Amount,
    heads: Amount,
    features: Amount,
    values: Amount,
    chunk: int = 64,
    dtype: str = "bf16",
    name: str = "power_attention",
) -> Cascade:
    """`heads` of `features` elements of q and k and of `values`; the last chunk is padded.

    Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole(
        "power_attention",
        **{"batch": batch, "tokens": tokens, "heads": heads},
        **{"features": features, "values": values, "chunk": chunk},
    )
    given = formats("power_attention", dtype=dtype)["dtype"]
    return instance(
        "power_attention",
        power_attention,
        _TEXT,
        sizes={
            **{"b": sizes["batch"], "h": sizes["heads"], "n": sizes["features"]},
            **{"p": sizes["values"], "l": sizes["chunk"], "j": sizes["chunk"]},
            "c": ceil_div(sizes["tokens"], sizes["chunk"]),
        },
        dtypes={"*": "fp32", **dict.fromkeys(_STORED, given)},
        arguments=arguments,
        name=name,
    )
