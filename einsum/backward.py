"""The backward pass of a cascade: the gradients of what it read, as cascades, and what they read.

Found by structure, as kernels are (`structure`):

    product C = A B              gradients dA = dC B and dB = dC A: two products of the same FLOPs,
                                 the second of which has weights' shape where B is a weight
    attention                    five products where the forward pass has two, by a fused kernel
                                 that computes the probabilities again (FlashAttention-2, arXiv
                                 2307.08691, algorithm 2)
    anything else that is not    the cascade itself twice, as of a product: an assumption
    linear (a recurrence)
    row operation                reads what it read and the gradient of what it made, and writes the
                                 gradients of what it read; a linear one needs the latter alone, a
                                 ReLU what it made, which the product that reads it keeps

What is read again has to be kept from the forward pass: a product's activations, attention's Q, K
and V with a logarithm for each row, what a row operation that is not linear read. What a layer
keeps is the sum of these (Korthikanti et al., arXiv 2205.05198, section 4.1, count the same).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from hwmodel.einsum.attention_shape import AttentionShape, attention
from hwmodel.einsum.cascade import Access, Apply, Cascade
from hwmodel.einsum.counts import footprint, footprint_bytes
from hwmodel.einsum.notation import parse
from hwmodel.einsum.structure import Contraction, contraction, row_operation
from hwmodel.einsum.workloads.attention_backward import attention_backward
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import grouped_gemm
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount

SUMS = "fp32"
"""Format in which gradients of weights are added up over micro-batches."""
STATISTIC_BYTES = 4
"""Of the logarithm of a row's sum that attention keeps."""
LINEAR = frozenset({"add", "subtract", "copy", "cast"})
"""Operators whose gradients need nothing of what they read."""
FULL = 0.5
"""Share of a row operation's widest operand from which another is as wide; tables are far less."""


@dataclass(frozen=True, eq=False)
class Backward:
    """The gradients of one cascade.

    Attributes:
        inputs: cascades that make gradients of activations.
        weights: those that make gradients of weights.
        kept: tensors of the forward pass that these read, by name, in bytes.
        signs: elements of which they read on which side of 0 they are, in what is kept of others.
    """

    inputs: tuple[Cascade, ...]
    weights: tuple[Cascade, ...] = ()
    kept: Mapping[str, Amount] | None = None
    signs: Amount = 0

    @property
    def kept_bytes(self) -> Amount:
        """All that is kept."""
        return sum((self.kept or {}).values(), start=0)


def backward(cascade: Cascade) -> Backward:
    """The gradients of a cascade that a layer runs in its forward pass."""
    shape = attention(cascade)
    if shape is not None:
        return _of_attention(cascade, shape)
    products = [contraction(einsum, cascade) for einsum in cascade.einsums]
    if any(products) and any(rank.iterative for rank in cascade.ranks.values()):
        return _of_recurrence(cascade)
    if any(products):
        parts = [_of_product(cascade, each) for each in products if each is not None]
        return Backward(
            tuple(made for part in parts for made in part.inputs),
            tuple(made for part in parts for made in part.weights),
            {name: size for part in parts for name, size in (part.kept or {}).items()},
        )
    return _of_rows(cascade)


def _of_attention(cascade: Cascade, shape: AttentionShape) -> Backward:
    made = attention_backward(
        batch=shape.batch,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        queries=shape.queries,
        keys=shape.keys,
        head_dim=shape.head_dim,
        value_dim=shape.value_dim,
        causal=shape.causal,
        window=shape.window,
        dtype=shape.dtype_out,
        name=f"{cascade.name} backward",
    )
    kept: dict[str, Amount] = {name: footprint_bytes(name, cascade) for name in shape.read}
    kept["statistics"] = shape.batch_heads * shape.queries * STATISTIC_BYTES
    return Backward((made,), (), kept)


def _of_product(cascade: Cascade, product: Contraction) -> Backward:
    """DA and dB; A is kept where B's gradient is needed, and B where it is no weight."""
    of_a, of_b = f"{cascade.name} gradient", f"{cascade.name} weights' gradient"
    weight = cascade.tensors[product.b].role == "weight"
    kinds: dict[str, Any] = {"dtype": product.dtype_a, "out_dtype": product.dtype_out}
    kept = {product.a: footprint_bytes(product.a, cascade)}
    if product.routing is not None and cascade.origin is not None:
        given: dict[str, Any] = dict(cascade.origin.arguments)
        given |= {"N": given["K"], "K": given["N"], "out_dtype": product.dtype_out}
        # Sums over rows that routing has sent: as many FLOPs, on the same weights.
        both = [grouped_gemm(**dict(given, name=name)) for name in (of_a, of_b)]
        return Backward((both[0],), (both[1],), kept)
    sizes = product.m, product.n, product.k
    m, n, k = sizes
    inputs = gemm(m, k, n, batch=product.batch, **kinds, name=of_a)
    summed = SUMS if weight and product.dtype_out in ("bf16", "fp16") else product.dtype_out
    other = gemm(n, k, m, batch=product.batch, dtype=product.dtype_a, out_dtype=summed, name=of_b)
    if weight:
        return Backward((inputs,), (other,), kept)
    return Backward((inputs, other), (), kept | {product.b: footprint_bytes(product.b, cascade)})


