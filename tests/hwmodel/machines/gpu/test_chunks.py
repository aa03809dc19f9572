"""Sweeps in chunks: points that are alike are evaluated once, and all get their own answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwmodel.machines.gpu.chunks import CHUNK, MANY, in_chunks

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """A problem of two sizes."""

    first: Any
    second: Any


@dataclass(frozen=True)
class Sums:
    """An answer that tells points apart."""

    total: Any
    fixed: float = 3.0


class Counting:
    """Adds sizes, and counts the points of each call."""

    def __init__(self) -> None:
        self.points: list[int] = []

    def __call__(self, given: tuple[Sizes, float]) -> Sums:
        problem, more = given
        total = problem.first * 1000 + problem.second + more
        self.points.append(np.size(total))
        return Sums(total)


def batches(points: int, kinds: int) -> Array:
    return np.random.default_rng(0).integers(1, kinds + 1, points).astype(np.float64)


@pytest.mark.parametrize("shape", [(2 * CHUNK,), (2, CHUNK)])
def test_points_that_are_alike_are_evaluated_once(shape: tuple[int, ...]) -> None:
    first = batches(2 * CHUNK, 200).reshape(shape)
    evaluate = Counting()
    found = in_chunks(evaluate, (Sizes(first, 7 * first), 5.0))
    assert evaluate.points == [200]
    assert found.fixed == 3
    assert np.array_equal(found.total, first * 1007 + 5)


def test_points_that_differ_in_any_number_are_each_evaluated() -> None:
    first = batches(CHUNK, 16)
    second = first.copy()
    second[-1] += 1  # one point unlike the rest of its kind
    evaluate = Counting()
    found = in_chunks(evaluate, (Sizes(first, second), 0.0))
    assert sum(evaluate.points) == CHUNK
    assert np.array_equal(found.total, first * 1000 + second)


def test_where_most_points_differ_nothing_is_looked_up() -> None:
    first = np.arange(1.0, 2 * MANY + 1)
    evaluate = Counting()
    assert np.array_equal(in_chunks(evaluate, (Sizes(first, 1), 0.0)).total, first * 1000 + 1)
    assert evaluate.points == [2 * MANY]


def test_a_machine_that_varies_is_evaluated_at_every_point() -> None:
    evaluate = Counting()
    more = np.arange(2.0 * MANY)
    found = in_chunks(evaluate, (Sizes(batches(2 * MANY, 4), 1), more))
    assert sum(evaluate.points) == 2 * MANY
    assert np.array_equal(np.floor(found.total - more) % 1000, np.ones(2 * MANY))
