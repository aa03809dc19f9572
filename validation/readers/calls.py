"""Which workload a call of torch is, by its name and the shapes of its arguments.

Shapes are those of torch's operators (ATen, `native_functions.yaml`): matrices of `mm` are [M, K]
and [K, N], of `linear` [..., K] and [N, K]; attention is [batch, heads, length, head_dim] where the
caller asks for it and [batch, length, heads, head_dim] in the kernel's own call; images are
[batch, channels, height, width]. A call whose arguments do not say the sizes has no workload.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

from hwmodel.einsum.workloads.catalogue import workload
from hwmodel.validation.readers.operators import FORMATS, Operator, operator_of
from hwmodel.validation.readers.profiles import Op

TF32 = ("tf32", "s1688", "s16816gemm_tf32")
"""Parts of names of kernels that multiply fp32 in tf32."""


@dataclass(frozen=True)
class Call:
    """A workload by name with its fields, and the library that ran it, where the call says so."""

    workload: str
    fields: tuple[tuple[str, Any], ...]
    kernel: str | None = None

    @property
    def said(self) -> str:
        """In words: `gemm M=4096 N=4096 K=4096 dtype=bf16`."""
        return " ".join([self.workload, *(f"{name}={value}" for name, value in self.fields)])

    @property
    def work(self) -> Any:
        """The workload, as it is asked for by name."""
        return workload(self.workload, **dict(self.fields))


Rule = Callable[[Op, str], Call | None]


def call_of(ops: Sequence[Op], kernel: str) -> Call | Operator | None:
    """The workload, or the operator, of the innermost call that is one; None where none is."""
    for op in ops:
        rule = RULES.get(op.name)
        if rule is not None:
            try:
                return rule(op, kernel)
            except (IndexError, KeyError, TypeError, ValueError):
                return operator_of(op)  # arguments that are none of these shapes
        found = operator_of(op)
        if found is not None:
            return found
    return None


def _made(workload: str, op: Op, *, kernel: str | None = None, of: int = 0, **sizes: Any) -> Call:
    dtype: Any = sizes.pop("dtype", None) or FORMATS[op.types[of]]
    if not all(int(size) > 0 for name, size in sizes.items() if name not in ("padding", "causal")):
        raise ValueError("a size of 0")
    return Call(workload, (*sizes.items(), ("dtype", dtype)), kernel)


def _dtype(op: Op, kernel: str, of: int) -> str:
    named = FORMATS[op.types[of]]
    return "tf32" if named == "fp32" and any(mark in kernel for mark in TF32) else named


def _product(first: int) -> Rule:
    """`mm` and its like: the first of the two matrices is an argument's place."""

    def rule(op: Op, kernel: str) -> Call:
        a, b = op.dims[first], op.dims[first + 1]
        *batch, rows, inner = a
        *_, _, columns = b
        sizes: dict[str, Any] = {"M": rows, "N": columns, "K": inner}
        sizes |= {"batch": prod(batch)} if batch else {}
        return _made("gemm", op, of=first, dtype=_dtype(op, kernel, first), **sizes)

    return rule


def _linear(op: Op, kernel: str) -> Call:
    *rows, inner = op.dims[0]
    sizes: dict[str, Any] = {"M": prod(rows), "N": op.dims[1][0], "K": inner}
    return _made("gemm", op, dtype=_dtype(op, kernel, 0), **sizes)


def _attention(kernel: str, causal: int, *, heads_first: bool) -> Rule:
    """Attention of a backend; `causal` is the place of the argument that says so."""

    def rule(op: Op, _: str) -> Call:
        query, key = op.dims[0], op.dims[1]
        if len(query) != 4:
            raise ValueError("sequences of several lengths in one tensor")
        batch, heads, queries, head_dim = query if heads_first else _swapped(query)
        _b, kv_heads, keys, _d = key if heads_first else _swapped(key)
        said = op.values[causal] if causal < len(op.values) else ""
        sizes: dict[str, Any] = {"batch": batch, "heads": heads, "kv_heads": kv_heads}
        sizes |= {"queries": queries}
        sizes |= {"keys": keys, "head_dim": head_dim, "causal": said == "True"}
        return _made("attention", op, kernel=kernel, **sizes)

    return rule


def _swapped(dims: Sequence[int]) -> tuple[int, int, int, int]:
    batch, length, heads, head_dim = dims
    return batch, heads, length, head_dim


def _rows(workload: str) -> Rule:
    """A kernel that reads and writes rows of the last dimension."""

    def rule(op: Op, _: str) -> Call:
        *rows, cols = op.dims[0]
        return _made(workload, op, rows=prod(rows), cols=cols)

    return rule


def _pairs(workload: str) -> Rule:
    """The same of two operands of one shape; others are broadcast, and have other traffic."""

    def rule(op: Op, _: str) -> Call:
        if op.dims[0] != op.dims[1] or op.types[0] != op.types[1]:
            raise ValueError("operands of two shapes or formats")
        *rows, cols = op.dims[0]
        return _made(workload, op, rows=prod(rows), cols=cols)

    return rule


def _convolution(
    stride: int, padding: int, dilation: int, groups: int, turned: int | None = None
) -> Rule:
    """A convolution of images; the places of its other arguments, whose values must be there."""

    def rule(op: Op, kernel: str) -> Call:
        if turned is not None and op.values[turned] == "True":
            raise ValueError("a transposed one")
        batch, channels, height, width = op.dims[0]
        filters, _, window, window_width = op.dims[1]
        sides = {
            name: _side(op.values[place])
            for name, place in (("stride", stride), ("padding", padding), ("dilation", dilation))
        }
        sizes: dict[str, Any] = {"batch": batch, "channels": channels, "filters": filters}
        sizes |= {
            "height": height,
            "width": width,
            "window": window,
            "window_width": window_width,
            **sides,
        }
        sizes |= {"groups": int(op.values[groups])}
        return _made("conv2d", op, dtype=_dtype(op, kernel, 0), **sizes)

    return rule


def _side(text: str) -> int:
    down, across = cast(list[int], json.loads(text))
    if down != across:
        raise ValueError("other steps down than across")
    return down


RULES: Mapping[str, Rule] = {
    "aten::mm": _product(0),
    "aten::addmm": _product(1),
    "aten::bmm": _product(0),
    "aten::baddbmm": _product(1),
    "aten::linear": _linear,
    "aten::_flash_attention_forward": _attention("flash-attention-2", 8, heads_first=False),
    "aten::_scaled_dot_product_flash_attention": _attention(
        "flash-attention-2", 4, heads_first=True
    ),
    "aten::_efficient_attention_forward": _attention("efficient-attention", 8, heads_first=False),
    "aten::_scaled_dot_product_cudnn_attention": _attention("cudnn", 6, heads_first=True),
    "aten::_cudnn_attention_forward": _attention("cudnn", 9, heads_first=True),
    "aten::_softmax": _rows("softmax"),
    "aten::native_layer_norm": _rows("layernorm"),
    "aten::_fused_rms_norm": _rows("rmsnorm"),
    "aten::gelu": _rows("gelu"),
    "aten::silu": _rows("silu"),
    "aten::add": _pairs("add"),
    "aten::add_": _pairs("add"),
    "aten::mul": _pairs("multiply"),
    "aten::mul_": _pairs("multiply"),
    "aten::copy_": _pairs("copy"),
    "aten::cudnn_convolution": _convolution(3, 2, 4, 5),
    "aten::convolution": _convolution(3, 4, 5, 8, 6),
    "aten::_convolution": _convolution(3, 4, 5, 8, 6),
}
"""Name of a call -> its workload."""
