"""The MLP of a transformer layer: gated (SwiGLU) or plain, on `tokens` rows.

Gated: `(silu(X Wg^T) * X Wu^T) Wd^T` (Shazeer, arXiv 2002.05202, section 2), with gate and up as
one product over 2 * intermediate outputs, as libraries fuse it. Plain: `gelu(X Wu^T) Wd^T`.
"""

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, once, product_format, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

_GATED = """
tensor W[j, i, d]: weight
tensor WD[o, i]: weight
rank j = 2, o = d
H[j, t, i] = X[t, d] * W[j, i, d]
G[t, i] = silu(H[0, t, i])
A[t, i] = G[t, i] * H[1, t, i]
Y[t, o] = A[t, i] * WD[o, i]
"""
_PLAIN = """
tensor W[i, d]: weight
tensor WD[o, i]: weight
rank o = d
H[t, i] = X[t, d] * W[i, d]
A[t, i] = gelu(H[t, i])
Y[t, o] = A[t, i] * WD[o, i]
"""


@once
@checked
def mlp(
    tokens: Amount,
    hidden: Amount,
    intermediate: Amount,
    gated: bool = True,
    dtype: str = "bf16",
    weight_dtype: str | None = None,
    name: str = "mlp",
) -> Cascade:
    """Gated or plain MLP: hidden -> intermediate -> hidden on each of `tokens` rows.

    Counts 6 (gated) or 4 FLOP per token, hidden and intermediate in its products. Raises
    `InputError` naming the argument at fault.
    """
    arguments = {**locals()}
    sizes = whole("mlp", tokens=tokens, hidden=hidden, intermediate=intermediate)
    given = formats("mlp", dtype=dtype, weight_dtype=weight_dtype or dtype)
    out = product_format(given["dtype"])
    dtypes = {"X": given["dtype"], "H": out, "A": given["dtype"], "Y": out}
    dtypes |= {"W": given["weight_dtype"], "WD": given["weight_dtype"]}
    if gated:
        dtypes["G"] = out
    return instance(
        "mlp",
        mlp,
        _GATED if gated else _PLAIN,
        sizes={"t": sizes["tokens"], "d": sizes["hidden"], "i": sizes["intermediate"]},
        dtypes=dtypes,
        arguments=arguments,
        name=name,
    )
