"""Which kernels a call of torch's operators (ATen) is, as cascades.

Operators are those of exported graphs, before or after decomposition, with torch's own names of
arguments (`native_functions.yaml`). What only changes how a tensor is looked at is no kernel; a
reshape that no view can have, `contiguous` and `clone` are copies. All else runs as eager torch
runs it: a kernel a call. An operator without a rule is refused by name.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.importers.aten_layers import (
    attention_of,
    best,
    by_channel,
    convolution,
    counted,
    embedded,
    gathered,
    group_norm,
    grouped,
    in_order,
    linear,
    matmul,
    pooled,
    rows,
    scattered,
)
from hwmodel.einsum.importers.calls import Call, Kernels, Rule, copied
from hwmodel.einsum.importers.strided import OPERANDS, View, made, mapped, reduced
from hwmodel.einsum.workloads.rows import layernorm, rmsnorm, softmax
from hwmodel.quantity.errors import CoverageError


def _nothing(call: Call) -> Kernels:
    return ()


def _reshaped(call: Call) -> Kernels:
    """A view where one can be had; else a copy."""
    source = call.tensors[0]
    return () if source.viewable(call.out.shape) else copied(call)


def _made_dense(call: Call) -> Kernels:
    return () if call.tensors[0].dense else copied(call)


def _cast(call: Call) -> Kernels:
    return () if call.tensors[0].dtype == call.out.dtype else copied(call)


def _map(expression: str, *names: str) -> Rule:
    """An expression of the arguments of these names; numbers stand in it as they are."""

    def rule(call: Call) -> Kernels:
        views: list[View] = []
        told: dict[str, str] = {}
        for name in names:
            value = call.given.get(name)
            if isinstance(value, View):
                told[name] = f"{{{OPERANDS[len(views)]}}}"
                views.append(value)
            else:
                told[name] = _number(value)
        if not views:
            return _filled(call)
        return (mapped(call.name, expression.format(**told), call.out, views),)

    return rule


def _number(value: Any) -> str:
    """A number as the notation writes it; what is no number counts as one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "1"
    if value != value or abs(value) == float("inf"):
        return "-inf" if value < 0 else "inf"
    return repr(float(value)) if isinstance(value, float) else str(value)


def _power(call: Call) -> Kernels:
    """Small whole powers are products, half a root; others a logarithm and an exponential."""
    exponent = call.given.get("exponent")
    roots = {0.5: "sqrt({self})", -0.5: "rsqrt({self})", -1: "reciprocal({self})"}
    if isinstance(exponent, (int, float)) and exponent in (2, 3):
        text = " * ".join(["{self}"] * int(exponent))
    elif isinstance(exponent, (int, float)) and exponent in roots:
        text = roots[exponent]
    else:
        text = "exp({exponent} * log({self}))"
    return _map(text, "self", "exponent")(call)


def _gelu(call: Call) -> Kernels:
    form = "gelu_tanh" if call.given.get("approximate") == "tanh" else "gelu"
    return _map(f"{form}({{self}})", "self")(call)


def _filled(call: Call) -> Kernels:
    """A tensor of numbers that nothing is read for."""
    size = (("a", call.out.elements),)
    return (made(call.name, "Y[a] = 0", size, (("Y", call.out.dtype),)),)


def _sum(kind: str) -> Rule:
    def rule(call: Call) -> Kernels:
        dims = call.given.get("dim")
        over = [dims] if isinstance(dims, int) else list(dims or ())
        return (reduced(call.name, kind, call.view("self"), over, call.out.dtype),)

    return rule


