"""The search against an exhaustive walk, whatever the costs and however loose their bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.mappers.parallelism.search import Costs, search
from hwmodel.quantity.errors import SolverError

TABLES = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=40,
)


@given(TABLES, st.integers(1, 4), st.booleans())
def test_best_and_front_are_those_of_all(
    table: list[tuple[int, int, float, float]], keep: int, refined: bool
) -> None:
    costs = [(float(a), float(b)) for a, b, _, _ in table]
    bounds = np.array([(a * x, b * y) for a, b, x, y in table])
    seen: list[int] = []

    def evaluate(place: int) -> Costs:
        seen.append(place)
        return costs[place]

    def closer(place: int) -> Costs:
        return tuple(0.9 * cost for cost in costs[place])

    better = closer if refined else None
    found = search(range(len(table)), bounds, evaluate, keep=keep, closer=better)
    ranked = sorted(costs)
    assert [cost[0] for _, cost in found.best] == [cost[0] for cost in ranked[:keep]]
    front = {c for c in costs if not any(o != c and o[0] <= c[0] and o[1] <= c[1] for o in costs)}
    assert {cost for _, cost in found.front} == front
    counted = found.counted
    assert counted.evaluated == len(seen) == len(set(seen))
    assert counted.all == counted.evaluated + counted.ruled_out + counted.too_large
    if counted.ruled_out:
        assert found.least >= found.best[-1][1][0] * (1 - 1e-8)


def test_what_cannot_fit_is_never_evaluated_and_what_does_not_is_no_answer() -> None:
    bounds = np.array([[1.0, 1.0], [math.inf, math.inf], [2.0, 2.0]])
    found = search("abc", bounds, lambda name: None if name == "a" else (3.0, 3.0))
    assert [name for name, _ in found.best] == ["c"]
    counted = found.counted
    assert (counted.too_large, counted.evaluated, counted.failed) == (1, 2, 1)
    assert math.isinf(found.margin)


def test_the_runner_up_s_distance_is_relative_to_the_best() -> None:
    found = search("abc", np.zeros((3, 2)), {"a": (4.0, 1.0), "b": (5.0, 1.0), "c": (9.0, 9.0)}.get)
    assert found.margin == pytest.approx(0.25)


def test_a_bound_above_its_cost_is_no_proof() -> None:
    with pytest.raises(SolverError, match="which was proven"):
        search("a", np.array([[2.0, 0.0]]), lambda name: (1.0, 1.0))
