"""Legal reuse factors and DSP slices: synthesised designs, and the walk of hls4ml's rule."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.machines.fpga.reuse import (
    dsp_slices,
    legal_reuse_factors,
    multiplier_luts,
    multipliers,
    nearest_legal,
    slices_each,
)
from hwmodel.quantity.errors import InputError

# Synthesised two-layer designs of wa-hls4ml (arXiv 2511.05615): widths, weight bits, target,
# reuse factor of each layer as built, DSP slices.
DESIGNS = [
    ((80, 24, 120), 6, 1024, (960, 960), 0),
    ((104, 64, 120), 16, 4093, (3328, 3840), 4),
    ((40, 88, 112), 8, 4093, (3520, 4928), 3),
]


@pytest.mark.parametrize(("widths", "bits", "target", "built", "slices"), DESIGNS)
def test_synthesised_designs_have_these_reuse_factors_and_slices(
    widths: tuple[int, ...], bits: int, target: int, built: tuple[int, ...], slices: int
) -> None:
    layers = list(pairwise(widths))
    found = tuple(nearest_legal(target, *layer) for layer in layers)
    used = sum(dsp_slices(*layer, r, bits) for layer, r in zip(layers, found, strict=True))
    assert (found, used) == (built, slices)


@given(st.integers(1, 24), st.integers(1, 24))
def test_legal_factors_give_every_multiplier_whole_rows_or_columns(
    fan_in: int, fan_out: int
) -> None:
    """Below fan_in: reuse divides a column's inputs evenly; above: it is whole columns."""
    for reuse in legal_reuse_factors(fan_in, fan_out):
        assert fan_in * fan_out % reuse == 0
        if reuse >= fan_in:
            assert reuse % fan_in == 0
            assert fan_out % (reuse // fan_in) == 0


def test_the_ends_are_one_multiplier_for_all_and_one_for_each() -> None:
    found = legal_reuse_factors(12, 8)
    assert found[0] == 1
    assert found[-1] == 96
    assert multipliers(12, 8, 1) == 96
    assert multipliers(12, 8, 96) == 1
    assert nearest_legal(10**9, 12, 8) == 96


def test_of_two_equally_near_the_smaller_is_taken() -> None:
    """Of 2 x 3 weights: 1, 2, 6 are legal; 4 lies between 2 and 6."""
    assert legal_reuse_factors(2, 3) == (1, 2, 6)
    assert nearest_legal(4, 2, 3) == 2


def test_narrow_multipliers_are_luts_and_wide_ones_slices() -> None:
    assert dsp_slices(8, 8, 4, 7) == 0
    assert multiplier_luts(8, 8, 4, 7) == 16 * 49
    assert dsp_slices(8, 8, 4, 8) == 16
    assert multiplier_luts(8, 8, 4, 8) == 0


@pytest.mark.parametrize(
    ("bits", "input_bits", "slices"),
    [
        *((8, 8, 1), (16, 16, 1), (18, 18, 1), (27, 18, 1), (18, 27, 1), (19, 19, 2), (27, 27, 2)),
        *((24, 24, 2), (28, 18, 2), (32, 16, 2), (32, 32, 4), (35, 35, 4), (8, 32, 2), (7, 32, 0)),
    ],
)
def test_a_slice_multiplies_27_by_18_bits(bits: int, input_bits: int, slices: int) -> None:
    """DSP48E2 (AMD UG579); a 32-bit word is 26 bits and 6, or 17 and 15, beside its sign."""
    assert slices_each(bits, input_bits) == slices
    assert dsp_slices(12, 8, 4, bits, input_bits) == 24 * slices


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="fan_in: expected 1 or more, found 0"):
        legal_reuse_factors(0, 4)
    with pytest.raises(InputError, match="expected a target of 1 or more, found 0"):
        nearest_legal(0, 4, 4)
