"""Sizes that were left open: symbols, expressions in both ways of writing, refusals."""

from types import SimpleNamespace
from typing import Any

import pytest

from hwmodel.einsum.importers.extents import Extents
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

SYMBOL = "Symbol('s77', positive=True, integer=True)"


def held(text: str, hint: int | None = None) -> dict[str, Any]:
    return {"as_expr": {"expr_str": text, "hint": None if hint is None else {"as_int": hint}}}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (f"Mul(Integer(2), {SYMBOL})", 12),
        (f"Add({SYMBOL}, Integer(-1))", 5),
        (f"FloorDiv(Add({SYMBOL}, Integer(1)), Integer(2))", 3),
        (f"Max(Integer(1), {SYMBOL})", 6),
        (f"Pow({SYMBOL}, Integer(2))", 36),
        ("2*s77", 12),
        ("((s77 + 1)//4)", 1),
        ("Mod(s77, 4)", 2),
        ("-s77 + 10", 4),
    ],
)
def test_expressions_are_of_the_size_of_their_symbols(text: str, size: int) -> None:
    extents = Extents({"s77": 6})
    extents.stored(held(SYMBOL, 2), known=False)
    assert extents.stored(held(text)) == size
    assert extents.live(SimpleNamespace(node=SimpleNamespace(expr=text, hint=None))) == size
    extents.check()


def test_what_is_not_said_is_as_in_the_example() -> None:
    extents = Extents({})
    assert extents.stored(held(SYMBOL, 2)) == 2
    assert extents.stored({"as_int": 7}) == extents.live(7) == 7
    assert extents.taken == {"s77": 2}


def test_what_only_data_decides_is_refused() -> None:
    with pytest.raises(CoverageError, match=r"'u0' that only data decides.*fixed sizes"):
        Extents({}).stored(held("u0"))
    with pytest.raises(CoverageError, match="only data decides"):
        Extents({}).stored(held("__import__('os').system('true')", 1))


def test_sizes_of_no_symbol_and_odd_ones_are_refused() -> None:
    extents = Extents({"s7": 6})
    extents.stored(held(SYMBOL, 2))
    with pytest.raises(UnknownNameError, match=r"unknown open size 's7'.*did you mean 's77'"):
        extents.check()
    for odd in (0, -1, 2.5, True, "8"):
        with pytest.raises(InputError, match="open_sizes: s77: expected a whole number"):
            Extents({"s77": odd})
