"""Which unit of a GPU does what: tensor cores, fp32 lanes, special-function units."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.machines.gpu.units import product_unit, scalar_operations


@pytest.mark.parametrize("name", ["bf16", "fp16", "tf32", "fp8", "int8", "fp64"])
def test_tensor_cores_multiply_the_formats_that_they_know(name: str) -> None:
    assert product_unit(name, name) == ("matrix", name)


@pytest.mark.parametrize("name", ["fp32", "int32", "int16"])
def test_other_products_run_on_the_lanes(name: str) -> None:
    assert product_unit(name, name) == ("vector", name)


@pytest.mark.parametrize(
    ("narrow", "wide", "unit"),
    [("fp8", "bf16", "matrix"), ("int4", "bf16", "matrix"), ("bf16", "fp32", "vector")],
)
def test_operands_of_two_widths_run_as_the_wider(narrow: str, wide: str, unit: str) -> None:
    assert product_unit(narrow, wide) == product_unit(wide, narrow) == (unit, wide)


def test_transcendentals_and_divisions_need_the_special_unit() -> None:
    """3 + 5 + 7 of them; 11 additions and 2 multiplications on the lanes; copies are free."""
    counts = {
        **{("exp", "fp32"): 3, ("divide", "bf16"): 5, ("rsqrt", "fp32"): 7},
        **{("add", "bf16"): 11, ("multiply", "fp32"): 2, ("copy", "bf16"): 100},
    }
    assert scalar_operations(counts) == {
        ("exp", "exp", "fp32"): 15,
        ("vector", "flop", "fp32"): 13,
    }


def test_a_kernel_that_only_moves_computes_nothing() -> None:
    counts = {("copy", "bf16"): 9, ("cast", "fp32"): 9, ("gather", "fp8"): 1}
    assert scalar_operations(counts) == {}


def test_counts_of_a_sweep_add_up_point_by_point() -> None:
    found = scalar_operations({("exp", "fp32"): np.array([1.0, 0.0]), ("log", "fp32"): 2})
    assert_allclose(found["exp", "exp", "fp32"], [3, 2])
    assert set(found) == {("exp", "exp", "fp32")}