def _of_recurrence(cascade: Cascade) -> Backward:
    """Its products once more for inputs, once more for the state, from all that it read."""
    read = [name for name in cascade.inputs if cascade.tensors[name].role != "weight"]
    again = replace(cascade, name=f"{cascade.name} backward")
    return Backward((again, again), (), {name: footprint_bytes(name, cascade) for name in read})


def _of_rows(cascade: Cascade) -> Backward:
    found = row_operation(cascade)
    read = _wide(cascade)
    linear, cornered = _is_linear(cascade, read), _is_cornered(cascade)
    kept: dict[str, Amount] = (
        {} if linear or cornered else {n: footprint_bytes(n, cascade) for n in read}
    )
    if found is None:
        return Backward((cascade, cascade) if read and not linear else (), (), kept)
    if not read:
        return Backward((), (), kept)
    dtype = cascade.tensors[read[0]].dtype
    text = _gradients(len(read), linear, any(e.reductions for e in cascade.einsums))
    sizes = {"r": found.rows, "c": found.cols}
    inside = {"S": "fp32", "SCALE": "fp32"}
    kinds = {"*": dtype} | {name: kind for name, kind in inside.items() if f"{name}[" in text}
    made = parse(text, sizes=sizes, dtypes=kinds, name=f"{cascade.name} backward")
    signs = footprint(read[0], cascade) if cornered else 0
    return Backward((made,), (), kept, signs)


def _is_cornered(cascade: Cascade) -> bool:
    """Whether it is a ReLU alone."""
    applied = cascade.einsums[-1].expression
    if len(cascade.einsums) > 1 or not isinstance(applied, Apply):
        return False
    return applied.operator == "relu" and all(isinstance(x, Access) for x in applied.arguments)


def _gradients(operands: int, linear: bool, reduces: bool) -> str:
    """A row kernel of as many gradients; over a row's sum where the operation reduced rows."""
    names = [f"D{place}" for place in range(operands)]
    if linear:
        return "D0[r, c] = copy(G[r, c])"
    factors = " * ".join(f"X{place}[r, c]" for place in range(operands))
    lines = [f"output {', '.join(names)}"] if operands > 1 else []
    if reduces:
        lines.append(f"S[r] = sum(c) G[r, c] * {factors}")
        lines += [f"{name}[r, c] = G[r, c] * SCALE[r] - {factors} * S[r]" for name in names]
    else:
        lines += [f"{name}[r, c] = G[r, c] * {factors}" for name in names]
    return "\n".join(lines)


def _wide(cascade: Cascade) -> tuple[str, ...]:
    """Activations that are read about as wide as the widest: no weights, tables or statistics."""
    names = [n for n in cascade.inputs if cascade.tensors[n].role != "weight"]
    counts = {name: float(np.max(footprint(name, cascade))) for name in names}
    most = max(counts.values(), default=0.0)
    floating = (n for n in names if bytes_of(cascade.tensors[n].dtype) >= 1)
    return tuple(n for n in floating if counts[n] >= FULL * most and "int" not in _kind(cascade, n))


def _kind(cascade: Cascade, name: str) -> str:
    return cascade.tensors[name].dtype


def _is_linear(cascade: Cascade, read: tuple[str, ...]) -> bool:
    """Whether what a cascade makes is of the first degree in what is read wide."""
    degrees: dict[str, float] = dict.fromkeys(read, 1)
    for einsum in cascade.einsums:
        summed = {operator for _, operator in einsum.reductions}
        found = _degree(einsum.expression, degrees)
        degrees[einsum.name] = found if summed <= {"add"} or not found else inf
    return all(degrees[name] <= 1 for name in cascade.outputs or (cascade.einsums[-1].name,))


def _degree(expression: object, degrees: Mapping[str, float]) -> float:
    """Degree of an expression in the tensors that have one; infinite where it is no polynomial."""
    if isinstance(expression, Access):
        return degrees.get(expression.tensor, 0)
    if not isinstance(expression, Apply):
        return 0
    of = [_degree(argument, degrees) for argument in expression.arguments]
    if expression.operator in LINEAR:
        return max(of)
    if expression.operator == "multiply" or (expression.operator == "divide" and not of[-1]):
        return sum(of)
    return inf if any(of) else 0
