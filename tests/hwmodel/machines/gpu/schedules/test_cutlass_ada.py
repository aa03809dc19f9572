"""Tiles of fp8 products on Ada as the engines' sources dispatch them, and what follows."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cutlass_ada
from hwmodel.machines.gpu.schedules.gemm import GemmProblem

L40S = limits(hw.device("l40s"))


@pytest.mark.parametrize(
    ("rows", "columns", "vllm", "sglang"),
    [
        (1, 4096, (16, 64, 128), (16, 64, 128)),
        (16, 20000, (32, 64, 128), (16, 64, 128)),
        (17, 12288, (32, 128, 128), (32, 64, 128)),
        (64, 8192, (64, 64, 128), (32, 64, 128)),
        (128, 16384, (128, 128, 64), (64, 64, 128)),
        (200, 4097, (128, 128, 64), (128, 64, 64)),
        (300, 6144, (256, 128, 64), (128, 128, 64)),
        (4096, 32, (128, 128, 64), (128, 128, 64)),
    ],
)
def test_tiles_go_by_rows_and_columns(
    rows: int, columns: int, vllm: tuple[int, ...], sglang: tuple[int, ...]
) -> None:
    (tile,) = cutlass_ada.MENU
    problem = GemmProblem(rows, columns, 4096, dtype_a="fp8", dtype_b="fp8")
    for rule, expected in ((cutlass_ada.vllm, vllm), (cutlass_ada.sglang, sglang)):
        found = rule(tile, problem, L40S)
        assert (found.block_m, found.block_n, found.block_k) == expected


def test_sizes_in_an_array_are_chosen_for_one_by_one() -> None:
    (tile,) = cutlass_ada.MENU
    rows = np.array([8.0, 100.0, 1000.0])
    found = cutlass_ada.sglang(tile, GemmProblem(rows, 2048, 4096, dtype_a="fp8"), L40S)
    assert list(np.asarray(found.block_m)) == [16, 64, 128]


def test_blocks_share_a_processor_where_their_stages_fit() -> None:
    """Of 100 KiB: four stages of 80 x 128 twice, seven once; three of 256 x 64 twice."""
    (tile,) = cutlass_ada.MENU
    held = [
        cutlass_ada.sglang(tile, GemmProblem(rows, 4096, 4096, dtype_a="fp8"), L40S).resident
        for rows in (16, 1, 1024)
    ]
    assert held == [2, 1, 2]


def test_few_columns_take_as_long_as_a_whole_tiles() -> None:
    """SGLang on an L40S: 1,537 rows by 32 columns, depth 7,168, in 93.5 us; by 128 no longer."""
    times = [
        float(
            hw.predict(
                hw.workloads.gemm(1537, columns, 7168, dtype="fp8"),
                on="l40s",
                kernel="sglang",
                l2="warm",
            ).time_s
        )
        for columns in (32, 128)
    ]
    assert times[0] == pytest.approx(93.5e-6, rel=0.25)
    assert times[1] < 1.1 * times[0]