def _scan(call: Call) -> Kernels:
    """Running sums along the last dimension."""
    operand = call.view("self")
    columns = operand.shape[-1] if operand.shape else 1
    text = "SUM[a, b+1] = SUM[a, b] + X[a, b] ; SUM[a, 0] = 0\noutput SUM"
    sizes = (("a", operand.elements // columns), ("b", columns))
    return (made(call.name, text, sizes, (("X", operand.dtype), ("SUM", call.out.dtype))),)


def _pair(expression: str) -> Rule:
    return _map(expression, "self", "other")


def _each(function: str) -> Rule:
    return _map(f"{function}({{self}})", "self")


def _rules(rule: Rule, *names: str) -> dict[str, Rule]:
    return {f"aten.{name}": rule for name in names}


RULES: Mapping[str, Rule] = {
    **_rules(
        _nothing,
        *("view", "_unsafe_view", "permute", "transpose", "t", "numpy_T", "expand", "expand_as"),
        *("unsqueeze", "squeeze", "slice", "select", "split", "split_with_sizes", "chunk"),
        *("unbind", "alias", "detach", "detach_", "narrow", "as_strided", "view_as", "movedim"),
        *("swapaxes", "lift_fresh_copy", "lift", "dropout", "dropout_", "sym_size", "broadcast_to"),
        *("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size", "empty"),
        *("_assert_async", "native_dropout", "unflatten", "diagonal", "moveaxis", "item"),
        *(
            "empty_permuted",
            "empty_strided",
            "new_empty",
            "empty_like",
            "feature_dropout",
            "alpha_dropout",
            "mT",
            "adjoint",
        ),
    ),
    **_rules(_reshaped, "reshape", "flatten", "_reshape_copy", "reshape_as"),
    **_rules(_made_dense, "contiguous"),
    **_rules(_cast, "to", "_to_copy", "type_as", "float", "half", "bfloat16"),
    **_rules(
        copied,
        *("clone", "copy", "copy_", "cat", "stack", "pad", "constant_pad_nd", "roll", "flip"),
        *("repeat", "repeat_interleave", "upsample_nearest2d", "slice_scatter", "select_scatter"),
        *("tril", "triu", "masked_select", "pixel_shuffle", "pixel_unshuffle", "tile", "view_copy"),
    ),
    **_rules(
        _filled,
        *("arange", "full", "zeros", "ones", "full_like", "zeros_like", "ones_like", "fill"),
        *("scalar_tensor", "new_zeros", "new_ones", "new_full", "eye", "linspace", "zero"),
    ),
    **_rules(_pair("{self} + {other}"), "add", "add_", "bitwise_or", "logical_or", "__or__"),
    **_rules(_pair("{self} - {other}"), "sub", "sub_"),
    **_rules(_pair("{other} - {self}"), "rsub"),
    **_rules(_map("{self} - {self}", "self"), "diff"),
    **_rules(
        _pair("{self} * {other}"),
        *("mul", "mul_", "bitwise_and", "logical_and", "__and__"),
    ),
    **_rules(_pair("{self} / {other}"), "div", "div_", "floor_divide", "remainder", "fmod"),
    **_rules(_pair("max({self}, {other})"), "maximum"),
    **_rules(_pair("min({self}, {other})"), "minimum"),
    **_rules(_pair("less({self}, {other})"), "lt"),
    **_rules(_pair("less({other}, {self})"), "gt"),
    **_rules(_pair("less_equal({self}, {other})"), "le"),
    **_rules(_pair("less_equal({other}, {self})"), "ge"),
    **_rules(_pair("equal({self}, {other})"), "eq", "ne"),
    **{
        name: rule
        for function in (
            *("exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "relu", "sigmoid"),
            *("silu", "abs", "reciprocal", "square"),
        )
        for name, rule in _rules(_each(function), function, f"{function}_").items()
    },
    **_rules(_each("negate"), "neg"),
    **_rules(_map("1 - {self}", "self"), "logical_not", "bitwise_not"),
    **_rules(_each("abs"), "floor", "ceil", "round", "trunc", "sign", "isnan"),
    **_rules(_map("log(1 + exp({self}))", "self"), "softplus"),
    **_rules(_map("log(1 + {self})", "self"), "log1p"),
    **_rules(_map("exp({self}) - 1", "self"), "expm1", "elu"),
    **_rules(
        _map("max({self}, {self} * {negative_slope})", "self", "negative_slope"), "leaky_relu"
    ),
    **_rules(
        _map("{self} * min(max({self} + 3, 0), 6) / 6", "self"),
        *("hardswish", "hardswish_"),
    ),
    **_rules(_map("min(max({self} + 3, 0), 6) / 6", "self"), "hardsigmoid", "hardsigmoid_"),
    **_rules(
        _map("min(max({self}, {min_val}), {max_val})", "self", "min_val", "max_val"), "hardtanh"
    ),
    **_rules(_map("min(max({self}, {min_val}), {max_val})", "self", "min_val", "max_val"), "relu6"),
    **_rules(_map("min(max({self}, {min}), {max})", "self", "min", "max"), "clamp"),
    **_rules(_map("max({self}, {min})", "self", "min"), "clamp_min"),
    **_rules(_map("min({self}, {max})", "self", "max"), "clamp_max"),
    **_rules(_map("select({condition}, {self}, {other})", "condition", "self", "other"), "where"),
    **_rules(
        _map("select({mask}, {value}, {self})", "mask", "value", "self"),
        *("masked_fill", "masked_fill_"),
    ),
    **_rules(_power, "pow"),
    **_rules(_gelu, "gelu"),
    **_rules(_sum("sum"), "sum"),
    **_rules(_sum("mean"), "mean"),
    **_rules(_sum("max"), "amax", "max", "argmax", "any"),
    **_rules(_sum("min"), "amin", "min", "argmin", "all"),
    **_rules(_sum("product"), "prod"),
    **_rules(_sum("variance"), "var", "std", "var_mean"),
    **_rules(_sum("norm"), "linalg_vector_norm", "norm"),
    **_rules(_scan, "cumsum"),
    **_rules(rows(softmax), "softmax", "_softmax", "log_softmax", "_log_softmax"),
    **_rules(rows(softmax), "_safe_softmax"),
    **_rules(rows(layernorm), "layer_norm", "native_layer_norm"),
    **_rules(rows(rmsnorm), "rms_norm", "_fused_rms_norm"),
    **_rules(group_norm, "group_norm", "native_group_norm"),
    **_rules(
        by_channel,
        *("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"),
    ),
    **_rules(linear, "linear"),
    **_rules(matmul("self", "mat2"), "mm", "bmm"),
    **_rules(matmul("self", "other"), "matmul"),
    **_rules(matmul("self", "vec"), "mv"),
    **_rules(matmul("mat1", "mat2", "self"), "addmm"),
    **_rules(matmul("batch1", "batch2"), "baddbmm"),
    **_rules(grouped, "_grouped_mm"),
    **_rules(
        attention_of,
        *("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention"),
        *(
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
    ),
    **_rules(convolution, "conv1d", "conv2d", "convolution", "convolution"),
    **_rules(pooled("maximum"), "max_pool2d", "max_pool2d_with_indices"),
    **_rules(pooled("average"), "avg_pool2d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"),
    **_rules(embedded, "embedding"),
    **_rules(gathered, "index_select", "index", "gather"),
    **_rules(
        scattered,
        *("index_add", "index_add_", "scatter_add", "scatter", "index_put", "index_put_"),
        *("index_copy", "index_copy_", "scatter_reduce"),
    ),
    **_rules(counted, "histc", "bincount"),
    **_rules(best, "topk"),
    **_rules(in_order, "sort", "argsort"),
}
"""Operator without its overload -> its kernels."""


def kernels(call: Call) -> Kernels:
    """The kernels of a call; raises `CoverageError` where no rule or no size is known."""
    rule = RULES.get(call.op)
    if rule is None:
        raise CoverageError(f"{call.op} is not modelled")
    return rule(call)
