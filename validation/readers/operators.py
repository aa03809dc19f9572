"""Calls of torch that are no workload by name: what a profile says of them, by the rules of ATen.

A profile has the shapes, strides and plain values of a call's arguments in their order, and none of
its result; `ARGUMENTS` names them as torch's `native_functions.yaml` does, and the result follows.
The kernels are those of exported programs (`einsum/importers/aten.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.importers.aten import kernels
from hwmodel.einsum.importers.calls import Call
from hwmodel.einsum.importers.strided import View
from hwmodel.einsum.network import Stack
from hwmodel.quantity.errors import CoverageError
from hwmodel.validation.readers.profiles import Op

FORMATS = {
    **{"c10::BFloat16": "bf16", "c10::Half": "fp16", "float": "fp32", "double": "fp64"},
    **{"c10::Float8_e4m3fn": "fp8", "signed char": "int8", "unsigned char": "int8"},
    **{"int": "int32", "long int": "int64", "long": "int64", "short": "int16", "bool": "bool"},
}
"""Type of an argument -> number format."""

_NORM = "input weight bias running_mean running_var training momentum eps"
_POOL = "self kernel_size stride padding"
ARGUMENTS = {
    **dict.fromkeys(
        "relu sigmoid tanh exp log sqrt rsqrt neg abs sin cos erf silu gelu hardswish hardsigmoid"
        " mish reciprocal square clone contiguous fill_ zero_ logical_not bitwise_not floor"
        " round ceil log1p elu softplus".split(),
        "self",
    ),
    **dict.fromkeys(
        "add sub mul div maximum minimum eq ne lt le gt ge bitwise_and bitwise_or logical_and"
        " logical_or rsub atan2 remainder".split(),
        "self other",
    ),
    **dict.fromkeys(("sum", "mean", "amax", "amin", "var", "prod"), "self dim keepdim"),
    **dict.fromkeys(("native_batch_norm", "batch_norm", "cudnn_batch_norm"), _NORM),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d", "avg_pool3d"), _POOL),
    **dict.fromkeys(("max_pool3d_with_indices", "max_pool2d"), _POOL),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bilinear2d"), "self output_size"),
    **{"clamp_min": "self min", "clamp_max": "self max", "clamp": "self min max"},
    **{"hardtanh": "self min_val max_val", "leaky_relu": "self negative_slope"},
    **{"pow": "self exponent", "where": "condition self other", "copy_": "out src"},
    **{"masked_fill": "self mask value", "addcmul": "self tensor1 tensor2", "lerp": "self end"},
    **{"cumsum": "self dim", "embedding": "weight indices"},
    "native_group_norm": "input weight bias N C HxW group",
    "cudnn_convolution": "input weight padding stride dilation groups",
    "cudnn_convolution_transpose": "input weight padding output_padding stride dilation groups",
}
"""Operator, without the sign that it works in place -> its first arguments; `out` is its result."""
CALLED = {
    "cudnn_convolution": "convolution",
    "cudnn_convolution_transpose": "conv_transpose2d",
    "cudnn_batch_norm": "native_batch_norm",
}
"""Operator of a library -> what exported programs call it."""
TRUTHS = frozenset("eq ne lt le gt ge logical_and logical_or logical_not".split())
REDUCED = frozenset(("sum", "mean", "amax", "amin", "var", "prod"))


@dataclass(frozen=True)
class Operator:
    """A call of torch by its own name, with the shapes that it was given, and its kernels.

    Calls are alike whose arguments are, `of` all of them.
    """

    said: str
    of: str
    work: Stack = field(compare=False)
    kernel: None = None


def operator_of(op: Op) -> Operator | None:
    """The kernels of a call; None where its arguments do not say them, or it has none."""
    front, _, name = op.name.partition("::")
    plain = name.removesuffix("_")
    names = ARGUMENTS.get(name) or ARGUMENTS.get(plain)
    if front != "aten" or names is None:
        return None
    try:
        given = {
            word: _argument(op, at) for at, word in enumerate(names.split()) if at < len(op.dims)
        }
        out = given.pop("out", None) or _result(name, given)
        made = kernels(Call(f"aten.{CALLED.get(name, name)}", given, (out,), plain))
    except (CoverageError, KeyError, IndexError, TypeError, ValueError):
        return None
    if not made or not out.elements:
        return None
    shapes = [each for each in given.values() if isinstance(each, View) and each.shape]
    told = " ".join("x".join(map(str, each.shape)) for each in shapes[:2])
    stages = tuple(Stage(each, 1) for each in made)
    of = repr((name, op.dims, op.strides, op.types, op.values))
    return Operator(f"{plain} {told} dtype={out.dtype}", of, Stack(plain, stages))


def _argument(op: Op, at: int) -> Any:
    """A tensor as a view, or a plain value."""
    dims, kind = op.dims[at], op.types[at]
    value = op.values[at] if at < len(op.values) else ""
    if kind in FORMATS and (dims or not value):
        return _view(dims, op.strides[at] if at < len(op.strides) else None, kind)
    if value in ("True", "False"):
        return value == "True"
    return json.loads(value) if value else None


def _view(dims: Sequence[int], strides: Sequence[int] | None, kind: str) -> View:
    shape = tuple(map(int, dims))
    dense = tuple(prod(shape[at + 1 :]) for at in range(len(shape)))
    return View(shape, dense if strides is None else tuple(map(int, strides)), FORMATS[kind])


def _result(name: str, given: Mapping[str, Any]) -> View:
    """What a call makes: of the shape of its arguments together, unless it changes that."""
    first = next(iter(given.values()))
    if not isinstance(first, View):
        raise TypeError("expected a tensor first")
    plain = name.removesuffix("_")
    if name.endswith("_") or plain in ("native_batch_norm", "native_group_norm"):
        return first
    if "convolution" in name:
        return _dense(_slid(first, given, "transpose" in name), first.dtype)
    if "pool" in name:
        return _dense(_windows(first, given), first.dtype)
    if name.startswith("upsample"):
        return _dense([*first.shape[:2], *given["output_size"]], first.dtype)
    if plain == "embedding":
        return _dense([*given["indices"].shape, first.shape[-1]], first.dtype)
    if plain in REDUCED:
        dims = given.get("dim")
        over = {int(dim) % len(first.shape) for dim in dims or range(len(first.shape))}
        return _dense([1 if at in over else n for at, n in enumerate(first.shape)], first.dtype)
    views = [each for each in given.values() if isinstance(each, View)]
    shape = np.broadcast_shapes(*(each.shape for each in views))
    like = next((each for each in views if each.shape == shape), None)
    dtype = "bool" if plain in TRUTHS else views[-1].dtype if plain == "where" else first.dtype
    strides = like.strides if like is not None and 0 not in like.strides else None
    return _dense(shape, dtype) if strides is None else View(tuple(shape), strides, dtype)


def _dense(shape: Sequence[int], dtype: str) -> View:
    sides = tuple(map(int, shape))
    return View(sides, tuple(prod(sides[at + 1 :]) for at in range(len(sides))), dtype)


def _slid(source: View, given: Mapping[str, Any], turned: bool) -> list[int]:
    """Batch, filters and sides of what a convolution makes, or a transposed one."""
    filters, _, *sides = given["weight"].shape
    ways = (given["padding"], given["stride"], given["dilation"])
    each = zip(source.shape[2:], sides, *ways, strict=True)
    if turned:
        made = [(n - 1) * s - 2 * p + d * (t - 1) + 1 for n, t, p, s, d in each]
        more = given.get("output_padding") or [0] * len(made)
        channels = given["weight"].shape[1] * int(given.get("groups") or 1)
        return [source.shape[0], channels, *(n + m for n, m in zip(made, more, strict=True))]
    made = [(n + 2 * p - d * (t - 1) - 1) // s + 1 for n, t, p, s, d in each]
    return [source.shape[0], filters, *made]


def _windows(source: View, given: Mapping[str, Any]) -> list[int]:
    """Sides of what a pool makes."""
    window = given["kernel_size"]
    steps, zeros = given.get("stride") or window, given.get("padding") or [0] * len(window)
    front = len(source.shape) - len(window)
    pairs = zip(source.shape[front:], window, steps, zeros, strict=True)
    sides = [(side + 2 * zero - taps) // step + 1 for side, taps, step, zero in pairs]
    return [*source.shape[:front], *sides]
