"""Kernels over the rows of a matrix [rows, cols]: norms, softmax, activations, elementwise.

Traffic of each, in matrices read + written: copy, gelu, silu and softmax 1 + 1; add, multiply and
residual 2 + 1; rmsnorm 1 + 1 and a weight [cols]; layernorm 1 + 1, a weight and a bias. Reductions
are kept in fp32, as torch does. Formulas: softmax made stable by the row's maximum (Milakov and
Gimelshein, arXiv 1805.02867, algorithm 2), rmsnorm (Zhang and Sennrich, arXiv 1910.07467, eq. 4),
layernorm (Ba et al., arXiv 1607.06450, eq. 4), gelu with erf and silu (Hendrycks and Gimpel, arXiv
1606.08415).
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeAlias

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, once, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount

_TEXTS = {
    "copy": "Y[r, c] = copy(X[r, c])",
    "gelu": "Y[r, c] = gelu(X[r, c])",
    "silu": "Y[r, c] = silu(X[r, c])",
    "relu": "Y[r, c] = relu(X[r, c])",
    "tanh": "Y[r, c] = tanh(X[r, c])",
    "gelu_tanh": "Y[r, c] = gelu_tanh(X[r, c])",
    "quick gelu": "Y[r, c] = X[r, c] * sigmoid(X[r, c] * 1.702)",
    "sigmoid": "Y[r, c] = sigmoid(X[r, c])",
    # Allen-Zhu's, arXiv 2411.13010: a parabola above 0, an exponential below.
    "xielu": """
        UP[r, c] = X[r, c] * X[r, c] * 0.8 + X[r, c] * 0.5
        DOWN[r, c] = (exp(min(X[r, c], 0)) - 1 - X[r, c]) * 0.8 + X[r, c] * 0.5
        Y[r, c] = select(less(0, X[r, c]), UP[r, c], DOWN[r, c])
    """,
    "softplus": "Y[r, c] = log(1 + exp(X[r, c]))",
    "relu squared": "Y[r, c] = square(relu(X[r, c]))",
    "scale": "Y[r, c] = X[r, c] * 0.5",
    "add": "Y[r, c] = X[r, c] + Z[r, c]",
    "residual": "Y[r, c] = X[r, c] + Z[r, c]",
    "multiply": "Y[r, c] = X[r, c] * Z[r, c]",
    # Operands that are the halves of a fused gate-and-up product [r, j, c].
    "multiply by up": """
        rank j = 2
        tensor H[r, j, c]
        Y[r, c] = X[r, c] * H[r, 1, c]
    """,
    # gpt-oss: gate and up are cut off, and 1 is added to the up half.
    "clamped multiply by up": """
        rank j = 2
        tensor H[r, j, c]
        Y[r, c] = X[r, c] * (max(min(H[r, 1, c], 7), -7) + 1)
    """,
    "softmax": """
        PEAK[r] = max(c) X[r, c]
        NUM[r, c] = exp(X[r, c] - PEAK[r])
        SUM[r] = sum(c) NUM[r, c]
        Y[r, c] = NUM[r, c] / SUM[r]
    """,
    "rmsnorm": """
        tensor GAIN[c]: weight
        SQUARES[r] = sum(c) X[r, c] * X[r, c]
        SCALE[r] = rsqrt(SQUARES[r] / C + 1e-6)
        Y[r, c] = X[r, c] * SCALE[r] * GAIN[c]
    """,
    "layernorm": """
        tensor GAIN[c]: weight
        tensor SHIFT[c]: weight
        SUM[r] = sum(c) X[r, c]
        CENTRED[r, c] = X[r, c] - SUM[r] / C
        SQUARES[r] = sum(c) CENTRED[r, c] * CENTRED[r, c]
        SCALE[r] = rsqrt(SQUARES[r] / C + 1e-5)
        Y[r, c] = CENTRED[r, c] * SCALE[r] * GAIN[c] + SHIFT[c]
    """,
}
_GATED = {
    f"{name} of gate": "rank j = 2\ntensor H[r, j, c]\n"
    + _TEXTS[name].replace("X[r, c]", "H[r, 0, c]")
    for name in ("silu", "relu", "tanh", "sigmoid", "gelu", "gelu_tanh", "relu squared")
}
_GATED["clamped silu of gate"] = """
    rank j = 2
    tensor H[r, j, c]
    G[r, c] = min(H[r, 0, c], 7)
    Y[r, c] = G[r, c] * sigmoid(G[r, c] * 1.702)
