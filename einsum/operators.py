"""The one table of operators: what an Einsum may map, reduce or apply to single values with.

An operator's `kinds` say which primitive operations one application counts, so that a cost model
needs to know the primitives only. Composite activations are counted by their textbook formula:
sigmoid(x) = 1 / (1 + exp(-x)), the sign riding on the operand; silu(x) = x * sigmoid(x);
gelu(x) = 0.5 * x * (1 + erf(x / sqrt(2))), and its tanh form 0.5*x*(1 + tanh(c*(x + d*x*x*x)))
(Hendrycks and Gimpel, arXiv 1606.08415). Moves (copy, gather) count no operation: they cost bytes.

`ranked(X[c, r], P[k])` is the P-th largest of X along its first rank, from 0: a whole sort where P
holds all places, the largest numbers where it holds some. It counts one comparison for each number
that it makes, fewer than any algorithm takes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import UnknownNameError

Array: TypeAlias = NDArray[np.float64]

PRIMITIVES = (
    *("add", "subtract", "multiply", "divide", "max", "min", "compare", "select", "convert"),
    *("exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos"),
)
"""Operation kinds that counts are made of; each is one FLOP."""


@dataclass(frozen=True)
class Operator:
    """One row: `function` over float64 arrays, `identity` of the reduction (None: cannot reduce).

    `kinds` are (primitive, times) pairs per application. `reduce` folds an axis; an operator that
    is commutative and associative may be reduced in any order, hence split and tiled.
    """

    name: str
    arity: int
    function: Callable[..., Any]
    kinds: tuple[tuple[str, int], ...]
    identity: float | None = None
    reduce: Callable[..., Any] | None = None
    commutative: bool = False
    associative: bool = False
    symbol: str | None = None
    map: bool = True


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _rsqrt(x: Array) -> Array:
    return 1.0 / np.sqrt(x)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _silu(x: Array) -> Array:
    return x * _sigmoid(x)


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _gather(table: Array, position: Array) -> Array:
    """Rows of `table` at `position`; the evaluator aligns both first."""
    return np.take(table, position.astype(np.intp), axis=0)


def _ranked(table: Array, position: Array) -> Array:
    """Numbers of `table` from the largest on, along its first axis, at `position`."""
    return np.take(-np.sort(-table, axis=0), position.astype(np.intp), axis=0)


def _one(kind: str) -> tuple[tuple[str, int], ...]:
    return ((kind, 1),)


def _monoid(name: str, ufunc: Any, identity: float, symbol: str | None = None) -> Operator:
    """A commutative, associative operator, usable as map and as reduction."""
    return Operator(name, 2, ufunc, _one(name), identity, ufunc.reduce, True, True, symbol=symbol)


_SIGMOID = (("exp", 1), ("add", 1), ("divide", 1))
_TABLE = (
    _monoid("add", np.add, 0.0, "+"),
    _monoid("multiply", np.multiply, 1.0, "*"),
    _monoid("max", np.maximum, -math.inf),
    _monoid("min", np.minimum, math.inf),
    Operator("subtract", 2, np.subtract, _one("subtract"), symbol="-"),
    Operator("divide", 2, np.divide, _one("divide"), symbol="/"),
    Operator("argmin", 1, np.argmin, _one("compare"), math.inf, np.argmin, map=False),
    Operator("argmax", 1, np.argmax, _one("compare"), -math.inf, np.argmax, map=False),
    Operator("less", 2, np.less, _one("compare")),
    Operator("less_equal", 2, np.less_equal, _one("compare")),
    Operator("equal", 2, np.equal, _one("compare"), commutative=True),
    Operator("select", 3, np.where, _one("select")),
    Operator("negate", 1, np.negative, _one("subtract")),
    Operator("abs", 1, np.abs, _one("max")),
    Operator("square", 1, np.square, _one("multiply")),
    Operator("reciprocal", 1, np.reciprocal, _one("divide")),
    Operator("exp", 1, np.exp, _one("exp")),
    Operator("log", 1, np.log, _one("log")),
    Operator("sqrt", 1, np.sqrt, _one("sqrt")),
    Operator("rsqrt", 1, _rsqrt, _one("rsqrt")),
    Operator("tanh", 1, np.tanh, _one("tanh")),
    Operator("erf", 1, _erf, _one("erf")),
    Operator("sin", 1, np.sin, _one("sin")),
    Operator("cos", 1, np.cos, _one("cos")),
    Operator("relu", 1, _relu, _one("max")),
    Operator("sigmoid", 1, _sigmoid, _SIGMOID),
    Operator("silu", 1, _silu, (*_SIGMOID, ("multiply", 1))),
    Operator(
        "gelu",
        1,
        _gelu,
        (("multiply", 3), ("erf", 1), ("add", 1)),
    ),
    Operator("gelu_tanh", 1, _gelu_tanh, (("multiply", 6), ("tanh", 1), ("add", 2))),
    Operator("cast", 1, np.positive, _one("convert")),
    Operator("copy", 1, np.positive, ()),
    Operator("gather", 2, _gather, ()),
    Operator("ranked", 2, _ranked, _one("compare")),
)
LOOKED_UP = ("gather", "ranked")
"""Operators whose first operand's first rank is looked up by value."""
OPERATORS: Mapping[str, Operator] = {o.name: o for o in _TABLE}
ALIASES = {
    "sum": "add",
    "mul": "multiply",
    "sub": "subtract",
    "div": "divide",
    "product": "multiply",
}
SYMBOLS = {o.symbol: o for o in _TABLE if o.symbol}


def operator(name: str) -> Operator:
    """Look an operator up by its name or alias; raises `UnknownNameError`."""
    found = OPERATORS.get(ALIASES.get(name, name))
    if found is None:
        raise UnknownNameError("operator", name, OPERATORS)
    return found
