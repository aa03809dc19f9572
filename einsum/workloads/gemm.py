"""Dense linear layers: `F.linear(A[M, K], W[N, K])`, alone or as a batch.

A multiply-add is two operations, so a GEMM counts 2MNK FLOP whatever a kernel pads. Convention of
torch's `F.linear`: the weight is stored [N, K], the output is in the input's format (bf16 after fp8
inputs with per-tensor scales, as `torch._scaled_mm` has it).
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, once, product_format, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

_PLAIN = """
tensor W[n, k]: weight
C[m, n] = A[m, k] * W[n, k]
"""
_BIAS = """
tensor W[n, k]: weight
tensor BIAS[n]: weight
AW[m, n] = A[m, k] * W[n, k]
C[m, n] = AW[m, n] + BIAS[n]
"""
_BATCHED = """
tensor W[b, n, k]: weight
C[b, m, n] = A[b, m, k] * W[b, n, k]
"""
_BATCHED_BIAS = """
tensor W[b, n, k]: weight
tensor BIAS[b, n]: weight
AW[b, m, n] = A[b, m, k] * W[b, n, k]
C[b, m, n] = AW[b, m, n] + BIAS[b, n]
"""


@once
@checked
def gemm(
    M: Amount,
    N: Amount,
    K: Amount,
    dtype: str = "bf16",
    batch: Amount = 1,
    out_dtype: str | None = None,
    weight_dtype: str | None = None,
    bias: bool = False,
    name: str = "gemm",
) -> Cascade:
    """`C[M, N] = A[M, K] W[N, K]^T (+ bias[N])`, `batch` independent ones if above 1.

    Sizes are counts or arrays of them. `dtype` is the format of A, and of W unless `weight_dtype`
    names another; `out_dtype` is that of C. Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {
        **{"M": M, "N": N, "K": K, "dtype": dtype, "batch": batch, "out_dtype": out_dtype},
        **{"weight_dtype": weight_dtype, "bias": bias, "name": name},
    }
    sizes = whole("gemm", M=M, N=N, K=K, batch=batch)
    given = formats("gemm", dtype=dtype, weight_dtype=weight_dtype or dtype)
    out = formats("gemm", out_dtype=out_dtype or product_format(given["dtype"]))["out_dtype"]
    extents = {"m": sizes["M"], "n": sizes["N"], "k": sizes["K"]}
    dtypes = {"A": given["dtype"], "W": given["weight_dtype"], "C": out}
    batched = not (isinstance(sizes["batch"], int) and sizes["batch"] == 1)
    if batched:
        extents["b"] = sizes["batch"]
    if bias:
        dtypes |= {"AW": "fp32", "BIAS": out}
    text = (_BATCHED_BIAS if batched else _BIAS) if bias else (_BATCHED if batched else _PLAIN)
    return instance(
        "gemm", gemm, text, sizes=extents, dtypes=dtypes, arguments=arguments, name=name
    )
