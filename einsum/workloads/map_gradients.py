"""What a layer of a network of maps runs in training, and which maps its gradients read again.

forward    a batch norm of the batch at hand reads its map twice: for sums, then to scale it
inputs     gradients of the maps that it read; weights: of its filters and vectors
reads      maps that have to be kept for these: what it read, or what it made

As torch's operators have it (derivatives.yaml): a ReLU, a sigmoid and a tanh read what they made,
other functions what they read; a maximum has written the place of each (8 bytes), which its
gradient reads, and keeps its input too, as a mean of windows does. Channels vary fastest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hwmodel.einsum.backward import backward
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.layer import WINDOWED, Layer
from hwmodel.einsum.workloads.rows import copy

SUMS = "fp32"
"""Format of sums over a batch, and of gradients of weights."""
PLACE_BYTES = 8
"""Of the place of a maximum."""
STATISTIC_BYTES = 4
"""Of a mean, of a spread, of a logarithm of a sum."""
BY_RESULT = ("relu", "sigmoid", "tanh")
"""Functions whose gradient reads what they made."""
KEPT: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys((*WINDOWED, "linear", "dense", "norm", "groupnorm", "layernorm"), (0,)),
    **dict.fromkeys(("maximum", "average", "attention", "gain"), (0,)),
    **dict.fromkeys(("multiply", "scale"), (0, 1)),
}
"""Kind -> which of the maps that it reads are kept for its gradients; of others none."""
VIEWS = ("half", "move")
"""Layers whose map is their input's, seen otherwise."""

_SUMS = "output S, Q\nS[c] = sum(p) X[p, c]\nQ[c] = sum(p) X[p, c] * X[p, c]"
_NORM = """
tensor SCALE[c]: weight
tensor SHIFT[c]: weight
Y[p, c] = X[p, c] * SCALE[c] + SHIFT[c]
"""
_GRADIENT_SUMS = "output S, Q\nS[c] = sum(p) G[p, c]\nQ[c] = sum(p) G[p, c] * X[p, c]"
_GRADIENT_NORM = "D[p, c] = G[p, c] * A[c] - X[p, c] * B[c] - C[c]"
_GRADIENT_ROWS = """
S[r] = sum(p) G[r, p]
Q[r] = sum(p) G[r, p] * X[r, p]
D[r, p] = (G[r, p] - X[r, p] * Q[r]) * S[r]
"""
_TIMES = "D[p] = G[p] * X[p]"
_SPREAD = "D[p, r] = copy(G[p])"
_PLACED = "D[p, r] = G[p] * PLACE[p]"
_GATHERED = "D[p] = sum(r) G[p, r]"
_SUMMED = "D[c] = sum(p) G[p, c]"
_SUMMED_TIMES = "D[c] = sum(p) G[p, c] * X[p, c]"
_SCALED = "D[b, p, c] = G[b, p, c] * S[b, c]"
_SCALES = "D[b, c] = sum(p) G[b, p, c] * X[b, p, c]"


@dataclass(frozen=True, eq=False)
class Passes:
    """Cascades of both passes of a layer."""

    forward: tuple[Cascade, ...]
    inputs: tuple[Cascade, ...] = ()
    weights: tuple[Cascade, ...] = ()


def parameters(layer: Layer) -> int:
    """All that is trained of it: filters, biases, a factor and a sum for each channel."""
    each = {"norm": 2, "groupnorm": 2, "layernorm": 2, "shift": 1, "gain": 1}.get(layer.kind, 0)
    biased = layer.bias and layer.kind in ("linear", "dense", "transposed")
    return layer.weights + (each + biased) * layer.filters


def reads(layer: Layer) -> tuple[tuple[int, ...], bool]:
    """Maps that it read and that are kept for its gradients, and whether what it made is."""
    if layer.kind == "activation":
        by_result = layer.function in BY_RESULT
        return (() if by_result or not layer.function else (layer.inputs[0],)), by_result
    kept = tuple(layer.inputs[place] for place in KEPT.get(layer.kind, ()))
    return kept, layer.kind == "attention"


