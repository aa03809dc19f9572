"""Calls of ATen that are layers, norms and choices of rows, as cascades (`aten.py`)."""

from collections.abc import Callable
from math import prod
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.calls import Call, Kernels, Rule, copied
from hwmodel.einsum.importers.strided import View, made
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.dispatch import top_k
from hwmodel.einsum.workloads.gemm import gemm
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
    each = operand.shape[1] if call.op == "aten.instance_norm" else 1
    groups = int(call.given.get("num_groups") or call.given.get("group") or each)
    rows = operand.shape[0] * groups
    kinds = [("X", operand.dtype), ("Y", call.out.dtype)]
    kinds += [(t, "fp32") for t in ("SUM", "CENTRED", "SQUARES", "SCALE")]
    sizes = (("a", rows), ("b", operand.elements // rows))
    scaled = any(isinstance(call.given.get(name), View) for name in ("weight", "bias"))
    return (made(call.name, _GROUPS, sizes, tuple(kinds)), *(by_channel(call) if scaled else ()))


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


def summed(call: Call) -> Kernels:
    """`torch.einsum` of one or two tensors, which is an Einsum of the notation as it stands."""
    text = str(call.given.get("equation", "")).replace(" ", "")
    terms, arrow, result = text.partition("->")
    words, operands = terms.split(","), call.tensors
    if not arrow or "." in text or len(words) != len(operands) or len(words) > 2:
        raise CoverageError(f"einsum {text!r}: of one or two tensors without an ellipsis alone")
    ranks = {sign: _RANKS[at] for at, sign in enumerate(dict.fromkeys(terms.replace(",", "")))}

    def named(tensor: str, signs: str) -> str:
        return f"{tensor}[{', '.join(ranks[sign] for sign in signs)}]" if signs else tensor

    told = " * ".join(named(*each) for each in zip("XZ", words, strict=False))
    over = ", ".join(rank for sign, rank in ranks.items() if sign not in result)
    summing = f"sum({over}) " if over and len(words) == 1 else ""
    sizes = {
        ranks[sign]: extent
        for word, operand in zip(words, operands, strict=True)
        for sign, extent in zip(word, operand.shape, strict=True)
    }
    formats = (*zip("XZ", (each.dtype for each in operands), strict=False), ("Y", call.out.dtype))
    roles = "".join(
        f"tensor {named(t, word)}: {each.role}\n"
        for t, word, each in zip("XZ", words, operands, strict=False)
        if each.role != "activation"
    )
    text = f"{roles}{named('Y', result)} = {summing}{told}"
    return (made(call.name, text, tuple(sizes.items()), formats),)


_RANKS = "abcdefghijklmnopqrstuvw"
_CELLS = {
    "lstm": (
        "C[a] = sigmoid(F[a]) * OLD[a] + sigmoid(I[a]) * tanh(G[a])\n"
        "H[a] = sigmoid(O[a]) * tanh(C[a])"
    ),
    "gru": (
        "N[a] = tanh(G[a] + sigmoid(R[a]) * M[a])\nH[a] = N[a] + sigmoid(Z[a]) * (OLD[a] - N[a])"
    ),
    "rnn_tanh": "H[a] = tanh(G[a] + M[a])",
    "rnn_relu": "H[a] = relu(G[a] + M[a])",
}
"""Recurrent layer -> what a step computes of its products."""


def recurrent(call: Call) -> Kernels:
    """Layers of an LSTM, a GRU or a plain one: a product for all steps, then two kernels a step."""
    operand = call.view("input")
    steps = operand.shape[1 if call.given.get("batch_first") and len(operand.shape) == 3 else 0]
    batch = operand.elements // (steps * operand.shape[-1])
    held: Any = call.given.get("params")
    weights = [each for each in held or () if isinstance(each, View) and len(each.shape) == 2]
    if not weights or len(weights) % 2:
        raise CoverageError("recurrent layers whose results are projected")
    found: list[Cascade] = []
    for inner, again in zip(weights[::2], weights[1::2], strict=True):
        gates, hidden = again.shape
        kind: dict[str, Any] = {"dtype": operand.dtype, "bias": bool(call.given.get("has_biases"))}
        found.append(gemm(steps * batch, gates, inner.shape[1], name=f"{call.name} input", **kind))
        turn = gemm(batch, gates, hidden, name=f"{call.name} step", **kind)
        cell = _CELLS[call.op.removeprefix("aten.")]
        sizes, formats = (("a", batch * hidden),), (("*", operand.dtype),)
        found += [turn, made(f"{call.name} gates", cell, sizes, formats)] * steps
    return found


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
    columns = operand.shape[int(call.given.get("dim", -1))] if operand.shape else 1
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
