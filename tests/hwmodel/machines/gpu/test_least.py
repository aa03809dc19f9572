"""The roofline: hand numbers from the H200's datasheet, and its place below every prediction."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.bounds.roofline import floor_of
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack, Workload
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import add, copy, softmax
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.least import busy_s, unit_operations

H200 = device("h200")
BF16_FLOP_PER_S, BYTES_PER_S = 989.4e12, 4.8e12  # NVIDIA H200 datasheet


def least_s(workload: Workload, hardware: Hardware = H200) -> Any:
    return floor_of(workload, hardware, busy_s(workload.stages, hardware)).time_s


@pytest.mark.parametrize(
    ("dtype", "unit"), [("bf16", "matrix"), ("fp8", "matrix"), ("fp32", "vector")]
)
def test_a_product_counts_two_operations_a_point(dtype: str, unit: str) -> None:
    found = unit_operations(gemm(M=2, N=3, K=5, dtype=dtype, batch=7))
    assert found == {(unit, "flop", dtype): 2 * 7 * 2 * 3 * 5}


def test_softmax_has_an_exponential_and_a_division_a_point() -> None:
    found = unit_operations(softmax(4, 8))
    assert found["exp", "exp", "fp32"] == 2 * 4 * 8
    assert set(found) == {("exp", "exp", "fp32"), ("vector", "flop", "fp32")}


def test_sums_run_on_the_lanes_and_copies_nowhere() -> None:
    assert unit_operations(add(4, 8)) == {("vector", "flop", "fp32"): 32}
    assert unit_operations(copy(4, 8)) == {}


def test_both_products_of_attention_run_on_the_tensor_cores() -> None:
    """Each of 2 x 12 heads: 2 (32 x 100 x 16) and 2 (32 x 100 x 8) operations."""
    found = unit_operations(attention(2, 12, 32, 100, 16, value_dim=8, passes=3))
    assert found["matrix", "flop", "bf16"] == 24 * 2 * 32 * 100 * (16 + 8)
    assert found["exp", "exp", "fp32"] == 24 * 32 * 100 * 2


def test_a_large_product_is_bound_by_its_operations() -> None:
    assert_allclose(least_s(gemm(M=8192, N=8192, K=8192)), 2 * 8192**3 / BF16_FLOP_PER_S)


def test_a_vector_times_a_matrix_is_bound_by_its_bytes() -> None:
    moved = 2 * (4096 * 8192 + 4096 + 8192)
    assert_allclose(least_s(gemm(M=1, N=8192, K=4096)), moved / BYTES_PER_S)


def test_a_sweep_has_the_limit_of_each_point() -> None:
    rows = np.array([1.0, 8192.0])
    each = [least_s(gemm(M=int(m), N=8192, K=8192)) for m in rows]
    assert_allclose(least_s(gemm(M=rows, N=8192, K=8192)), each)


def test_a_faster_datasheet_number_lowers_what_it_binds() -> None:
    double = H200.but(hbm={"bandwidth": "9.6 TB/s"})
    slim, square = gemm(M=1, N=8192, K=4096), gemm(M=8192, N=8192, K=8192)
    assert_allclose(least_s(slim, double), least_s(slim) / 2)
    assert_allclose(least_s(square, double), least_s(square))


def test_operations_of_a_stack_add_up_over_stages_and_runs() -> None:
    square = gemm(M=8192, N=8192, K=8192)
    once = Stack(name="one", stages=(Stage(square),))
    more = replace(once, stages=(Stage(square, 3), Stage(gemm(M=8192, N=8192, K=4096))))
    assert_allclose(least_s(more), 3.5 * 2 * 8192**3 / BF16_FLOP_PER_S)


@pytest.mark.parametrize("name", ["b200", "b300", "h200"])
@pytest.mark.parametrize("head_dim", [16, 32, 64, 128])
def test_no_share_of_emulated_exponentials_beats_the_roofline(name: str, head_dim: int) -> None:
    """Every share, tried: the busier of the exp unit and the lanes, nine multiply-adds each."""
    machine = device(name)
    work = attention(4, 16, 8192, 8192, head_dim)
    counts = unit_operations(work)
    exp, lanes = counts["exp", "exp", "fp32"], counts["vector", "flop", "fp32"]
    exp_per_s, lane_flop_per_s = machine.rate("exp", "fp32"), machine.rate("vector", "fp32")
    share = np.linspace(0, 1, 100_001)
    tried = np.maximum((1 - share) * exp / exp_per_s, (lanes + 18 * share * exp) / lane_flop_per_s)
    matrix_s = counts["matrix", "flop", "bf16"] / machine.rate("matrix", "bf16")
    assert_allclose(least_s(work, machine), max(tried.min(), matrix_s), rtol=1e-4)


def test_flash_attention_4_at_full_efficiency_is_not_above_the_roofline() -> None:
    """Narrow heads on a B200, where the exp unit alone would forbid what the kernel does."""
    work = attention(4, 16, 8192, 8192, 64)
    machine = device("b200")
    alone = unit_operations(work)["exp", "exp", "fp32"] / machine.rate("exp", "fp32")
    assert least_s(work, machine) < alone
    estimate = predict(work, on=machine, kernel="flash-attention-4")
    assert estimate.time_s >= estimate.bound_s == least_s(work, machine)