def beside_bytes(layer: Layer, batch: int) -> float:
    """What it keeps beside maps: places of maxima, norms' statistics, attention's sums of rows."""
    if layer.kind == "maximum":
        return float(PLACE_BYTES * batch * layer.outputs_elements)
    rows = {
        "norm": layer.filters,
        "groupnorm": batch * layer.groups,
        "layernorm": batch * layer.places,
        "attention": batch * layer.heads * layer.places,
    }.get(layer.kind, 0)
    return float(STATISTIC_BYTES * rows * (1 if layer.kind == "attention" else 2))


def passes(layer: Layer, dtype: str, batch: int, *, first: bool = False) -> Passes:
    """Its cascades on `batch` images; the `first` layer's input has no gradient.

    `dtype` is the format of its maps where it says none. Layers that are alike have the same.
    """
    alike = replace(layer, name=layer.kind)
    made = MADE.get(layer.kind, _others)(alike, layer.written or dtype, batch)
    return Passes(made.forward, (), made.weights) if first else made


def accumulated(layer: Layer, dtype: str, batch: int) -> Cascade:
    """The gradient of what it made from two of its readers."""
    rows = batch * layer.places
    text = "D[p, c] = A[p, c] + B[p, c]"
    return _map(
        text, f"{layer.kind} gradients", layer.written or dtype, {"p": rows, "c": layer.filters}
    )


def _map(
    text: str, name: str, dtype: str, sizes: Mapping[str, int], wide: tuple[str, ...] = ()
) -> Cascade:
    kinds = {"*": dtype} | dict.fromkeys(wide, SUMS)
    return parse(text, sizes=sizes, dtypes=kinds, name=name)


def _windowed(layer: Layer, dtype: str, batch: int) -> Passes:
    slide = layer.slide(batch, last=True)
    turned = layer.kind == "transposed"
    ways = (slide.spreads, slide.gathers) if turned else (slide.gathers, slide.spreads)
    gradient = f"{layer.name} gradient"
    return Passes(
        (ways[0](dtype, dtype, layer.name),),
        (ways[1](dtype, dtype, gradient),),
        (slide.filters(dtype, SUMS, f"{layer.name} weights' gradient"),),
    )


def _product(layer: Layer, dtype: str, batch: int) -> Passes:
    linear = layer.kind == "linear"
    rows = batch * (1 if linear else layer.places)
    fan_in = layer.inputs_elements if linear else layer.channels
    gradient = f"{layer.name} gradient"
    summed = f"{layer.name} weights' gradient"
    return Passes(
        (layer.cascade(dtype, batch),),
        (gemm(rows, fan_in, layer.filters, dtype=dtype, name=gradient),),
        (gemm(layer.filters, fan_in, rows, dtype=dtype, out_dtype=SUMS, name=summed),),
    )


def _norm(layer: Layer, dtype: str, batch: int) -> Passes:
    name, back = layer.name, f"{layer.name} gradient"
    sizes = {"p": batch * layer.places, "c": layer.filters}
    return Passes(
        (
            _map(_SUMS, f"{name} sums", dtype, sizes, ("S", "Q")),
            _map(_NORM, name, dtype, sizes, ("SCALE", "SHIFT")),
        ),
        (
            _map(_GRADIENT_SUMS, f"{back} sums", dtype, sizes, ("S", "Q")),
            _map(_GRADIENT_NORM, back, dtype, sizes, ("A", "B", "C")),
        ),
    )


def _activation(layer: Layer, dtype: str, batch: int) -> Passes:
    back = _map(_TIMES, f"{layer.name} gradient", dtype, {"p": batch * layer.outputs_elements})
    return Passes((layer.cascade(dtype, batch),), (back,) if layer.function else ())


def _pool(layer: Layer, dtype: str, batch: int) -> Passes:
    """Each place of the map that it read has what its windows say: one of them, or a share."""
    window = max(1, round(layer.inputs_elements / layer.outputs_elements))
    sizes = {"p": batch * layer.outputs_elements, "r": window}
    name = f"{layer.name} gradient"
    if layer.kind == "maximum":
        kinds = {"*": dtype, "PLACE": "int64"}
        back = parse(_PLACED, sizes=sizes, dtypes=kinds, name=name)
    else:
        back = _map(_SPREAD, name, dtype, sizes)
    return Passes((layer.cascade(dtype, batch),), (back,))


