"""Calls of ATen that compute element by element, as maps of the notation (`aten.py`).

Functions that the notation has no word for stand as what they are worked out by: a tangent is a
sine over a cosine, a logarithm of two a logarithm and a product.
"""

import re
from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.importers.calls import Call, Kernels, Rule
from hwmodel.einsum.importers.strided import OPERANDS, View, made, mapped


def expressed(expression: str, *names: str) -> Rule:
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
            return filled(call)
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
    return expressed(text, "self", "exponent")(call)


def _gelu(call: Call) -> Kernels:
    form = "gelu_tanh" if call.given.get("approximate") == "tanh" else "gelu"
    return expressed(f"{form}({{self}})", "self")(call)


def filled(call: Call) -> Kernels:
    """A tensor of numbers that nothing is read for."""
    size = (("a", call.out.elements),)
    return (made(call.name, "Y[a] = 0", size, (("Y", call.out.dtype),)),)


def _pair(expression: str) -> Rule:
    return expressed(expression, "self", "other")


def _each(function: str) -> Rule:
    return expressed(f"{function}({{self}})", "self")


def rules(rule: Rule, *names: str) -> dict[str, Rule]:
    """One rule for operators of these names."""
    return {f"aten.{name}": rule for name in names}


FUNCTIONS = {
    **{"tan": "sin(X) / cos(X)", "asin": "sin(X)", "acos": "cos(X)", "atan": "tanh(X)"},
    **{"sinh": "0.5 * (exp(X) - exp(0 - X))", "cosh": "0.5 * (exp(X) + exp(0 - X))"},
    **{"asinh": "log(X + sqrt(X * X + 1))", "acosh": "log(X + sqrt(X * X - 1))"},
    **{"atanh": "0.5 * log((1 + X) / (1 - X))", "erfc": "1 - erf(X)", "erfinv": "erf(X)"},
    **{"log2": "1.443 * log(X)", "log10": "0.434 * log(X)", "exp2": "exp(0.693 * X)"},
    **{"logit": "log(X / (1 - X))", "sinc": "sin(X) / X", "isinf": "abs(X)"},
    **{"mish": "X * tanh(log(1 + exp(X)))", "log_sigmoid": "0 - log(1 + exp(0 - X))"},
    **{"log_sigmoid_forward": "0 - log(1 + exp(0 - X))", "selu": "1.05 * (exp(X) - 1)"},
    **{"celu": "exp(X) - 1", "rrelu": "max(X, 0.2 * X)", "softsign": "X / (1 + abs(X))"},
    **{"hardshrink": "select(abs(X), X, 0)", "softshrink": "select(abs(X), X - 0.5, 0)"},
    **{"threshold": "max(X, 0)", "frac": "X - abs(X)", "fix": "abs(X)", "sgn": "abs(X)"},
    **{"nan_to_num": "select(X, X, 0)", "signbit": "less(X, 0)", "deg2rad": "0.017 * X"},
    **{"isfinite": "abs(X)", "positive": "abs(X)", "tanhshrink": "X - tanh(X)"},
}
"""Function of one tensor -> what it is worked out by, where it is worked out in full."""
PAIRS = {
    **{"atan2": "tanh(X / Z)", "hypot": "sqrt(X * X + Z * Z)", "copysign": "abs(X) * Z"},
    **{"heaviside": "select(X, 1, Z)", "xlogy": "X * log(Z)", "bitwise_xor": "X - Z"},
    **{"logical_xor": "X - Z", "__xor__": "X - Z", "logaddexp": "log(exp(X) + exp(Z))"},
    **{"__lshift__": "X * Z", "__rshift__": "X / Z", "bitwise_left_shift": "X * Z"},
    **{"bitwise_right_shift": "X / Z", "fmax": "max(X, Z)", "fmin": "min(X, Z)"},
    **{"true_divide": "X / Z", "multiply": "X * Z", "subtract": "X - Z", "divide": "X / Z"},
    **{"threshold_backward": "select(X, Z, 0)"},
}
"""Function of two tensors -> the same."""