"""
_INSIDE = ("PEAK", "NUM", "SUM", "SQUARES", "SCALE", "CENTRED")
_OUTSIDE = ("X", "Y", "Z", "H", "G", "GAIN", "SHIFT")

CLAMPED = "clamped silu"

Make: TypeAlias = Callable[..., Cascade]


def _row_kernel(
    workload: str, make: Make, rows: Amount, cols: Amount, dtype: str, name: str | None
) -> Cascade:
    sizes = whole(workload, rows=rows, cols=cols)
    stored = formats(workload, dtype=dtype)["dtype"]
    inside = stored if stored == "fp64" else "fp32"
    text = {**_TEXTS, **_GATED}[workload]
    dtypes = {t: stored for t in _OUTSIDE if f"{t}[" in text}
    dtypes |= {t: inside for t in _INSIDE if f"{t}[" in text}
    arguments: dict[str, Any] = {"rows": rows, "cols": cols, "dtype": dtype, "name": name}
    return instance(
        workload,
        make,
        text,
        sizes={"r": sizes["rows"], "c": sizes["cols"]},
        dtypes=dtypes,
        arguments=arguments,
        name=name,
    )


@lru_cache(maxsize=64)
def _of(make: Make, act: str) -> Make:
    """The function of one activation, the same value every time."""
    return partial(make, act)


def kernel_of(act: str) -> str:
    """The kernel of an activation, as configs call it; `CoverageError` for one that is unknown."""
    if act not in ACTIVATIONS:
        known = ", ".join(map(repr, ACTIVATIONS))
        raise CoverageError(f"activation: {shown(act)} is not modelled; expected {known}")
    return ACTIVATIONS[act]


@once
def gate_activation(
    act: str, rows: Amount, cols: Amount, dtype: str, name: str | None = None
) -> Cascade:
    """An activation of the gate half of a fused gate-and-up product [rows, 2, cols]: a view."""
    kernel = kernel_of(act)
    return _row_kernel(
        *(f"{kernel} of gate", _of(gate_activation, act), rows, cols, dtype, name or kernel)
    )


def gate_silu(rows: Amount, cols: Amount, dtype: str, name: str = "silu") -> Cascade:
    """SiLU of the gate half."""
    return gate_activation("silu", rows, cols, dtype, name)


@once
def up_multiply(
    rows: Amount, cols: Amount, dtype: str, name: str = "multiply", act: str = "silu"
) -> Cascade:
    """[rows, cols] times the up half of a fused gate-and-up product: a strided view."""
    if kernel_of(act) != CLAMPED:
        return _row_kernel("multiply by up", up_multiply, rows, cols, dtype, name)
    make = _of(_clamped_multiply, act)
    return _row_kernel("clamped multiply by up", make, rows, cols, dtype, name)


def _clamped_multiply(act: str, rows: Amount, cols: Amount, dtype: str, name: str) -> Cascade:
    return up_multiply(rows, cols, dtype, name, act)


ACTIVATIONS: dict[str, str] = {
    **{"silu": "silu", "swish": "silu", "swiglu": "silu", "sigmoid": "sigmoid", "tanh": "tanh"},
    **{"relu": "relu", "relu2": "relu squared", "xielu": "xielu", "clamped": "clamped silu"},
    "swigluoai": "clamped silu",
    **{"gelu": "gelu", "gelu_python": "gelu", "gegelu": "gelu", "quick_gelu": "quick gelu"},
    "softplus": "softplus",
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), "gelu_tanh"),
}
"""Names that configs give to activations -> workloads; `gelu_new` and its kin have a tanh."""


@once
def activation(
    act: str, rows: Amount, cols: Amount, dtype: str, name: str | None = None
) -> Cascade:
    """The activation that configs call `act`, element by element."""
    return _row_kernel(kernel_of(act), _of(activation, act), rows, cols, dtype, name or act)


@once
def scale(rows: Amount, cols: Amount, dtype: str, name: str = "scale") -> Cascade:
    """A matrix times a constant."""
    return _row_kernel("scale", scale, rows, cols, dtype, name)


@once
@checked
def softmax(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """Softmax along the columns, made stable by each row's maximum."""
    return _row_kernel("softmax", softmax, rows, cols, dtype, name)


@once
@checked
def rmsnorm(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """`F.rms_norm` along the columns, with a weight [cols]."""
    return _row_kernel("rmsnorm", rmsnorm, rows, cols, dtype, name)


@once
@checked
def layernorm(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """`F.layer_norm` along the columns, with a weight and a bias [cols]."""
    return _row_kernel("layernorm", layernorm, rows, cols, dtype, name)


@once
@checked
def gelu(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """`F.gelu`, the form with erf."""
    return _row_kernel("gelu", gelu, rows, cols, dtype, name)


@once
@checked
def silu(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """`F.silu`, x * sigmoid(x)."""
    return _row_kernel("silu", silu, rows, cols, dtype, name)


@once
@checked
def add(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """Sum of two matrices."""
    return _row_kernel("add", add, rows, cols, dtype, name)


@once
@checked
def residual(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """A residual connection: the sum of two matrices."""
    return _row_kernel("residual", residual, rows, cols, dtype, name)


@once
@checked
def multiply(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """Product of two matrices, element by element."""
    return _row_kernel("multiply", multiply, rows, cols, dtype, name)


@once
@checked
def copy(rows: Amount, cols: Amount, dtype: str = "bf16", name: str | None = None) -> Cascade:
    """One matrix written to another place."""
    return _row_kernel("copy", copy, rows, cols, dtype, name)
