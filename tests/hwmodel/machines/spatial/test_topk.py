"""Expected cycles of top-k: the recursion by hand, Knuth's count, and a simulated engine."""

import math
import random
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest

from hwmodel.machines.spatial.topk import passes_cycles
from hwmodel.quantity.errors import InputError

PASS_CYCLES = 4
"""Of the published simulator: comparators, elimination of zeros, FIFO, decision."""


@lru_cache(None)
def expected(n: int, k: int, width: int) -> Fraction:
    """Every pivot's rank, one by one, in fractions."""
    left = sum(expected(n - r, k - r, width) for r in range(1, k))
    right = sum(expected(r - 1, k, width) for r in range(k + 1, n + 1))
    return n // width + PASS_CYCLES + Fraction(left + right) / n


@pytest.mark.parametrize("width", [1, 4, 16])
def test_the_table_equals_the_recursion(width: int) -> None:
    for n in range(2, 30):
        for k in range(1, n):
            assert math.isclose(
                float(passes_cycles(n, k, width)), expected(n, k, width), rel_tol=1e-12
            )


def harmonic(n: int) -> float:
    return sum(1 / i for i in range(1, n + 1))


@pytest.mark.parametrize(("n", "k"), [(100, 1), (100, 50), (1024, 204)])
def test_one_comparator_takes_what_knuth_counts(n: int, k: int) -> None:
    """Find (Knuth 1971) makes n - 1 comparisons a pass; passes are harmonic numbers."""
    counted = 2 * (
        (n + 1) * harmonic(n) - (n + 3 - k) * harmonic(n + 1 - k) - (k + 2) * harmonic(k) + (n + 3)
    )
    passes = harmonic(k) + harmonic(n + 1 - k) - 1
    found = float(passes_cycles(n, k, 1))
    assert found == pytest.approx(counted + (PASS_CYCLES + 1) * passes, rel=1e-9)


def simulated(n: int, k: int, width: int, rng: random.Random) -> int:
    """One run of the engine on shuffled distinct values."""
    values, cycles = list(range(n)), 0
    while True:
        cycles += len(values) // width + PASS_CYCLES
        pivot = rng.choice(values)
        above = [value for value in values if value > pivot]
        if len(above) == k - 1:
            return cycles
        if len(above) >= k:
            values = above
        else:
            values, k = [value for value in values if value < pivot], k - len(above) - 1


def test_the_expectation_is_the_mean_of_runs() -> None:
    rng = random.Random(1)
    runs = [simulated(512, 128, 16, rng) for _ in range(4000)]
    assert float(passes_cycles(512, 128, 16)) == pytest.approx(sum(runs) / len(runs), rel=0.02)


def test_keeping_all_needs_no_pass_and_arrays_are_point_by_point() -> None:
    assert passes_cycles(64, 64, 4) == 0
    swept = passes_cycles(np.array([64.0, 128.0]), np.array([8.0, 128.0]), 4)
    assert list(np.ravel(swept)) == [passes_cycles(64, 8, 4), 0]


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="1 <= kept <= candidates"):
        passes_cycles(4, 5, 1)


def test_two_candidates_take_one_pass_or_two_by_hand() -> None:
    """Of 2 the largest: half of the pivots end it; else a pass over the 1 left: 6 + 5 / 2."""
    assert passes_cycles(2, 1, 1) == pytest.approx(2 + 4 + (1 + 4) / 2)
    assert passes_cycles(32, 31, 16) == passes_cycles(32, 2, 16)
