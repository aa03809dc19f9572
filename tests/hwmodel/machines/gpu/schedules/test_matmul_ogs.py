"""Experts in mxfp4 against one token of gpt-oss-20b, profiled on an H200 (vLLM 0.22.1)."""

import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import matmul_ogs
from hwmodel.machines.gpu.schedules.gemm import GemmProblem

H200 = hw.device("h200")


@pytest.mark.parametrize(("columns", "measured_s"), [(5760, 23.2e-6), (2880, 21.7e-6)])
def test_one_token_takes_what_was_measured(columns: int, measured_s: float) -> None:
    """Four experts of 2,880 rows; the weights alone would stream in 7.3 and 3.7 us."""
    work = hw.workloads.grouped_gemm(
        tokens=1, experts=32, top_k=4, N=columns, K=2880, weight_dtype="mxfp4", out_dtype="bf16"
    )
    made = hw.predict(work, on=H200, kernel="matmul-ogs")
    assert float(made.time_s) == pytest.approx(measured_s, rel=0.12)


@pytest.mark.parametrize(
    ("rows", "high"), [(4, 16), (512, 16), (513, 32), (1024, 32), (4096, 128), (99999, 128)]
)
def test_tiles_have_as_many_rows_as_experts_on_average(rows: int, high: int) -> None:
    """Of 32 experts: 16 rows up to 512 in all (8 tokens as profiled), 32 of 1,024 (256 tokens)."""
    (tile,) = matmul_ogs.MENU
    problem = GemmProblem(rows, 5760, 2880, dtype_b="mxfp4", members=32)
    assert matmul_ogs.resolved(tile, problem, limits(H200)).block_m == high
