"""Sizes that a program of torch.export left open: symbols, and expressions of them.

An expression is sympy's, as text (`2*s77`, `Max(1, s0)`, in memory) or as what builds it
(`Mul(Integer(2), Symbol('s77', positive=True))`, in files). A symbol has the size that the example
had when the program was exported, which stands beside it, or the one that is given. A size that
only data decides (`u0`) has neither.
"""

import ast
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown

_OPERATORS: Mapping[type, Callable[[int, int], int]] = {
    **{ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b},
    **{ast.FloorDiv: lambda a, b: a // b, ast.Div: lambda a, b: a // b},
    **{ast.Mod: lambda a, b: a % b, ast.Pow: lambda a, b: a**b},
}
_FUNCTIONS: Mapping[str, Callable[[list[int]], int]] = {
    **{"Add": sum, "Mul": prod, "Max": max, "Min": min, "Integer": lambda each: each[0]},
    **dict.fromkeys(("Pow", "PowByNatural"), lambda each: each[0] ** each[1]),
    **dict.fromkeys(("FloorDiv", "CleanDiv", "IntTrueDiv"), lambda each: each[0] // each[1]),
    **dict.fromkeys(("Mod", "PythonMod"), lambda each: each[0] % each[1]),
    "CeilDiv": lambda each: -(-each[0] // each[1]),
}


class Extents:
    """Sizes by symbol: those given, and those that the example had."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given: dict[str, int] = {}
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                told = f"expected a whole number of 1 or more, found {shown(value)}"
                raise InputError(f"exported: open_sizes: {name}: {told}")
            self.given[name] = value
        self.taken: dict[str, int] = {}

    def check(self) -> None:
        """Refuse what was given for no symbol of the program."""
        for name in self.given:
            if name not in self.taken:
                raise UnknownNameError("open size", name, self.taken)

    def stored(self, size: Mapping[str, Any], known: bool = True) -> int:
        """A size as a file has it: a number, or an expression and what it was in the example.

        What is not `known` yet is only looked at for the symbols that it is.
        """
        if "as_int" in size:
            return int(size["as_int"])
        held: Mapping[str, Any] = size.get("as_expr") or {}
        hint: Mapping[str, Any] = held.get("hint") or {}
        text = str(held.get("expr_str") or size.get("as_name"))
        return self._of(text, hint.get("as_int"), known)

    def live(self, size: Any, known: bool = True) -> int:
        """The same of a program in memory."""
        node = getattr(size, "node", None)
        return int(size) if node is None else self._of(str(node.expr), node.hint, known)

    def _of(self, text: str, hint: int | None, known: bool) -> int:
        try:
            tree = ast.parse(text, mode="eval").body
            symbol = _symbol(tree)
            if symbol and hint is not None:
                self.taken.setdefault(symbol, self.given.get(symbol, int(hint)))
            return int(_value(tree, self.taken)) if known else 0
        except (SyntaxError, KeyError, TypeError, ArithmeticError, RecursionError):
            raise CoverageError(
                f"a size {text!r} that only data decides, or that the example did not have; export"
                " the program with fixed sizes"
            ) from None


def _symbol(tree: ast.AST) -> str | None:
    """The name of what is a symbol by itself."""
    match tree:
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return None


def _value(tree: ast.AST, known: Mapping[str, int]) -> int:
    symbol = _symbol(tree)
    if symbol is not None:
        return known[symbol]
    match tree:
        case ast.Constant(value=int(value)):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, known), _value(right, known))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, known)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name]([_value(each, known) for each in arguments])
        case _:
            raise KeyError(type(tree).__name__)
