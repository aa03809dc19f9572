"""GEMM: sizes, formats, bias and batch."""

from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.counts import cascade_counts, flops, footprint_bytes
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.quantity.errors import InputError

ONES: dict[str, Any] = {"M": 1, "N": 1, "K": 1}


def test_a_gemm_takes_two_operations_per_point() -> None:
    assert flops(gemm(3, 4, 5)) == 2 * 3 * 4 * 5
    assert cascade_counts(gemm(3, 4, 5)) == {("multiply", "bf16"): 60, ("add", "bf16"): 60}


def test_flops_are_exact_beyond_64_bits() -> None:
    assert flops(gemm(10**8, 10**8, 10**8)) == 2 * 10**24


def test_operands_have_the_shapes_of_a_linear_layer() -> None:
    made = gemm(3, 4, 5)
    assert {name: tensor.ranks for name, tensor in made.tensors.items()} == {
        **{"A": ("m", "k"), "W": ("n", "k"), "C": ("m", "n")}
    }
    assert [footprint_bytes(name, made) for name in "AWC"] == [2 * 15, 2 * 20, 2 * 12]
    assert made.tensors["W"].role == "weight"


def test_a_bias_is_one_more_weight_and_one_addition_per_output() -> None:
    assert flops(gemm(3, 4, 5, bias=True)) - flops(gemm(3, 4, 5)) == 3 * 4
    assert footprint_bytes("BIAS", gemm(3, 4, 5, bias=True)) == 2 * 4


def test_a_batch_repeats_all_three_matrices() -> None:
    made = gemm(3, 4, 5, batch=7)
    assert flops(made) == 7 * 120
    assert footprint_bytes("W", made) == 7 * 2 * 20
    assert footprint_bytes("BIAS", gemm(3, 4, 5, batch=7, bias=True)) == 7 * 2 * 4


@pytest.mark.parametrize(
    ("given", "out"), [("bf16", "bf16"), ("tf32", "tf32"), ("fp8", "bf16"), ("int8", "int32")]
)
def test_the_output_format_is_the_librarys(given: str, out: str) -> None:
    made = gemm(3, 4, 5, dtype=given)
    assert [made.tensors[name].dtype for name in "AWC"] == [given, given, out]


def test_weights_and_output_may_have_formats_of_their_own() -> None:
    made = gemm(3, 4, 5, dtype="bfloat16", weight_dtype="int4@128:20", out_dtype="float")
    assert [made.tensors[name].dtype for name in "AWC"] == ["bf16", "int4@128:20", "fp32"]
    assert footprint_bytes("W", made) == 20 * (4 + 20 / 128) / 8


def test_arrays_stand_for_many_gemms() -> None:
    rows, cols = np.array([1, 2, 3]), np.array([[10], [20]])
    expected = [[2 * m * n * 5 for m in (1, 2, 3)] for n in (10, 20)]
    assert np.array_equal(np.asarray(flops(gemm(rows, cols, 5))), expected)


@pytest.mark.parametrize("argument", ["M", "N", "K", "batch"])
@pytest.mark.parametrize("size", [0, -3, 2.5, float("inf"), "64", None, True, [1, -1]])
def test_bad_sizes_name_the_argument(argument: str, size: Any) -> None:
    with pytest.raises(InputError, match=f"^gemm: {argument}: expected .*, found"):
        gemm(**(ONES | {argument: size}))


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(InputError, match=r"broadcast together, found M \(2,\), N \(3,\)"):
        gemm(np.array([1, 2]), np.array([1, 2, 3]), 5)


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown dtype 'fp12'"):
        gemm(1, 1, 1, dtype="fp12")
