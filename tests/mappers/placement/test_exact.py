"""Exact placements: equal to enumeration, and silent where they do not apply."""

import itertools

import numpy as np
import pytest

from hwmodel.experts.placement import hop_cost
from hwmodel.experts.statistics import from_counts
from hwmodel.mappers.placement.exact import partitions, solve_exactly
from hwmodel.mappers.placement.problem import is_feasible, problem, value
from hwmodel.mappers.placement.program import solve_program

RANDOM = np.random.default_rng(7)


def chain(experts: int, layers: int) -> dict[tuple[int, int], np.ndarray]:
    return {(k, k + 1): RANDOM.integers(0, 50, (experts, experts)) * 1.0 for k in range(layers - 1)}


@pytest.mark.parametrize(("experts", "devices"), [(4, 4), (4, 2), (6, 3), (6, 2)])
def test_one_pair_of_layers_is_best_over_every_order(experts: int, devices: int) -> None:
    tables = chain(experts, 2)
    posed = problem(from_counts(tables), devices)
    found = solve_exactly(posed)
    assert found is not None
    assert is_feasible(posed, found)
    counts = tables[0, 1]
    each = experts // devices
    rows = {
        tuple(row[k] // each for k in range(experts))
        for row in itertools.permutations(range(experts))
    }
    member = np.array([np.eye(devices)[list(row)] for row in rows])
    kept = np.einsum("aid,ij,bjd->ab", member, counts, member, optimize=True).max()
    assert value(posed, found) == counts.sum() - kept


@pytest.mark.parametrize(("experts", "devices", "layers"), [(6, 2, 4), (6, 3, 3), (4, 4, 5)])
def test_a_chain_agrees_with_the_integer_program(experts: int, devices: int, layers: int) -> None:
    posed = problem(from_counts(chain(experts, layers)), devices)
    found = solve_exactly(posed)
    assert found is not None
    solved = solve_program(posed, 30)
    assert solved.assignment is not None
    assert value(posed, found) == value(posed, solved.assignment)
    assert solved.least == pytest.approx(value(posed, found), rel=1e-6)


def test_partitions_are_counted_without_names() -> None:
    assert [partitions(8, d) for d in (2, 4, 8)] == [35, 105, 1]


def test_cases_that_it_does_not_cover_are_left_to_others() -> None:
    tables = chain(4, 3)
    routing = from_counts(tables)
    assert solve_exactly(problem(routing, 4, cost=hop_cost(4, 2))) is None
    assert solve_exactly(problem(routing, 2, pinned={(0, 0): 0})) is None
    assert solve_exactly(problem(routing, 2, slack=1)) is None
    assert solve_exactly(problem(routing, 2, load_cost=1.0)) is None
    ring = from_counts({**tables, (0, 2): tables[0, 1]})
    assert solve_exactly(problem(ring, 2)) is None
    assert solve_exactly(problem(from_counts(chain(64, 2)), 8)) is None
