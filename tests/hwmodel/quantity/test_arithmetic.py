"""The same arithmetic on ints (exact) and on arrays (float64)."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hwmodel.quantity.arithmetic import (
    ceil_div,
    floor_div,
    least,
    most,
    power,
    product,
    root,
    where,
)

SIZE = st.integers(1, 2**50)


@given(st.integers(0, 10**40), st.integers(1, 10**20))
def test_ceil_div_is_the_least_number_of_parts_that_hold_it(a: int, b: int) -> None:
    parts = ceil_div(a, b)
    assert isinstance(parts, int)
    assert (parts - 1) * b < a <= parts * b


@given(st.integers(0, 10**40), st.integers(1, 10**20))
def test_floor_div_is_the_most_parts_that_fit(a: int, b: int) -> None:
    parts = floor_div(a, b)
    assert isinstance(parts, int)
    assert parts * b <= a < (parts + 1) * b


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**3)), min_size=1))
def test_arrays_divide_as_each_of_their_points(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    assert_array_equal(ceil_div(a, b), [ceil_div(x, y) for x, y in pairs])
    assert_array_equal(floor_div(a, b), [floor_div(x, y) for x, y in pairs])


def test_an_array_of_one_side_makes_floats() -> None:
    integers: Any = np.array([3, 4], dtype=np.int64)
    found = ceil_div(integers, 2)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64


@given(st.lists(SIZE, min_size=1))
def test_most_and_least_of_numbers_are_max_and_min(values: list[int]) -> None:
    assert most(values) == max(values)
    assert least(values) == min(values)


def test_most_and_least_broadcast() -> None:
    column, row = np.array([[1.0], [5.0]]), np.array([2.0, 6.0])
    assert_array_equal(most((column, row, 3)), [[3, 6], [5, 6]])
    assert_array_equal(least((column, row, 3)), [[1, 1], [2, 3]])


def test_most_of_nothing_is_nothing_and_least_of_nothing_an_error() -> None:
    assert most(()) == 0
    with pytest.raises(ValueError, match="nothing"):
        least(())


def test_products_of_ints_never_overflow() -> None:
    assert product([10**12, 10**12]) == 10**24
    assert product([]) == 1
    assert math.isclose(np.max(product([np.array([1e12]), 10**12])), 1e24)


def test_where_chooses_by_point() -> None:
    assert where(True, 1, 2) == 1
    assert where(np.bool_(False), 1, 2) == 2
    assert_array_equal(where(np.array([True, False]), 1, np.array([8.0, 9.0])), [1, 9])


def test_one_number_and_an_array_of_it_agree_to_the_last_bit() -> None:
    draw = np.random.default_rng(3)
    top, bottom = draw.uniform(1e-9, 1e9, 500), draw.uniform(1e-3, 1e3, 500)
    rows = list(zip(top.tolist(), bottom.tolist(), strict=True))
    assert_array_equal(ceil_div(top, bottom), [ceil_div(*row) for row in rows])
    assert_array_equal(floor_div(top, bottom), [floor_div(*row) for row in rows])
    assert_array_equal(root(top), [root(each) for each in top.tolist()])
    small = np.concatenate([[0.0, 1.0], top / 1e9])
    assert_array_equal(power(small, 4.7), [power(each, 4.7) for each in small.tolist()])
    assert {type(f(*rows[0])) for f in (ceil_div, floor_div)} == {float}
