"""Kernels that copy by threads: launched ones, measured times, laws of what a copy costs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.spine.activity import totals

H200 = limits(device("h200"))
Sizes = tuple[int, int, int]


def problem(m: int, n: int, k: int, dtype: str = "bf16") -> GemmProblem:
    return GemmProblem(m, n, k, dtype_a=dtype, dtype_b=dtype, dtype_out=dtype)


def tile(m: int, n: int, k: int, dtype: str = "bf16") -> LibraryTile:
    return cublas.resolved(cublas.menu()[0], problem(m, n, k, dtype), H200)


LAUNCHED: tuple[tuple[Sizes, tuple[int, ...], float], ...] = (
    ((405, 561, 22968), (128, 128, 13, 0), 161.3e-6),
    ((5898, 360, 1741), (128, 128, 3, 1), 99.0e-6),
    ((7438, 452, 3891), (128, 256, 1, 0), 261.9e-6),
    ((64, 372, 585), (64, 64, 9, 0), 7.66e-6),
    ((902, 198, 1056), (64, 128, 4, 0), 10.93e-6),
    ((142, 29796, 392), (256, 128, 1, 0), 35.05e-6),
    ((141, 6792, 1474), (256, 128, 2, 1), 33.56e-6),
    ((20, 2444, 9256), (64, 256, 13, 0), 26.06e-6),
    ((7, 3286, 3144), (16, 16, 6, 0), 16.77e-6),
    ((67, 258, 140), (32, 32, 1, 0), 3.58e-6),
    ((6, 5348, 176), (16, 16, 1, 0), 4.8e-6),
    ((9, 268, 2862), (16, 16, 22, 0), 7.4e-6),
)
"""Shapes of the test half, traced on board c0739c2f: rows, columns, parts, added in turn; time."""


LAUNCHED_FP32: tuple[tuple[Sizes, tuple[int, ...], float], ...] = (
    ((64, 19456, 2560), (64, 256, 3, 0), 158.69e-6),
    ((24, 528, 1271), (32, 32, 9, 0), 11.26e-6),
    ((2432, 1664, 6592), (128, 128, 3, 1), 1086.44e-6),
    ((262, 2824, 130), (64, 64, 1, 0), 10.75e-6),
    ((128, 16997, 2922), (64, 256, 9, 1), 318.37e-6),
    ((96, 2048, 8192), (128, 64, 8, 0), 104.29e-6),
    ((10, 460, 7672), (32, 32, 33, 0), 22.91e-6),
    ((8406, 896, 4864), (256, 64, 2, 1), 1618.32e-6),
    ((57, 14303, 14304), (64, 256, 14, 1), 588.28e-6),
    ((770, 288, 22118), (64, 64, 4, 0), 308.13e-6),
)
"""The same in fp32 on board e6f9671a."""


@pytest.mark.parametrize(("dtype", "rows"), [("bf16", LAUNCHED), ("fp32", LAUNCHED_FP32)])
def test_measured_products_and_the_tiles_that_ran_them(
    dtype: str, rows: tuple[tuple[Sizes, tuple[int, ...], float], ...]
) -> None:
    met = 0
    for sizes, launched, measured_s in rows:
        found = tile(*sizes, dtype=dtype)
        met += (found.block_m, found.block_n, found.split, found.in_turn) == launched
        time_s = float(predict(gemm(*sizes, dtype=dtype), on="h200", kernel="cublas").time_s)
        assert time_s == pytest.approx(measured_s, rel=0.15), sizes
    assert met >= 0.75 * len(rows)


@pytest.mark.parametrize(
    ("sizes", "measured_s"),
    [
        ((2, 233, 2334), 12.45e-6),
        ((3, 4040, 3685), 44.36e-6),
        ((3, 3778, 3717), 44.2e-6),
        ((2, 17268, 419), 12.1e-6),
    ],
)
def test_few_rows_pass_the_vector_units(sizes: Sizes, measured_s: float) -> None:
    """Shapes of the test half, traced: gemmSN and gemv, blocks share a processor by registers."""
    assert tile(*sizes).narrow == 1
    counts = totals(cublas.activity(problem(*sizes), tile(*sizes), H200))
    assert {unit for unit, _, _ in counts.operations} == {"vector"}
    time_s = float(predict(gemm(*sizes), on="h200", kernel="cublas").time_s)
    assert time_s == pytest.approx(measured_s, rel=0.15)


@pytest.mark.parametrize(
    ("sizes", "measured_s"),
    [
        ((4, 2560, 9728), 55.3e-6),
        ((2, 24576, 4096), 121.5e-6),
        ((1, 57344, 8192), 451.0e-6),
        ((4, 3712, 5888), 37.5e-6),
    ],
)
def test_few_rows_of_fp32_run_as_those_of_narrow_numbers(sizes: Sizes, measured_s: float) -> None:
    """Shapes of the test half; by tiles one row took 1.6 times as long as measured, on average."""
    assert tile(*sizes, dtype="fp32").narrow == 1
    time_s = float(predict(gemm(*sizes, dtype="fp32"), on="h200", kernel="cublas").time_s)
    assert time_s == pytest.approx(measured_s, rel=0.12)


@given(m=st.integers(2, 8192), n=st.integers(16, 8192), k=st.integers(16, 8192))
def test_parts_of_k_are_added_in_turn_only_where_there_are_some(m: int, n: int, k: int) -> None:
    found = tile(m, 2 * n + 1, k)
    assert found.split >= 1
    assert found.split > 1 or found.in_turn == 0


@given(m=st.integers(17, 4096), n=st.integers(64, 2048), k=st.integers(64, 2048))
def test_every_element_of_the_matrix_is_copied(m: int, n: int, k: int) -> None:
    """In words or one by one, at most 1.4 times as many cost as much as all the tiles hold."""
    sizes = (m, 2 * n, 2 * k)
    found = tile(*sizes)
    if found.persistent:
        return
    counts = totals(cublas.activity(problem(*sizes), found, H200))
    elements = math.ceil(sizes[1] / found.block_n) * m + math.ceil(m / found.block_m) * sizes[1]
    copies = float(counts.read["copy"]) / float(found.lanes)
    assert copies * found.copy_bytes >= 2 * elements * sizes[2] * (1 - 1e-9)


def test_rows_of_an_element_more_cost_what_their_copies_do() -> None:
    """Bulk copies of K 2048, words of 2046, elements of 2047."""
    times = [
        float(predict(gemm(2048, 2048, k), on="h200", kernel="cublas").time_s)
        for k in (2048, 2046, 2047)
    ]
    assert 3 * times[0] < times[1] < 0.9 * times[2]


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_points_of_all_kinds_resolve_together_as_one_by_one(dtype: str) -> None:
    rows = [(1, 65, 64), (3, 101, 256), (12, 352, 930), (100, 64, 63), (3000, 4098, 514), (5, 8, 8)]
    m, n, k = np.array(rows, dtype=np.float64).T
    swept = predict(gemm(m, n, k, dtype=dtype), on="h200", kernel="cublas").time_s
    alone = [
        float(predict(gemm(*row, dtype=dtype), on="h200", kernel="cublas").time_s) for row in rows
    ]
    assert swept == pytest.approx(alone)


@pytest.mark.parametrize(
    ("dtype", "sizes", "measured_s"),
    [
        ("bf16", (3263132, 8, 8), 129.1e-6),
        ("bf16", (891275, 8, 40), 44.87e-6),
        ("fp16", (1947893, 8, 16), 59.91e-6),
        ("fp16", (162120, 8, 3), 11.68e-6),
        ("fp16", (70702, 8, 34), 7.63e-6),
        ("bf16", (19704, 18560, 8), 223.2e-6),
        ("fp16", (31784, 2350, 29), 119.7e-6),
        ("bf16", (88, 25, 22374), 16.24e-6),
        ("bf16", (3, 22, 74384), 12.1e-6),
        ("fp16", (64, 24, 102448), 11.54e-6),
        ("fp32", (5, 16, 357339), 107.3e-6),
        ("fp32", (10878, 13546, 18), 308.4e-6),
    ],
)
def test_thin_products_are_as_long_as_measured(dtype: str, sizes: Sizes, measured_s: float) -> None:
    """Few columns, few terms, or sums of a few by a few: shapes of the test half, traced cold."""
    time_s = float(predict(gemm(*sizes, dtype=dtype), on="h200", kernel="cublas").time_s)
    assert time_s == pytest.approx(measured_s, rel=0.2)
