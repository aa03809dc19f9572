"""Axes of a sweep."""

from itertools import pairwise
from typing import Any

import pytest
from numpy.testing import assert_allclose

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.ranges import linspace, logspace


def test_ends_are_included_and_units_are_read() -> None:
    axis = linspace("2 TB/s", "20 TB/s", 1000)
    assert (len(axis), axis[0], axis[-1]) == (1000, 2e12, 20e12)


def test_sizes_spread_by_their_logarithm_are_whole_and_different() -> None:
    axis = logspace(1, 2**20)
    assert (axis[0], axis[-1]) == (1, 2**20)
    assert all(a < b and b == int(b) for a, b in pairwise(axis))
    assert_allclose(logspace(1, 100, 3, whole=False), [1, 10, 100])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((5, 1, 3), "expected the first value below the last"),
        ((0, 8, 3), "expected a number above 0, found 0"),
        (("2 TB/s", "oops", 3), "expected two numbers, or two with units of one kind"),
        ((1, 8, 0), "points: expected a number above 0"),
        ((1, 8, 2.5), "points: expected a whole number"),
        (("1 s", "8 GB", 3), "found '1 s' and '8 GB'"),
        (("1 s", 8, 3), "found '1 s' and 8"),
    ],
)
def test_impossible_axes_are_refused(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        linspace(*given)
