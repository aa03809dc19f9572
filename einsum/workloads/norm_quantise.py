"""Residual, RMS norm and quantisation with a scale for each row, as one fused kernel does them.

    H = X + Z,    N = H gain / sqrt(mean(H^2) + 1e-6),    Q = N / scale,  scale = max |N| / 448

448 is the largest number of e4m3 (arXiv 2209.05433, table 1). Written are the sum H, which the next
residual reads, Q and the scales.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

_TEXT = """
tensor GAIN[c]: weight
output H, Q, SCALE
H[r, c] = X[r, c] + Z[r, c]
SQUARES[r] = sum(c) H[r, c] * H[r, c]
ROOT[r] = rsqrt(SQUARES[r] / C + 1e-6)
N[r, c] = H[r, c] * ROOT[r] * GAIN[c]
SIZE[r, c] = abs(N[r, c])
PEAK[r] = max(c) SIZE[r, c]
SCALE[r] = PEAK[r] / 448
Q[r, c] = N[r, c] / SCALE[r]
"""


@checked
def norm_quantise(
    rows: Amount,
    cols: Amount,
    dtype: str = "bf16",
    dtype_out: str = "fp8",
    name: str = "norm_quantise",
) -> Cascade:
    """Rows of activations and residual in `dtype`; Q in `dtype_out`, scales in fp32.

    Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("norm_quantise", rows=rows, cols=cols)
    given = formats("norm_quantise", dtype=dtype, dtype_out=dtype_out)
    stored = dict.fromkeys(("X", "Z", "H", "GAIN"), given["dtype"])
    return instance(
        "norm_quantise",
        norm_quantise,
        _TEXT,
        sizes={"r": sizes["rows"], "c": sizes["cols"]},
        dtypes={"*": "fp32", **stored, "Q": given["dtype_out"]},
        arguments=arguments,
        name=name,
    )
