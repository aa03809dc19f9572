"""The integer program: its bound with constraints, and which costs it can state."""

import itertools

import numpy as np
import pytest

from hwmodel.experts.placement import hop_cost
from hwmodel.experts.statistics import from_counts
from hwmodel.mappers.placement.problem import Problem, is_feasible, problem, value
from hwmodel.mappers.placement.program import solve_program, variables
from hwmodel.quantity.errors import SolverError

COUNTS = np.random.default_rng(3).integers(0, 30, (4, 4)) * 1.0
ROUTING = from_counts({(0, 1): COUNTS})


def least(posed: Problem) -> float:
    """Over every table of devices that is feasible."""
    rows = itertools.product(range(posed.devices), repeat=2 * posed.experts)
    tables = (np.array(row).reshape(2, posed.experts) for row in rows)
    return min(value(posed, table) for table in tables if is_feasible(posed, table))


@pytest.mark.parametrize(
    "posed",
    [
        problem(ROUTING, 2),
        problem(ROUTING, 2, slack=1),
        problem(ROUTING, 2, pinned={(0, 0): 1, (1, 2): 0}),
        problem(ROUTING, 2, load_cost=3.0),
        problem(ROUTING, 4, cost=hop_cost(4, 2)),
    ],
    ids=["crossings", "slack", "pinned", "load", "hops"],
)
def test_it_finds_and_proves_the_least_of_all(posed: Problem) -> None:
    best = least(posed)
    solved = solve_program(posed, 30)
    assert solved.assignment is not None
    assert is_feasible(posed, solved.assignment)
    assert value(posed, solved.assignment) == pytest.approx(best)
    assert solved.least == pytest.approx(best, rel=1e-5)


def test_a_cost_that_is_no_sum_of_levels_is_left_to_the_search() -> None:
    line = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    assert variables(problem(ROUTING, 4, cost=line)) is None
    assert variables(problem(ROUTING, 4, cost=hop_cost(4, 2))) == (4 + 2) * 16


def test_constraints_without_a_way_are_refused() -> None:
    posed = problem(ROUTING, 2, pinned={(0, 0): 0, (0, 1): 0, (0, 2): 0})
    with pytest.raises(SolverError, match="2 to 2 experts"):
        solve_program(posed, 10)
