"""Binding: sizes worked out from sizes."""

import numpy as np
import pytest

from hwmodel.einsum.notation import parse, template
from hwmodel.einsum.template import calculate
from hwmodel.quantity.errors import InputError


def test_binding_shares_what_no_size_touches() -> None:
    text = "Z[m, n] = A[m, k] * B[n, k]\nY[m, n] = Z[m, n] | m <= n + K"
    one, other = (parse(text, sizes={"m": m, "n": 3, "k": 2}) for m in (4, 5))
    assert one.einsums[0] is other.einsums[0]
    assert one.einsums[1].expression is other.einsums[1].expression
    assert template(text) is template(text)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"m": 100, "m0": 16}, {"m": 100, "m1": 7, "m0": 16}),
        ({"m1": 7, "m0": 16}, {"m": 112, "m1": 7, "m0": 16}),
        ({"m": 100, "m1": 7}, {"m": 100, "m1": 7, "m0": 15}),
        ({"m": 100, "m1": 10, "m0": 16}, {"m": 100, "m1": 10, "m0": 16}),
    ],
)
def test_a_missing_part_or_parent_follows_from_the_others(
    sizes: dict[str, int], expected: dict[str, int]
) -> None:
    assert parse("rank m = m1 x m0\nZ[m1, m0] = A[m1, m0]", sizes=sizes).sizes() == expected


def test_sizes_are_arithmetic_over_ranks_and_parameters() -> None:
    text = "rank o = 2*(I - 1) + taps, h = i / 2\nZ[o, h] = A[o, i] * B[h]"
    assert parse(text, sizes={"i": 6, "taps": 3}).sizes() == {"o": 13, "h": 3, "i": 6}


def test_sizes_given_win_over_those_in_the_text() -> None:
    assert parse("rank m = 4\nZ[m] = A[m]", sizes={"m": 9}).sizes() == {"m": 9}


def test_quotients_of_whole_numbers_stay_whole_where_they_can() -> None:
    assert calculate("/", 10**30, 10**10) == 10**20
    assert calculate("/", 7, 2) == 3.5
    with pytest.raises(InputError, match="divisor other than 0"):
        calculate("/", 7, 0)


def test_limits_and_fractions_may_be_arrays() -> None:
    high, kept = np.array([1.0, 2.0]), np.array([0.5, 1.0])
    text = "Z[m] = A[m] | m <= limit ~ kept"
    (einsum,) = parse(text, sizes={"m": 4, "limit": high, "kept": kept}).einsums
    assert np.array_equal(np.asarray(einsum.bands[0].high), high)
    assert np.array_equal(einsum.density, kept)
    (again,) = parse("Z[m] = A[m] | m <= [1.0, 2.0] ~ [0.5, 1]", sizes={"m": 4}).einsums
    assert np.array_equal(np.asarray(again.bands[0].high), high)
    assert np.array_equal(again.density, kept)