def _enlarged(layer: Layer, dtype: str, batch: int) -> Passes:
    window = layer.outputs_elements // layer.inputs_elements
    sizes = {"p": batch * layer.inputs_elements, "r": window}
    back = _map(_GATHERED, f"{layer.name} gradient", dtype, sizes)
    return Passes((layer.cascade(dtype, batch),), (back,))


def _cast(layer: Layer, dtype: str, batch: int) -> Passes:
    sizes = {"p": batch * layer.outputs_elements}
    made, back = (
        parse("Y[p] = cast(X[p])", sizes=sizes, dtypes={"X": a, "Y": b}, name=name)
        for a, b, name in (
            (layer.read, layer.written, layer.name),
            (layer.written, layer.read, f"{layer.name} gradient"),
        )
    )
    return Passes((made,), (back,))


def _groupnorm(layer: Layer, dtype: str, batch: int) -> Passes:
    """A block of threads for each group of each image; backward so where it is a channel alone."""
    each = layer.filters // layer.groups
    back = f"{layer.name} gradient"
    if each > 1:
        return Passes((layer.cascade(dtype, batch),), _norm(layer, dtype, batch).inputs)
    sizes = {"r": batch * layer.groups, "p": layer.places}
    return Passes(
        (layer.cascade(dtype, batch),), (_map(_GRADIENT_ROWS, back, dtype, sizes, ("S", "Q")),)
    )


def _plain(layer: Layer, dtype: str, batch: int) -> Passes:
    """A sum: its gradient is that of each of its terms, and no kernel."""
    return Passes((layer.cascade(dtype, batch),))


def _view(layer: Layer, dtype: str, batch: int) -> Passes:
    return Passes(())


def _copied(layer: Layer, dtype: str, batch: int) -> Passes:
    """Joined forward, taken apart backward."""
    back = copy(batch * layer.places, layer.filters, dtype=dtype, name=f"{layer.name} gradient")
    return Passes((layer.cascade(dtype, batch),), (back,))


def _multiplied(layer: Layer, dtype: str, batch: int) -> Passes:
    back = _map(_TIMES, f"{layer.name} gradient", dtype, {"p": batch * layer.outputs_elements})
    return Passes((layer.cascade(dtype, batch),), (back, back))


def _scaled(layer: Layer, dtype: str, batch: int) -> Passes:
    sizes = {"b": batch, "p": layer.places, "c": layer.filters}
    back = (
        _map(_SCALED, f"{layer.name} gradient", dtype, sizes),
        _map(_SCALES, f"{layer.name} scales' gradient", dtype, sizes),
    )
    return Passes((layer.cascade(dtype, batch),), back)


def _vector(layer: Layer, dtype: str, batch: int) -> Passes:
    """A sum, or a factor, for each channel: gradients over all places."""
    sizes = {"p": batch * layer.places, "c": layer.filters}
    gain = layer.kind == "gain"
    summed = _SUMMED_TIMES if gain else _SUMMED
    name = f"{layer.name} weights' gradient"
    weights = (_map(summed, name, dtype, sizes, ("D",)),)
    scaled = "tensor F[c]: weight\nD[p, c] = G[p, c] * F[c]"
    inputs = (_map(scaled, f"{layer.name} gradient", dtype, sizes),) if gain else ()
    return Passes((layer.cascade(dtype, batch),), inputs, weights)


def _others(layer: Layer, dtype: str, batch: int) -> Passes:
    """Found by the structure of its cascade."""
    made = layer.cascade(dtype, batch)
    back = backward(made)
    return Passes((made,), back.inputs, back.weights)


MADE: Mapping[str, Callable[[Layer, str, int], Passes]] = {
    **dict.fromkeys(WINDOWED, _windowed),
    **dict.fromkeys(("linear", "dense"), _product),
    "norm": _norm,
    "groupnorm": _groupnorm,
    "cast": _cast,
    **dict.fromkeys(("maximum", "average", "mean"), _pool),
    **dict.fromkeys(VIEWS, _view),
    **dict.fromkeys(("shift", "gain"), _vector),
    "activation": _activation,
    "add": _plain,
    "concat": _copied,
    "enlarge": _enlarged,
    "multiply": _multiplied,
    "scale": _scaled,
}
