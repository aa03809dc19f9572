"""vLLM's fp8 products: tiles by rows, and waits that rows of some numbers have."""

import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cutlass
from hwmodel.machines.gpu.schedules.gemm import GemmProblem

H200 = hw.device("h200")
LIMITS = limits(H200)


def time_s(rows: int, columns: int = 28672, depth: int = 4096) -> float:
    made = hw.workloads.gemm(M=rows, N=columns, K=depth, dtype="fp8", out_dtype="bf16")
    return float(hw.predict(made, on=H200, kernel="vllm:cutlass").time_s)


@pytest.mark.parametrize(
    ("rows", "tile"),
    [(1, (16, 64, 256)), (17, (64, 64, 256)), (64, (64, 64, 256)), (65, (64, 128, 128)),
     (129, (128, 128, 128))],
)  # fmt: skip
def test_the_tile_goes_by_the_rows(rows: int, tile: tuple[int, int, int]) -> None:
    (whole,) = cutlass.MENU
    found = cutlass.resolved(whole, GemmProblem(rows, 4096, 4096, dtype_a="fp8"), LIMITS)
    assert (found.block_m, found.block_n, found.block_k) == tile


def test_products_of_a_decode_step_take_what_was_measured() -> None:
    """A layer of Llama-3.1-8B at 64 rows: 69.7 us (vLLM 0.22.1, H200, 2026-11-28)."""
    layer = ((6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336))
    assert sum(time_s(64, *each) for each in layer) == pytest.approx(69.7e-6, rel=0.05)


def test_few_rows_between_the_tiles_stream_slowly() -> None:
    assert time_s(32) > 1.15 * time_s(16)
    assert time_s(32) > 1.05 * time_s(48)


def test_scales_astride_make_long_prompts_wait() -> None:
    assert time_s(777) > 1.15 * time_s(780)
    assert time_s(130) == pytest.approx(time_s(132), rel=0.02)
