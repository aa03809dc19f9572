"""Quantities with units in, SI inside; prefixes mean what the standards say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import DIMENSIONS, NOUNS, amount, bare_name, dimension_of, parse, show


@pytest.mark.parametrize(
    ("text", "dimension", "si"),
    [
        ("4.8 TB/s", "bytes_per_s", 4.8e12),
        ("900GB/s", "bytes_per_s", 900e9),
        ("400 GiB/s", "bytes_per_s", 400 * 2**30),
        ("25 Gb/s", "bytes_per_s", 25e9 / 8),
        ("16 MiB", "bytes", 16 * 1024 * 1024),
        ("141 GB", "bytes", 141_000_000_000),
        ("1_000 kB", "bytes", 1e6),
        ("989.4 TFLOP/s", "flop_per_s", 989.4e12),
        ("989.4 TFLOPS", "flop_per_s", 989.4e12),
        ("3.87 Top/s", "per_s", 3.87e12),
        ("1.83 GHz", "hz", 1.83e9),
        ("4.5 us", "s", 4.5e-6),
        ("4.5 µs", "s", 4.5e-6),
        ("2 h", "s", 7200.0),
        ("700 W", "w", 700.0),
        ("1 kWh", "j", 3.6e6),
        ("3.9 pJ/bit", "j_per_byte", 3.9e-12 * 8),
        ("31.2 pJ/B", "j_per_byte", 31.2e-12),
        ("0.5 pJ/FLOP", "j_per_flop", 0.5e-12),
        ("814 mm2", "m2", 814e-6),
        ("3.5 USD/h", "usd_per_hour", 3.5),
        ("1e3 ns", "s", 1e-6),
        ("5 fJ/op", "j_per_flop", 5e-15),
        ("7 pJ", "j", 7e-12),
        ("3 nJ", "j", 3e-9),
        ("250 us", "s", 250e-6),
        ("20 mJ", "j", 20e-3),
        ("2 kJ", "j", 2000.0),
        ("12 PB", "bytes", 12e15),
        ("3 EB", "bytes", 3e18),
        ("2 TiB", "bytes", 2.0**41),
    ],
)
def test_text_becomes_si(text: str, dimension: str, si: float) -> None:
    assert_allclose(parse(text, dimension), si, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "dimension", "said"),
    [
        ("4.8", "bytes_per_s", "has no unit"),
        ("4.8 TB", "bytes_per_s", "unit of a size"),
        ("4.8 parsecs", "bytes_per_s", "no known unit"),
        ("fast", "bytes_per_s", "expected a bandwidth"),
        ("", "s", "expected a time"),
        ("4.8 TB/s please", "bytes_per_s", "expected a bandwidth"),
        ("4.8 tb/s", "bytes_per_s", "no known unit"),
        ("1.2.3 s", "s", "expected a time"),
    ],
)
def test_bad_text_is_refused_with_place_wanted_and_found(
    text: str, dimension: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse(text, dimension, where="h200.hbm")
    assert str(caught.value).startswith("h200.hbm: ")
    assert repr(text) in str(caught.value)


def test_every_dimension_says_what_it_wants() -> None:
    assert set(NOUNS) == set(DIMENSIONS)
    for dimension, noun in NOUNS.items():
        example = noun.split("'")[1]
        assert parse(example, dimension) > 0


def test_no_prefix_is_ambiguous() -> None:
    """Milli and mega differ; kilo is 1000 where kibi is 1024."""
    assert parse("1 mJ", "j") * 1e3 == 1
    assert parse("1 KiB", "bytes") == 1024
    assert parse("1 kB", "bytes") == parse("1 KB", "bytes") == 1000


@pytest.mark.parametrize(
    ("name", "dimension", "bare"),
    [
        ("bandwidth_bytes_per_s", "bytes_per_s", "bandwidth"),
        ("capacity_bytes", "bytes", "capacity"),
        ("rate_per_s", "per_s", "rate"),
        ("energy_j_per_flop", "j_per_flop", "energy"),
        ("time_s", "s", "time"),
        ("rent_usd_per_hour", "usd_per_hour", "rent"),
        ("devices", None, "devices"),
        ("registers", None, "registers"),
    ],
)
def test_a_field_says_its_dimension_in_its_name(
    name: str, dimension: str | None, bare: str
) -> None:
    assert dimension_of(name) == dimension
    assert bare_name(name) == bare


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, True, None, "x", [1, -1], ["a"], {}])
def test_no_amount_is_zero_negative_infinite_or_no_number(bad: object) -> None:
    with pytest.raises(InputError, match="expected"):
        amount(bad)


def test_zero_and_fractions_are_admitted_where_they_make_sense() -> None:
    assert amount(0, zero=True) == 0
    assert amount(0.5) == 0.5
    with pytest.raises(InputError, match="whole number"):
        amount(0.5, whole=True)
    with pytest.raises(InputError, match="whole numbers"):
        amount([1, 2.5], whole=True)


def test_scalars_stay_exact_and_arrays_are_floats() -> None:
    big = 10**300 + 1
    assert amount(big, whole=True) == big
    assert isinstance(amount(np.int64(3)), int)
    found = amount(np.array([2**62, 3], dtype=np.int64))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert_array_equal(amount([1, 2]), [1.0, 2.0])
    assert_array_equal(amount(range(1, 4)), [1.0, 2.0, 3.0])


def test_a_whole_float_counts_as_an_integer() -> None:
    assert isinstance(amount(8.0, whole=True), int)


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (0.00318, "s", "3.18 ms"),
        (4.8e12, "bytes_per_s", "4.8 TB/s"),
        (0.0, "j", "0 J"),
        (999.9e9, "bytes", "1 TB"),
        (4.18e12, "per_s", "4.18 Top/s"),
    ],
)
def test_numbers_are_shown_with_a_prefix(value: float, dimension: str, text: str) -> None:
    assert show(value, dimension) == text


@given(st.floats(0, 1), st.sampled_from(["s", "j", "bytes", "hz", "bytes_per_s", "per_s"]))
def test_what_is_shown_reads_back(exponent: float, dimension: str) -> None:
    low, high = (1e-11, 900.0) if dimension in ("s", "j") else (1.0, 1e20)
    value = low * (high / low) ** exponent
    assert_allclose(parse(show(value, dimension, digits=12), dimension), value, rtol=1e-11)


def test_one_spelling_has_one_dimension_of_its_kind() -> None:
    """TB/s is never an operation rate, TFLOP/s never a bandwidth."""
    apart = ["s", "bytes", "j", "hz", "w", "bytes_per_s", "j_per_byte", "j_per_flop", "m2"]
    for one, other in itertools.combinations(apart, 2):
        assert not DIMENSIONS[one].keys() & DIMENSIONS[other].keys()


def test_an_array_without_values_is_refused() -> None:
    with pytest.raises(InputError, match="M: expected one value or more, found an empty array"):
        amount([], where="M")


def test_areas_are_told_in_square_millimetres() -> None:
    """814 mm2 are 814e-6 m2, not 814 um2."""
    shown = [show(value, "m2") for value in (814e-6, 1313.6e-6, 18.71e-6, 1546e-12)]
    assert shown == ["814 mm2", "1,314 mm2", "18.7 mm2", "0.00155 mm2"]


def test_whole_numbers_are_taken_as_far_as_floats_go() -> None:
    """2**1023 is the largest power of two that is a float; a number of 1024 bits may be none."""
    most = 2**1023 - 1
    assert amount(most, where="a", whole=True) == most
    with pytest.raises(InputError, match="a finite number"):
        amount(2**1023, where="a", whole=True)


def test_a_quantity_of_many_digits_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"expected a size such as .* \(100\d\d\d characters\)"):
        parse("9" * 100_000 + " GB", "bytes")