def _named(arguments: str, table: Mapping[str, str]) -> dict[str, Rule]:
    """The rules of a table whose expressions call these arguments X, Z."""
    found: dict[str, Rule] = {}
    for op, expression in table.items():
        for letter, name in zip(OPERANDS, arguments.split(), strict=False):
            expression = re.sub(rf"\b{letter}\b", f"{{{name}}}", expression)
        found |= rules(expressed(expression, *arguments.split()), op)
    return found


def _gated(call: Call) -> Kernels:
    """One half of a tensor by the sigmoid of the other."""
    halves = [call.out, call.out]
    return (mapped(call.name, "{X} * sigmoid({Z})", call.out, halves),)


POINTWISE: Mapping[str, Rule] = {
    **rules(_pair("{self} + {other}"), "add", "add_", "bitwise_or", "logical_or", "__or__"),
    **rules(_pair("{self} - {other}"), "sub", "sub_"),
    **rules(_pair("{other} - {self}"), "rsub"),
    **rules(expressed("{self} - {self}", "self"), "diff"),
    **rules(
        _pair("{self} * {other}"),
        *("mul", "mul_", "bitwise_and", "logical_and", "__and__"),
    ),
    **rules(_pair("{self} / {other}"), "div", "div_", "floor_divide", "remainder", "fmod"),
    **rules(_pair("max({self}, {other})"), "maximum"),
    **rules(_pair("min({self}, {other})"), "minimum"),
    **rules(_pair("less({self}, {other})"), "lt"),
    **rules(_pair("less({other}, {self})"), "gt"),
    **rules(_pair("less_equal({self}, {other})"), "le"),
    **rules(_pair("less_equal({other}, {self})"), "ge"),
    **rules(_pair("equal({self}, {other})"), "eq", "ne"),
    **{
        name: rule
        for function in (
            *("exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "relu", "sigmoid"),
            *("silu", "abs", "reciprocal", "square"),
        )
        for name, rule in rules(_each(function), function, f"{function}_").items()
    },
    **rules(_each("negate"), "neg"),
    **rules(expressed("1 - {self}", "self"), "logical_not", "bitwise_not"),
    **rules(_each("abs"), "floor", "ceil", "round", "trunc", "sign", "isnan"),
    **rules(expressed("log(1 + exp({self}))", "self"), "softplus"),
    **rules(expressed("log(1 + {self})", "self"), "log1p"),
    **rules(expressed("exp({self}) - 1", "self"), "expm1", "elu"),
    **rules(
        expressed("max({self}, {self} * {negative_slope})", "self", "negative_slope"), "leaky_relu"
    ),
    **rules(
        expressed("{self} * min(max({self} + 3, 0), 6) / 6", "self"),
        *("hardswish", "hardswish_"),
    ),
    **rules(expressed("min(max({self} + 3, 0), 6) / 6", "self"), "hardsigmoid", "hardsigmoid_"),
    **rules(
        expressed("min(max({self}, {min_val}), {max_val})", "self", "min_val", "max_val"),
        "hardtanh",
    ),
    **rules(
        expressed("min(max({self}, {min_val}), {max_val})", "self", "min_val", "max_val"), "relu6"
    ),
    **rules(expressed("min(max({self}, {min}), {max})", "self", "min", "max"), "clamp"),
    **rules(expressed("max({self}, {min})", "self", "min"), "clamp_min"),
    **rules(expressed("min({self}, {max})", "self", "max"), "clamp_max"),
    **rules(
        expressed("select({condition}, {self}, {other})", "condition", "self", "other"), "where"
    ),
    **rules(
        expressed("select({mask}, {value}, {self})", "mask", "value", "self"),
        *("masked_fill", "masked_fill_"),
    ),
    **rules(_power, "pow"),
    **rules(_gelu, "gelu"),
    **_named("self", FUNCTIONS),
    **_named("self other", PAIRS),
    **rules(expressed("{self} + 0.5 * ({end} - {self})", "self", "end"), "lerp"),
    **rules(expressed("{self} + {tensor1} * {tensor2}", "self", "tensor1", "tensor2"), "addcmul"),
    **rules(expressed("{self} + {tensor1} / {tensor2}", "self", "tensor1", "tensor2"), "addcdiv"),
    **rules(
        expressed("max({self}, {self} * {weight})", "self", "weight"), "prelu", "_prelu_kernel"
    ),
    **rules(_gated, "glu"),
}
"""Operator without its overload -> its map."""
