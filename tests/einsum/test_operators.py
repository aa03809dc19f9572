"""The operator table: laws that each row must keep."""

import math

import numpy as np
import pytest

from hwmodel.einsum.operators import ALIASES, OPERATORS, PRIMITIVES, SYMBOLS, Operator, operator
from hwmodel.quantity.errors import UnknownNameError

SAMPLES = np.array([0.25, 0.5, 1.0, 2.0, 3.5])
REDUCING = [row for row in OPERATORS.values() if row.identity is not None and row.map]


@pytest.mark.parametrize("row", REDUCING, ids=lambda row: row.name)
def test_the_identity_of_a_reduction_changes_nothing(row: Operator) -> None:
    assert np.array_equal(row.function(SAMPLES, np.full(5, row.identity)), SAMPLES)


@pytest.mark.parametrize("row", OPERATORS.values(), ids=lambda row: row.name)
def test_every_operator_counts_known_primitives(row: Operator) -> None:
    assert {kind for kind, _ in row.kinds} <= set(PRIMITIVES)
    assert bool(row.identity is not None) == bool(row.reduce)


@pytest.mark.parametrize("name", ["add", "multiply", "max", "min"])
def test_a_reduction_folds_an_axis_like_its_map(name: str) -> None:
    row, grid = OPERATORS[name], np.array([[1.0, 2.0, 4.0], [3.0, 0.5, 8.0]])
    folded = row.function(row.function(grid[:, 0], grid[:, 1]), grid[:, 2])
    assert row.reduce is not None
    assert np.array_equal(row.reduce(grid, axis=1), folded)


@pytest.mark.parametrize("row", OPERATORS.values(), ids=lambda row: row.name)
def test_commutative_operators_commute(row: Operator) -> None:
    if row.commutative:
        left, right = row.function(SAMPLES, SAMPLES[::-1]), row.function(SAMPLES[::-1], SAMPLES)
        assert np.array_equal(left, right)


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("sigmoid", 0.0, 0.5),
        ("silu", 1.0, 0.7310585786300049),
        ("gelu", 1.0, 0.8413447460685429),  # the normal distribution at 1
        ("gelu_tanh", 1.0, 0.8411919906082768),
        ("relu", -2.0, 0.0),
        ("rsqrt", 4.0, 0.5),
        ("erf", math.inf, 1.0),
        ("reciprocal", 4.0, 0.25),
    ],
)
def test_activations_have_their_published_values(name: str, x: float, value: float) -> None:
    assert OPERATORS[name].function(np.array([x]))[0] == pytest.approx(value, rel=1e-14)


def test_aliases_and_symbols_name_rows() -> None:
    assert all(name in OPERATORS for name in ALIASES.values())
    assert {sign: row.name for sign, row in SYMBOLS.items()} == {
        "+": "add",
        "-": "subtract",
        "*": "multiply",
        "/": "divide",
    }
    assert operator("sum") is OPERATORS["add"]


def test_an_unknown_operator_is_answered_with_its_neighbour() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        operator("sigmod")
