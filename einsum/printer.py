"""The text of a cascade: `parse(show(cascade), name=cascade.name) == cascade`.

It is complete (every rank with its size, every tensor with its format) and canonical: reductions
are written out, infix operators have only the brackets that they need. Bands are assumed in their
canonical form (see `cascade.Band`).
"""

from itertools import groupby
from typing import Any, cast

import numpy as np

from hwmodel.einsum.cascade import (
    SKEWED,
    Access,
    Band,
    Cascade,
    Constant,
    Einsum,
    Expression,
    Extent,
    Index,
    Rank,
    Tensor,
)
from hwmodel.einsum.operators import OPERATORS
from hwmodel.quantity.units import Amount

LOOSE, TIGHT, SIGN = 1, 2, 3
"""How strongly + -, * / and a leading minus bind."""
STRENGTH = {"add": LOOSE, "subtract": LOOSE, "multiply": TIGHT, "divide": TIGHT, "negate": SIGN}


def show(cascade: Cascade) -> str:
    """The cascade as text, sizes and formats included."""
    lines = [*_rank_lines(cascade), *(_tensor_line(t) for t in cascade.tensors.values())]
    if cascade.outputs:
        lines.append(f"output {', '.join(cascade.outputs)}")
    return "\n".join([*lines, "", *(show_einsum(e, cascade) for e in cascade.einsums), ""])


def show_einsum(einsum: Einsum, cascade: Cascade) -> str:
    """One Einsum as a line of text, with the initial values of its tensor."""
    reductions = "".join(
        f"{'sum' if operator == 'add' else operator}({', '.join(rank for rank, _ in pairs)}) "
        for operator, pairs in groupby(einsum.reductions, key=lambda pair: pair[1])
    )
    line = f"{show_access(einsum.output)} = {reductions}{show_expression(einsum.expression)}"
    if einsum.bands:
        line += f" | {', '.join(_band(band) for band in einsum.bands)}"
    for sign, fraction in (("~", einsum.density), ("?", einsum.probability)):
        if isinstance(fraction, np.ndarray) or fraction != 1:
            line += f" {sign} {_number(fraction)}"
    for initial in cascade.initials:
        if initial.output.tensor == einsum.name:
            line += f" ; {show_access(initial.output)} = {_number(initial.value)}"
    return line


def show_expression(expression: Expression, least: int = 0) -> str:
    """An expression; in brackets where it binds less strongly than `least`."""
    if isinstance(expression, Access):
        return show_access(expression)
    if isinstance(expression, Constant):
        return _number(expression.value)
    if isinstance(expression, Extent):
        return expression.rank.upper()
    name, strength = expression.operator, STRENGTH.get(expression.operator, 0)
    arguments = expression.arguments
    if name == "negate" and not isinstance(arguments[0], Constant):
        text = f"-{show_expression(arguments[0], SIGN)}"
    elif strength in (LOOSE, TIGHT):
        left, right = arguments
        sign = OPERATORS[name].symbol
        text = f"{show_expression(left, strength)} {sign} {show_expression(right, strength + 1)}"
    else:
        strength = SIGN
        text = f"{name}({', '.join(show_expression(argument) for argument in arguments)})"
    return f"({text})" if strength < least else text


def show_access(access: Access) -> str:
    """A tensor at its indices."""
    if not access.indices:
        return access.tensor
    return f"{access.tensor}[{', '.join(_index(index) for index in access.indices)}]"


def _index(index: Index) -> str:
    parts = [_multiple(rank, factor) for rank, factor in index.terms]
    if index.at is not None:
        parts.append(index.at.upper())
    if index.offset or not parts:
        parts.append(str(index.offset))
    return "+".join(parts).replace("+-", "-")


def _multiple(rank: str, factor: int) -> str:
    return rank if factor == 1 else f"-{rank}" if factor == -1 else f"{factor}*{rank}"


def _rank_lines(cascade: Cascade) -> list[str]:
    parts: dict[str, list[Rank]] = {}
    lines: list[str] = []
    for rank in cascade.ranks.values():
        if rank.parent is not None:
            parts.setdefault(rank.parent, []).append(rank)
        spread = rank.distribution
        if spread is None:
            lines.append(f"rank {rank.name} = {_number(rank.size)}")
            continue
        arguments = [spread.draws, spread.picks]
        if spread.kind in SKEWED:
            arguments.append(spread.exponent)
        if not (isinstance(spread.ways, int) and spread.ways == 1):
            arguments.append(spread.ways)
        listed = ", ".join(_number(argument) for argument in arguments)
        lines.append(f"rank {rank.name}({spread.over}) ~ {spread.kind}({listed})")
    for parent, ranks in parts.items():
        names = [rank.name for rank in sorted(ranks, key=lambda rank: -rank.part)]
        lines.append(f"rank {parent} = {' x '.join(names)}")
    return lines


def _tensor_line(tensor: Tensor) -> str:
    ends = {rank: f"({low}, {high})" for rank, low, high in tensor.pads}
    axes = f"[{', '.join(r + ends.get(r, '') for r in tensor.ranks)}]" if tensor.ranks else ""
    role = "" if tensor.role == "activation" else f" {tensor.role}"
    share = "" if tensor.density is None else f" ~ {tensor.density}"
    return f"tensor {tensor.name}{axes}: {tensor.dtype}{role}{share}"


def _band(band: Band) -> str:
    terms = " + ".join(_multiple(rank, factor) for rank, factor in band.terms)
    terms = terms.replace("+ -", "- ")
    low = "" if band.low is None else f"{_number(band.low)} <= "
    high = "" if band.high is None else f" <= {_number(band.high)}"
    return f"{low}{terms}{high}"


def _number(value: Amount) -> str:
    if isinstance(value, np.ndarray):
        return _array(value.tolist())
    return repr(value)


def _array(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_array, cast(list[Any], values)))}]"
    return repr(values)
