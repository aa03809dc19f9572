"""Token-and-expert clusters against every pair of clusterings."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwmodel.mappers.placement.clusters import cluster, cluster_exactly
from hwmodel.quantity.errors import InputError


def objective(
    a: NDArray[Any], p: NDArray[Any], tokens: Sequence[int], experts: Sequence[int], theta: float
) -> float:
    """The bilinear program of the paper, sum by sum."""
    total = float(sum(a))
    uneven = sum(
        abs(sum(a[j] for j, t in enumerate(tokens) if t == i) - total / 2) for i in range(2)
    )
    remote = sum(
        a[j] * p[j][k] for j, t in enumerate(tokens) for k, e in enumerate(experts) if t != e
    )
    return theta * uneven + (1 - theta) * remote


@given(seed=st.integers(0, 10_000), theta=st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=8)
def test_the_linearised_program_finds_the_least_of_all(seed: int, theta: float) -> None:
    random = np.random.default_rng(seed)
    frequency, activation = random.integers(1, 20, 5) * 1.0, random.random((5, 4))
    least = min(
        objective(frequency, activation, tokens, experts, theta)
        for tokens in itertools.product(range(2), repeat=5)
        for experts in set(itertools.permutations([0, 0, 1, 1]))
    )
    found = cluster_exactly(frequency, activation, 2, theta=theta)
    assert found.value == pytest.approx(least, rel=1e-6)
    assert found.least == pytest.approx(least, rel=1e-5)
    again = objective(frequency, activation, found.tokens.tolist(), found.experts.tolist(), theta)
    assert again == pytest.approx(found.value)
    alternating = cluster(frequency, activation, 2, theta=theta)
    assert alternating.value >= least - 1e-9


def test_alternation_finds_planted_clusters() -> None:
    activation = np.kron(np.eye(4), np.full((8, 4), 0.9)) + 0.01
    order = np.random.default_rng(0).permutation(16)
    found = cluster(np.ones(32), activation[:, order], 4, theta=0.2)
    groups = [frozenset(np.flatnonzero(found.experts == i).tolist()) for i in range(4)]
    hidden = order // 4
    planted = [frozenset(np.flatnonzero(hidden == i).tolist()) for i in range(4)]
    assert set(groups) == set(planted)
    assert found.value == pytest.approx(0.8 * 32 * 12 * 0.01)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(InputError, match="clusters that divide the experts"):
        cluster(np.ones(2), np.ones((2, 3)), 2, theta=0.5)
    with pytest.raises(InputError, match="theta between 0 and 1"):
        cluster_exactly(np.ones(2), np.ones((2, 4)), 2, theta=1.0)
