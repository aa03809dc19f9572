"""Pareto fronts against the definition, point by point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.sweeps import pareto
from hwmodel.sweeps.pareto import front

FEW = st.integers(-3, 3).map(float)
"""Few different numbers, so that ties are common."""


def beaten(one: tuple[float, ...], by: tuple[float, ...]) -> bool:
    return all(b <= a for a, b in zip(one, by, strict=True)) and one != by


@given(st.data(), st.integers(1, 4), st.integers(0, 40))
def test_a_point_is_on_the_front_when_no_other_beats_it(
    data: st.DataObject, quantities: int, points: int
) -> None:
    rows = [tuple(data.draw(FEW) for _ in range(quantities)) for _ in range(points)]
    found = front([np.array([row[q] for row in rows], float) for q in range(quantities)])
    assert found.tolist() == [not any(beaten(row, by) for by in rows) for row in rows]


@pytest.mark.parametrize("quantities", [2, 3])
def test_many_points_are_compared_in_blocks(
    quantities: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = list(np.random.default_rng(0).random((quantities, 500)))
    monkeypatch.setattr(pareto, "AT_ONCE", 7)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert front(columns).tolist() == [not any(beaten(row, by) for by in rows) for row in rows]


def test_what_is_no_number_is_never_on_the_front() -> None:
    nan = np.nan
    found = front([np.array([nan, 1.0, 2.0]), np.array([0.0, 1.0, nan])])
    assert found.tolist() == [False, True, False]
