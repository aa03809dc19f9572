"""The search: constraints always hold, settling never hurts, nodes are filled well."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.experts.placement import hop_cost
from hwmodel.experts.statistics import Routing, from_counts
from hwmodel.mappers.placement.problem import is_feasible, problem, value
from hwmodel.mappers.placement.search import attraction, best_response, regroup, search, settle


def routing(experts: int, layers: int, seed: int) -> Routing:
    random = np.random.default_rng(seed)
    return from_counts(
        {(k, k + 1): random.integers(0, 9, (experts, experts)) * 1.0 for k in range(layers - 1)}
    )


@given(seed=st.integers(0, 1000), slack=st.integers(0, 2), load_cost=st.sampled_from([0.0, 2.0]))
@settings(max_examples=15)
def test_every_placement_keeps_the_constraints(seed: int, slack: int, load_cost: float) -> None:
    posed = problem(
        routing(12, 4, seed),
        4,
        cost=hop_cost(4, 2),
        slack=slack,
        load_cost=load_cost,
        pinned={(0, 3): 1, (2, 7): 3},
        forbidden={(1, 1): (0, 2), (3, 0): (3,)},
    )
    tried = itertools.islice(search(posed, np.random.default_rng(seed)), 25)
    values: list[float] = []
    for placed in tried:
        assert is_feasible(posed, placed)
        values.append(value(posed, placed))
    assert values == sorted(values, reverse=True)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_a_best_response_beats_every_other_row(seed: int) -> None:
    posed = problem(routing(6, 3, seed), 3, cost=hop_cost(3, 3, between=1.5))
    placed = np.array([[0, 0, 1, 1, 2, 2]] * 3)
    rows = [np.array(row) for row in set(itertools.permutations(placed[0]))]
    values: list[float] = []
    for row in rows:
        tried = placed.copy()
        tried[1] = row
        values.append(value(posed, tried))
    placed[1] = best_response(posed, attraction(posed, placed, 1), 1)
    assert value(posed, placed) == min(values)


def test_settling_never_raises_the_value() -> None:
    posed = problem(routing(16, 5, 0), 4)
    random = np.random.default_rng(0)
    for _ in range(10):
        start = np.stack([random.permutation(np.repeat(np.arange(4), 4)) for _ in range(5)])
        assert value(posed, settle(posed, start)) <= value(posed, start)


@pytest.mark.parametrize("seed", range(4))
def test_devices_are_dealt_to_nodes_no_worse_than_in_order(seed: int) -> None:
    moved = np.random.default_rng(seed).integers(0, 100, (8, 8)) * 1.0
    order = regroup(moved, 2)
    assert sorted(order) == list(range(8))

    def leaves(numbers: np.ndarray) -> float:
        node = numbers // 4
        return float(moved[node[:, None] != node[None, :]].sum())

    assert leaves(order) <= leaves(np.arange(8))
    paired = np.kron(np.eye(4), [[0, 9], [9, 0]])[np.ix_(*[[0, 2, 4, 6, 1, 3, 5, 7]] * 2)]
    node = regroup(paired, 4) // 2
    assert paired[node[:, None] != node[None, :]].sum() == 0


def test_settling_exchanges_experts_of_the_busiest_device() -> None:
    """Loads of 40, 40, 4 and 4 on two devices: crossings are alike, so that loads decide: 44."""
    routed = from_counts({(0, 1): np.outer([10.0, 10.0, 1.0, 1.0], np.ones(4))})
    posed = problem(routed, 2, load_cost=1.0)
    found = settle(posed, np.array([[0, 0, 1, 1]] * 2))
    assert np.bincount(found[0], posed.loads[0], 2).tolist() == [44, 44]
    assert sorted(found[0]) == [0, 0, 1, 1]
