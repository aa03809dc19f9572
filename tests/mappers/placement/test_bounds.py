"""Bounds on crossings: never above a placement, tight where they should be."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.experts.placement import hop_cost
from hwmodel.experts.statistics import from_counts
from hwmodel.mappers.placement.bounds import (
    bounds,
    kept_by_eigenvalues,
    kept_by_matching,
    kept_semidefinite,
    levels,
)
from hwmodel.mappers.placement.exact import solve_exactly
from hwmodel.mappers.placement.problem import problem, value


def most_kept(counts: np.ndarray, devices: int) -> float:
    """Most transitions of one pair of layers that stay, over all balanced placements."""
    experts = len(counts)
    rows = [
        row
        for row in itertools.product(range(devices), repeat=experts)
        if all(row.count(d) == experts // devices for d in range(devices))
    ]
    masks = np.array([np.equal.outer(rows[0], row) for row in rows])
    return max(
        float((counts[list(order)][None] * masks).sum(axis=(1, 2)).max())
        for order in itertools.permutations(range(experts))
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_no_placement_keeps_more_than_either_bound(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 20, (4, 4)) * 1.0
    best = most_kept(counts, 2)
    assert kept_by_matching(counts, 2) >= best - 1e-6
    assert kept_by_eigenvalues(((0, 1, counts),), 4, 2) >= best - 1e-6
    for found in kept_semidefinite(((0, 1, counts),), 4, 2):
        assert found >= best - 1e-6


@given(seed=st.integers(0, 10_000), devices=st.sampled_from([2, 4]))
@settings(max_examples=6)
def test_bounds_rise_towards_the_optimum_and_never_pass_it(seed: int, devices: int) -> None:
    random = np.random.default_rng(seed)
    routing = from_counts({(k, k + 1): random.integers(0, 9, (8, 8)) ** 2 * 1.0 for k in range(3)})
    posed = problem(routing, devices)
    exact = solve_exactly(posed)
    assert exact is not None
    best = value(posed, exact)
    found = [bound.least for bound in bounds(posed)]
    assert all(a <= b for a, b in itertools.pairwise(found))
    assert found[-1] <= best
    assert found[-1] >= 0.9 * best


def test_groups_that_fit_on_a_device_are_tight_for_the_matching() -> None:
    counts = np.kron(np.eye(4), np.full((3, 3), 5.0)) + 1.0
    assert kept_by_matching(counts, 3) == pytest.approx(4 * 9 * 6)
    assert kept_by_matching(counts, 6) == pytest.approx(4 * 9 * 6 + 4 * 9)


def test_the_semidefinite_bound_sees_that_co_location_is_transitive() -> None:
    """A ring of likings cannot all be kept: matching alone would allow it."""
    ring = np.eye(6) + np.roll(np.eye(6), 1, axis=1)  # i likes i and i + 1
    matched = kept_by_matching(ring, 2)
    found = min(kept_semidefinite(((0, 1, ring),), 6, 3))
    assert matched == pytest.approx(12)
    assert most_kept(ring, 3) == 9
    assert 9 - 1e-6 <= found < 11.5


def test_levels_of_nodes_add_up_to_the_hops() -> None:
    fine, coarse = levels(hop_cost(8, 2))
    assert (fine.step, fine.groups, coarse.step, coarse.groups) == (1, 8, 1, 2)
    assert levels(np.zeros((3, 3))) == ()


def test_levels_never_exceed_a_cost_of_any_shape() -> None:
    random = np.random.default_rng(0)
    cost = random.integers(1, 9, (6, 6)) * 1.0
    np.fill_diagonal(cost, 0)
    total = sum(
        level.step * np.not_equal.outer(level.group_of_device, level.group_of_device)
        for level in levels(cost)
    )
    assert (total <= cost).all()
    assert np.max(total) > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_bound_on_whole_counts_is_rounded_up_to_a_whole_one(seed: int) -> None:
    """18.85 crossings that no placement avoids are 19."""
    counts = np.random.default_rng(seed).integers(0, 9, (4, 4)) * 1.0
    posed = problem(from_counts({(0, 1): counts}), 2)
    kept = kept_by_eigenvalues(((0, 1, counts),), 4, 2)
    found = list(bounds(posed))
    assert all(bound.least == int(bound.least) for bound in found)
    first = next(bound.least for bound in found if bound.reason == "semidefinite")
    assert first >= counts.sum() - kept - 1e-6
    assert found[-1].least <= counts.sum() - most_kept(counts, 2)
