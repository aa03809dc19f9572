"""Calls of ATen that are layers, norms, pools and choices of rows, as cascades (`aten.py`)."""

from collections.abc import Callable
from math import prod
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.calls import Call, Kernels, Rule, copied
from hwmodel.einsum.importers.strided import View, made
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.einsum.workloads.dispatch import top_k
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.einsum.workloads.moe import grouped_gemm
from hwmodel.einsum.workloads.transformer import embedding
from hwmodel.quantity.errors import CoverageError


def rows(function: Callable[..., Cascade]) -> Rule:
    """A kernel over rows of the last dimension, or of those that are normalised."""

    def rule(call: Call) -> Kernels:
        operand = call.tensors[0]
        dim, shape = call.given.get("dim"), call.given.get("normalized_shape")
        sides = list(operand.shape)
        columns = prod(shape) if shape else sides[-1 if dim is None else int(dim)]
        dtype = operand.dtype if shape else call.out.dtype
        return (function(operand.elements // columns, columns, dtype, name=call.name),)

    return rule


_GROUPS = """
SUM[a] = sum(b) X[a, b]
CENTRED[a, b] = X[a, b] - SUM[a] / B
SQUARES[a] = sum(b) CENTRED[a, b] * CENTRED[a, b]
SCALE[a] = rsqrt(SQUARES[a] / B + 1e-5)
Y[a, b] = CENTRED[a, b] * SCALE[a]
"""
_CHANNELS = """
tensor SCALE[b]: weight
tensor SHIFT[b]: weight
Y[a, b, c] = X[a, b, c] * SCALE[b] + SHIFT[b]
"""


def group_norm(call: Call) -> Kernels:
    """Groups of channels, normalised, then scaled by channel."""
    operand = call.tensors[0]
    groups = int(call.given.get("num_groups") or call.given.get("group") or 1)
    rows = operand.shape[0] * groups
    kinds = [("X", operand.dtype), ("Y", call.out.dtype)]
    kinds += [(t, "fp32") for t in ("SUM", "CENTRED", "SQUARES", "SCALE")]
    sizes = (("a", rows), ("b", operand.elements // rows))
    return (made(call.name, _GROUPS, sizes, tuple(kinds)), *by_channel(call))


def by_channel(call: Call) -> Kernels:
    """A batch norm at inference, or what scales the groups of another."""
    operand = call.tensors[0]
    batch, channels = operand.shape[:2]
    sizes = (("a", batch), ("b", channels), ("c", operand.elements // (batch * channels)))
    kinds = [("X", operand.dtype), ("Y", call.out.dtype)]
    kinds += [(t, operand.dtype) for t in ("SCALE", "SHIFT")]
    return (made(f"{call.name} scale", _CHANNELS, sizes, tuple(kinds)),)


def linear(call: Call) -> Kernels:
    """Rows times a weight [N, K]."""
    operand, weight = call.view("input"), call.view("weight")
    return (_product(call, operand, weight.shape[0], weight, "bias"),)


def _product(call: Call, a: View, columns: int, w: View, bias: str = "") -> Cascade:
    inner = a.shape[-1]
    return gemm(
        *(a.elements // inner, columns, inner, a.dtype),
        out_dtype=call.out.dtype,
        weight_dtype=None if w.dtype == a.dtype else w.dtype,
        bias=isinstance(call.given.get(bias), View),
        name=call.name,
    )


_BATCHED = "C[b, m, n] = A[b, m, k] * W[b, n, k]"


def matmul(first: str, second: str, bias: str = "") -> Rule:
    """Matrices, or as many of each as there are others before them."""

    def rule(call: Call) -> Kernels:
        a, b = call.view(first), call.view(second)
        if len(b.shape) <= 2:
            return (_product(call, a, prod(b.shape[1:]), b, bias),)
        rows = ([1, *a.shape])[-2]
        batch = call.out.elements // (rows * b.shape[-1])
        sizes = (("b", batch), ("m", rows), ("n", b.shape[-1]), ("k", a.shape[-1]))
        role = f"tensor W[b, n, k]: {b.role}\n" if b.role != "activation" else ""
        formats = (("A", a.dtype), ("W", b.dtype), ("C", call.out.dtype))
        return (made(call.name, role + _BATCHED, sizes, formats),)

    return rule


def grouped(call: Call) -> Kernels:
    """`torch._grouped_mm` of rows sorted by expert; they are taken to be spread evenly."""
    rows, weights = call.view("self"), call.view("mat2")
    if len(rows.shape) != 2 or len(weights.shape) != 3:
        raise CoverageError("expected rows [tokens, K] and weights [experts, K, N]")
    experts, inner, columns = weights.shape
    kind: dict[str, Any] = {"dtype": rows.dtype, "out_dtype": call.out.dtype, "name": call.name}
    return (grouped_gemm(rows.shape[0], experts, 1, columns, inner, **kind),)


def attention_of(call: Call) -> Kernels:
    """Scaled attention, whatever backend is named; heads that share keys are few."""
    query, key, value = (call.view(name) for name in ("query", "key", "value"))
    *batch, heads, queries, head_dim = query.shape
    made_of = attention(
        *(prod(batch), heads, queries, key.shape[-2], head_dim),
        kv_heads=key.shape[-3],
        value_dim=value.shape[-1],
        causal=bool(call.given.get("is_causal")),
        dtype=query.dtype,
        name=call.name,
    )
    return (made_of,)


def _sides(value: Any, ends: int, default: int) -> tuple[int, int]:
    """A number for each of two directions; of a sequence, which is a column, the one down."""
    sides = [value] if isinstance(value, int) else list(value or [default])
    down = int(sides[0])
    if ends == 1:
        return down, default
    return down, int(sides[-1])


def convolution(call: Call) -> Kernels:
    """One of images, or of sequences, which are columns; a bias is a kernel more."""
    image, filters = call.view("input"), call.view("weight")
    ends = len(image.shape) - 2
    if call.given.get("transposed") or ends not in (1, 2):
        kind = "transposed" if call.given.get("transposed") else f"of {ends} dimensions"
        raise CoverageError(f"a convolution that is {kind}; those of 1 and 2 are modelled")
    high, wide = (*image.shape[2:], 1)[:2]
    down, across = (*filters.shape[2:], 1)[:2]
    steps, gaps = (_sides(call.given.get(n), ends, 1) for n in ("stride", "dilation"))
    padding = call.given.get("padding")
    around = _sides(padding if not isinstance(padding, str) else None, ends, 0)
    if padding == "same":
        around = gaps[0] * (down - 1) // 2, gaps[1] * (across - 1) // 2
    product = conv2d(
        *(image.shape[0], image.shape[1], filters.shape[0], high, wide, down),
        window_width=None if across == down else across,
        **{"stride": steps, "padding": around, "dilation": gaps},
        groups=int(call.given.get("groups") or 1),
        dtype=image.dtype,
        out_dtype=call.out.dtype,
        name=call.name,
    )
    if not isinstance(call.given.get("bias"), View):
        return (product,)
    return (product, *_biased(call))


def _biased(call: Call) -> Kernels:
    """CuDNN adds no bias: torch adds it in a kernel of its own."""
    out = call.out
    text = "tensor SHIFT[b]: weight\nY[a, b, c] = X[a, b, c] + SHIFT[b]"
    batch, channels = out.shape[:2]
    sizes = (("a", batch), ("b", channels), ("c", out.elements // (batch * channels)))
    kinds = tuple((t, out.dtype) for t in ("X", "Y", "SHIFT"))
    return (made(f"{call.name} bias", text, sizes, kinds),)


def pooled(kind: str) -> Rule:
    """Largest or mean of windows; adaptive ones by as many windows as there are results."""

    def rule(call: Call) -> Kernels:
        source, out = call.view("self"), call.out
        batch, channels, high, wide = source.shape
        window = call.given.get("kernel_size")
        if window is None:  # adaptive: as many windows as there are results
            window = (-(-high // out.shape[2]), -(-wide // out.shape[3]))
            steps = (high // out.shape[2], wide // out.shape[3])
        else:
            window = _sides(window, 2, 1)
            steps = _sides(call.given.get("stride") or window, 2, 1)
        sizes = (high, wide, channels, out.shape[2], out.shape[3], channels)
        sides: dict[str, Any] = {"kernel": window[0], "kernel_width": window[1]}
        sides |= {"stride": steps[0], "stride_width": steps[1]}
        named = call.name, "mean" if out.shape[2:] == (1, 1) else kind, (-1,)
        layer = Layer(*named, *sizes, **sides)
        return (layer.cascade(source.dtype, batch),)

    return rule


def embedded(call: Call) -> Kernels:
    """Rows of a table of weights."""
    table, places = call.view("weight"), call.view("indices")
    rows, columns = table.shape
    return (embedding(places.elements, rows, columns, call.out.dtype, table.dtype, name=call.name),)


_GATHER = "Y[n, d] = gather(X[t, d], AT[n])"
_SCATTER = "ADDED[n, d] = X[n, d] + Z[n, d]"


def gathered(call: Call) -> Kernels:
    """Rows of a table at places that data names."""
    table = call.view("self")
    places = next((v for v in call.tensors[1:] if v.dtype in ("int64", "int32")), None)
    if places is None:
        raise CoverageError("a choice by truth values, of which data says how many there are")
    taken = 1 if call.op in ("aten.gather",) else prod(table.shape[1:])
    sizes = (("n", call.out.elements // taken), ("t", table.elements // taken), ("d", taken))
    role = f"tensor X[t, d]: {table.role}\n" if table.role != "activation" else ""
    formats = (("X", table.dtype), ("Y", call.out.dtype), ("AT", places.dtype))
    return (made(call.name, role + _GATHER, sizes, formats),)


def scattered(call: Call) -> Kernels:
    """What is added to, or put in place of, elements at places that data names."""
    source = next((call.given[n] for n in ("source", "src", "values") if n in call.given), None)
    if not isinstance(source, View):
        return copied(call)
    columns = source.shape[-1] if source.shape else 1
    sizes = (("n", source.elements // columns), ("d", columns))
    formats = tuple((t, source.dtype) for t in ("X", "Z", "ADDED"))
    return (made(call.name, _SCATTER, sizes, formats),)


def best(call: Call) -> Kernels:
    """The largest of each row, and where they stand."""
    operand = call.view("self")
    columns = operand.shape[-1]
    picks = int(call.given["k"])
    return (top_k(operand.elements // columns, columns, picks, operand.dtype, name=call.name),)


def counted(call: Call) -> Kernels:
    """How many elements fall into each bin: each is read, and adds to one."""
    operand = call.view("self")
    sizes = (("n", operand.elements),)
    formats = (("X", operand.dtype), ("ADDED", call.out.dtype), ("Z", call.out.dtype))
    return (made(call.name, "ADDED[n] = X[n] + Z[n]", sizes, formats),)


def in_order(call: Call) -> Kernels:
    """A radix sort moves keys and positions; it compares nothing."""
    size, kind = (("n", call.out.elements),), call.view("self").dtype
    return (made(call.name, "Y[n] = copy(X[n])", size, (("X", kind), ("Y", kind))),)
