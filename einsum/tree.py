"""Pieces of a parse tree, and of what it says of sizes and indices."""

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

from lark import Token, Tree

from hwmodel.einsum.cascade import Index
from hwmodel.einsum.template import Arithmetic, Size, calculate

Node: TypeAlias = Tree[Token]
Branch: TypeAlias = Tree[Token] | Token
Terms: TypeAlias = tuple[tuple[str, int], ...]


def complement(
    one: tuple[Terms, Size | None, Size | None], other: tuple[Terms, Size | None, Size | None]
) -> bool:
    """Whether two relations are over the same terms and no side is limited by both."""
    sides = zip(one[1:], other[1:], strict=True)
    return one[0] == other[0] and all(a is None or b is None for a, b in sides)


def axis_of(index: Index) -> tuple[int, str | None]:
    """How well an index names the rank of its axis (0 best), and that rank."""
    if index.rank is not None:
        return 0, index.rank
    if len(index.terms) == 1 and index.terms[0][1] == 1:
        return 1, index.terms[0][0]
    return (2, index.at) if index.at is not None and not index.terms else (3, None)


def weight_of(axis: tuple[int, str | None]) -> int:
    """The first of the two, by which axes are compared."""
    return axis[0]


def folded(operator: str, left: Size, right: Size) -> Size:
    """Arithmetic, worked out where both sides are numbers and dropped where one is neutral."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return calculate(operator, left, right)
    if isinstance(right, int) and right == 0 and operator in "+-":
        return left
    if isinstance(left, int) and left == 0 and operator == "+":
        return right
    return Arithmetic(operator, left, right)


def trees_of(node: Node) -> list[Node]:
    """The branches below a node."""
    return [child for child in node.children if isinstance(child, Tree)]


def tokens_of(node: Node) -> list[Token]:
    """The words below a node."""
    return [child for child in node.children if isinstance(child, Token)]


def token_of(node: Node) -> Token:
    """The first word below a node."""
    return tokens_of(node)[0]


def pads_of(axis: Sequence[Token], fail: Callable[[Token, str], NoReturn]) -> tuple[str, int, int]:
    """A rank with the places before and behind what is stored; `fail` refuses parts of places."""
    rank, *ends = axis
    for end in ends:
        if not end.isdigit():
            fail(end, f"pads of {rank}: expected whole numbers, found {end}")
    low, high = map(int, ends)
    return str(rank), low, high
