"""What a step trains and keeps where weights are frozen, or their gradients sampled.

Low-rank adapters (LoRA, arXiv 2106.09685): beside each product of a layer with a weight [K, N],
which stays as it is, two thin ones of rank r, x A and (x A) B, whose sum is added. A frozen weight
has no gradient, no optimiser and nothing to be reduced: the backward pass has the gradients of
inputs alone, and those of A and B. The input of the product is kept for A's gradient, x A for B's.
Rows that only frozen products read (those of experts, of the head) are kept no more. Layers' frozen
weights may be stored in a narrower format (`frozen`; QLoRA, arXiv 2305.14314): each pass then
widens them for its products, unless these read that format.

Adapters behind a layer are a bottleneck that is trained, or frozen ones of other tasks and what
puts them together (`einsum.workloads.adapted`). Gradients of inputs run through all layers.

Sampled gradients (WTA-CRS, arXiv 2305.15265): of the rows that a product has read the share k / m
is kept, and its weights' gradient is summed over those; the pass forward, and gradients of inputs,
are exact. Of attention by products so much of its operands is kept, too, and of a ReLU's result a
bit for each element (zirui-ray-liu/WTACRS); its gradients are taken to last as long as before.

Pieces are changed after they are made: kernels by the pass that they are of, bytes by their shapes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.notation import parse
from hwmodel.einsum.structure import Contraction, contraction
from hwmodel.einsum.workloads.adapted import Adapters
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import add
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.layers import SCORES, WIDE_BYTES, Kernel, Piece

FORWARD, INPUTS, WEIGHTS = "forward", "inputs", "weights"
ROUTER = "router"
"""A product of a layer that adapters leave alone."""
SIGN_BYTES = 1 / 8
"""On which side of 0 an element is, where a product keeps some rows (zirui-ray-liu/WTACRS)."""
ROWS = 128
"""Rows that are drawn together: a tile of the products over them."""


def changed(each: Piece, work: Training, weights: Iterable[Weight], how: Execution) -> Piece:
    """A piece as it is trained; `weights` are those of a layer, of which adapters are beside some.

    The network's ends have none.
    """
    if work.sampled < 1:
        each = _sampled(each, work.sampled)
    if work.adapters is None:
        return each
    linear = [weight for weight in weights if weight.role == "linear"]
    if work.adapters.kind == "lora":
        some = [weight for weight in linear if work.adapters.on in ("all", weight.part)]
        return _frozen(each, work, linear, some, how.tp)
    still = _frozen(each, work, linear, (), how.tp)
    return _behind(still, work, work.adapters, how) if linear else still


def _behind(each: Piece, work: Training, of: Adapters, how: Execution) -> Piece:
    """A layer with what stands behind it: bottlenecks, and what puts several together."""
    hidden, depth = work.model.network.hidden, work.model.network.depth
    rows = how.micro_batch * work.sequence // how.cp
    sizes = rows, hidden, of.width
    own = of.kind == "bottleneck"
    kernels = [*each.kernels, *_bottleneck(sizes, of.sources, work.wide, trained=own)]
    kept = each.kept_bytes + WIDE_BYTES * rows * of.sources * of.width * (2 if own else 1)
    kept += WIDE_BYTES * rows * hidden * (1 if own else of.sources)
    if of.kind == "fusion":
        kernels += _fused(rows, hidden, of.sources, work.wide)
        kept += WIDE_BYTES * rows * hidden * (2 + 2 * of.sources)
    elif of.kind == "scaled":
        kernels += _scaled(rows, hidden, of, work.wide)
    return replace(
        each,
        kernels=tuple(kernels),
        kept_bytes=kept,
        dense=of.trained(hidden, depth),
        frozen=each.frozen + of.sources_held(hidden),
    )


def _bottleneck(
    sizes: tuple[int, int, int], count: int, dtype: str, *, trained: bool
) -> Iterator[Kernel]:
    """So many pairs of thin products, forward and backward; frozen ones have no own gradients."""
    rows, wide, narrow = sizes
    for made in ((rows, narrow, wide), (rows, wide, narrow)):
        yield Kernel(gemm(*made, dtype=dtype, name="bottleneck"), count, FORWARD)
        back = (made[0], made[2], made[1])
        yield Kernel(gemm(*back, dtype=dtype, name="bottleneck"), count, INPUTS)
        if trained:
            turned = (made[1], made[2], made[0])
            yield Kernel(gemm(*turned, dtype=dtype, name="bottleneck"), count, WEIGHTS)
    yield Kernel(add(rows, wide, dtype=dtype), count, FORWARD)


def _fused(rows: int, hidden: int, sources: int, dtype: str) -> Iterator[Kernel]:
    """A query of a layer, keys and values of its sources, and their weighted sum."""
    for many in (rows, sources * rows, sources * rows):
        made = gemm(many, hidden, hidden, dtype=dtype, name="fusion")
        turned = gemm(hidden, hidden, many, dtype=dtype, name="fusion")
        yield Kernel(made, 1, FORWARD)
        yield Kernel(made, 1, INPUTS)
        yield Kernel(turned, 1, WEIGHTS)
    sizes = {"s": sources, "p": rows, "c": hidden}
    summed = parse(
        "W[s, p] = sum(c) Q[p, c] * K[s, p, c]\nY[p, c] = sum(s) W[s, p] * V[s, p, c]",
        sizes=sizes,
        dtypes={"*": dtype},
        name="fusion sum",
    )
    yield Kernel(summed, 1, FORWARD)
    yield Kernel(summed, 2, INPUTS)


def _scaled(rows: int, hidden: int, of: Adapters, dtype: str) -> Iterator[Kernel]:
    """Sources, each by its vector or number, added; gradients of both."""
    by = "s, c" if of.each == "channel" else "s"
    sizes = {"s": of.sources, "p": rows, "c": hidden}
    texts = (
        (FORWARD, f"tensor W[{by}]: weight\nY[p, c] = sum(s) X[s, p, c] * W[{by}]"),
        (INPUTS, f"tensor W[{by}]: weight\nD[s, p, c] = G[p, c] * W[{by}]"),
        (WEIGHTS, f"D[{by}] = sum({'p' if by == 's, c' else 'p, c'}) G[p, c] * X[s, p, c]"),
    )
    for role, text in texts:
        yield Kernel(parse(text, sizes=sizes, dtypes={"*": dtype}, name="scaled"), 1, role)


def _frozen(
    each: Piece, work: Training, stored: Sequence[Weight], adapted: Sequence[Weight], tp: int
) -> Piece:
    """No gradients of weights but of adapters; these alone are parameters that are trained.

    `stored` are the weights of a layer, `adapted` those of them that have adapters beside them.
    """
    assert work.adapters is not None
    rank, share = work.adapters.width, work.sampled
    kernels = [kernel for kernel in each.kernels if kernel.role != WEIGHTS]
    kept = each.kept_bytes
    parts = {weight.part for weight in adapted}
    if share == 1 and "mlp" not in parts:
        kept += each.signs * WIDE_BYTES  # a ReLU keeps itself what no product keeps
    for kernel in each.kernels:
        made = _weighted(kernel)
        if made is None or kernel.cascade.name == ROUTER:
            continue
        rows, columns, read = int(made.m), int(made.n), int(made.k)
        if stored and work.frozen is not None and work.frozen != work.precision:
            kernels += _widened(kernel, made, work)
        if kernel.part in parts and made.routing is None:
            kernels += _adapter(kernel, (rows, columns, read), rank, share, work.wide)
            kept += share * kernel.times * rows * rank * WIDE_BYTES
        else:
            kept -= share * kernel.times * rows * read * WIDE_BYTES
    trained = sum(rank * sum(w.sizes(tp)) for w in adapted if w.copies == 1)
    return replace(
        each,
        kernels=tuple(kernels),
        kept_bytes=max(kept, 0.0),
        dense=float(trained),
        experts=0.0,
        frozen=(each.dense + each.experts) * (_narrower(work) if stored else 1.0),
    )


def _narrower(work: Training) -> float:
    """Bytes of a frozen weight of a layer over those of one in 16 bits."""
    return 1.0 if work.frozen is None else float(bytes_of(work.frozen)) / WIDE_BYTES


def _widened(kernel: Kernel, made: Contraction, work: Training) -> Iterator[Kernel]:
    """A product's weight in the format that it reads, before it runs forward and backward."""
    weight = kernel.cascade.tensors[made.b]
    elements = float(footprint_bytes(made.b, kernel.cascade)) / float(bytes_of(weight.dtype))
    sizes = {"n": int(elements) // int(made.k), "k": int(made.k)}
    kinds = {"W": str(work.frozen), "Y": work.wide}
    name = f"{kernel.cascade.name} widened"
    cast = parse("Y[n, k] = cast(W[n, k])", sizes=sizes, dtypes=kinds, name=name)
    for role in (FORWARD, INPUTS):
        yield Kernel(cast, kernel.times, role)


def _adapter(
    kernel: Kernel, shape: tuple[int, int, int], rank: int, share: float, dtype: str
) -> Iterator[Kernel]:
    """Two thin products and their gradients, those of weights over a share of the rows."""
    rows, columns, read = shape
    some = _drawn(rows, share)
    name = f"{kernel.cascade.name} adapter"
    sizes = (
        (FORWARD, (rows, rank, read)),
        (FORWARD, (rows, columns, rank)),
        (INPUTS, (rows, rank, columns)),
        (INPUTS, (rows, read, rank)),
        (WEIGHTS, (columns, rank, some)),
        (WEIGHTS, (rank, read, some)),
    )
    for role, each in sizes:
        yield Kernel(gemm(*each, dtype=dtype, name=name), kernel.times, role)


def _sampled(each: Piece, share: float) -> Piece:
    """So much of the rows of products kept, and summed over in gradients of weights."""
    kernels = tuple(
        replace(kernel, cascade=_fewer(kernel.cascade, share)) if kernel.role == WEIGHTS else kernel
        for kernel in each.kernels
    )
    products = [(k.times, made) for k in each.kernels if (made := _weighted(k)) is not None]
    read = sum(times * float(made.m) * float(made.k) for times, made in products) * WIDE_BYTES
    kept = each.kept_bytes - (1 - share) * (read + each.attended_bytes)
    kept += each.signs * SIGN_BYTES
    return replace(each, kernels=kernels, kept_bytes=kept)


def _fewer(cascade: Cascade, share: float) -> Cascade:
    """The gradient of a weight over fewer rows, in whole tiles; those of experts keep all."""
    made = _product(cascade)
    if made is None or made.routing is not None:
        return cascade
    return cascade.but(K=_drawn(int(made.k), share))


def _drawn(rows: int, share: float) -> int:
    """Rows that gradients of weights are summed over."""
    return rows if share == 1 else min(rows, ROWS * math.ceil(share * rows / ROWS))


def _weighted(kernel: Kernel) -> Contraction | None:
    """A product with a weight, its rows those of all experts together; None where it is none."""
    forward = kernel.role == FORWARD and kernel.part != SCORES
    made = _product(kernel.cascade) if forward else None
    if made is None or kernel.cascade.tensors[made.b].role != "weight":
        return None
    return made


def _product(cascade: Cascade) -> Contraction | None:
    found = (contraction(einsum, cascade) for einsum in cascade.einsums)
    return next((each for each in found if each is not None), None)
