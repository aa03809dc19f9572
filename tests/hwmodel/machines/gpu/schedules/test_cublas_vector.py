"""A matrix times a vector: measured calls of either side, and laws of rows and terms."""

import numpy as np
import pytest

from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.schedules import cublas_vector
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.spine.activity import totals

H200 = limits(device("h200"))

MEASURED = (
    ("bf16", (1, 4, 12593), 3.55e-6),
    ("bf16", (1, 13, 1119167), 19.63e-6),
    ("bf16", (1, 306, 65087), 23.57e-6),
    ("bf16", (1, 57298, 32), 5.15e-6),
    ("bf16", (202, 1, 294087), 51.84e-6),
    ("bf16", (1248, 1, 12455), 17.89e-6),
    ("bf16", (527084, 1, 32), 25.34e-6),
    ("fp16", (1, 1083, 16368), 21.06e-6),
    ("fp16", (5189, 1, 11995), 51.09e-6),
    ("fp32", (1, 675, 54793), 43.22e-6),
    ("fp32", (8889, 1, 3303), 42.58e-6),
)
"""Calls of the half that nothing was fitted to, by dot, gemv2T and gemvx, cold, board e6f9671a."""


@pytest.mark.parametrize(("dtype", "sizes", "measured_s"), MEASURED)
def test_times_are_those_measured(
    dtype: str, sizes: tuple[int, int, int], measured_s: float
) -> None:
    time_s = float(predict(gemm(*sizes, dtype=dtype), on="h200", kernel="cublas").time_s)
    assert time_s == pytest.approx(measured_s, rel=0.25)


def test_either_side_may_be_the_vector_and_all_is_read_once() -> None:
    def counts(m: int, n: int) -> tuple[float, float]:
        problem = GemmProblem(m, n, 777, dtype_a="bf16", dtype_b="bf16", dtype_out="bf16")
        found = totals(cublas_vector.activity(problem, H200))
        return float(found.read["dram"]), float(found.slots["cycle"])

    assert counts(1, 5001) == counts(5001, 1)
    assert counts(1, 5001)[0] == 2 * 777 * 5002


def test_more_rows_or_terms_never_take_fewer_clocks() -> None:
    rows, terms = np.array([200.0, 600.0, 5000.0, 1e6]), np.array([8.0, 100.0, 1000.0, 4096.0])
    m, k = np.meshgrid(rows, terms, indexing="ij")
    problem = GemmProblem(m, 1, k, dtype_a="fp16", dtype_b="fp16", dtype_out="fp16")
    clocks = np.asarray(totals(cublas_vector.activity(problem, H200)).slots["cycle"])
    assert (np.diff(clocks, axis=0) > 0).all()
    assert (np.diff(clocks, axis=1) > 0).all()
