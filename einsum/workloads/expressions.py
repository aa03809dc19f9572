"""Small expressions in data files: numbers of a layer said by others, `"wide * 4"`.

Names, whole and real numbers, lists, `+ - * / // %`, comparisons, `and or not`, one value or
another (`a if b else c`), elements of lists, and the functions of `FUNCTIONS`. Nothing else is
evaluated: no attributes, no calls of what the file names.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown

MOST = 10**9
"""Numbers beyond that are of no layer."""


def rounded(channels: float, to: int = 8, least: float = 0.9) -> int:
    """The nearest multiple of `to`, one or more, not more than a tenth below (MobileNets' rule)."""
    nearest = max(to, int(channels + to / 2) // to * to)
    return nearest + to if nearest < least * channels else nearest


def regnet(first: int, slope: float, factor: float, depth: int, group: int) -> list[list[int]]:
    """[depths, widths] of a RegNet's stages (Radosavovic et al., arXiv 2003.13678, equations 2-4).

    Blocks' widths grow in a line, are rounded to powers of `factor` times the first, then to whole
    groups; blocks of one width are a stage.
    """
    powers = (round(math.log((first + slope * at) / first, factor)) for at in range(depth))
    quantised = [round(first * factor**power / 8) * 8 for power in powers]
    widths = list(dict.fromkeys(quantised))
    whole = [round(width / min(group, width)) * min(group, width) for width in widths]
    return [[quantised.count(width) for width in widths], whole]


def _counted(count: int) -> list[int]:
    """0, 1, ... below a count, 10,000 at most."""
    return list(range(min(int(count), 10_000)))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "rounded": rounded,
    "regnet": regnet,
    "ceil": math.ceil,
    "int": int,
    "len": len,
    "max": max,
    "min": min,
    "range": _counted,
}

OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def evaluated(text: Any, names: Mapping[str, Any], where: str) -> Any:
    """The value of an expression; what is no text is a value already.

    Raises `InputError` for what is none of it, `UnknownNameError` for a name that nobody gave.
    """
    if not isinstance(text, str):
        return text
    try:
        return _value(_tree(text), names, where)
    except (SyntaxError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: expected an expression, found {shown(text)}: {error}") from None


@lru_cache(maxsize=4096)
def _tree(text: str) -> ast.AST:
    return ast.parse(text, mode="eval").body


def _value(node: ast.AST, names: Mapping[str, Any], where: str) -> Any:
    def of(child: ast.AST) -> Any:
        return _value(child, names, where)

    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            if name not in names:
                raise UnknownNameError(f"name in {where}", name, names)
            return names[name]
        case ast.List(elts=parts):
            return [of(part) for part in parts]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _small(OPERATORS[type(op)](_small(of(left)), _small(of(right))))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
            return OPERATORS[type(op)](of(left), of(right))
        case ast.BoolOp(op=op, values=values):
            return (all if isinstance(op, ast.And) else any)(of(value) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not of(operand)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return of(body) if of(test) else of(orelse)
        case ast.Subscript(value=value, slice=at):
            return of(value)[of(at)]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*(of(argument) for argument in arguments))
        case _:
            pass
    raise ValueError(f"{type(node).__name__} is none of it")


def _small(value: Any) -> int | float:
    if not isinstance(value, (int, float)) or abs(value) > MOST:
        raise ValueError("a number beyond those of layers, or none")
    return value
