"""The tile rules of cuBLAS: alignment decides the kernel, waves its rows, processors its splits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.gpu.schedules import cublas
from hwmodel.gpu.schedules.gemm import GemmProblem
from hwmodel.hardware import limits
from hwmodel.registry import device

H200 = limits(device("h200"))
ALIGNED = st.integers(1, 4000).map(lambda size: 8 * size)


def tiles(problem: GemmProblem) -> list[Any]:
    """Every candidate with its sizes for one problem."""
    return [cublas.resolved(tile, problem, H200) for tile in cublas.menu()]


@given(m=st.integers(2, 20000), n=ALIGNED, k=ALIGNED)
def test_aligned_products_move_slices_in_bulk(m: int, n: int, k: int) -> None:
    for tile in tiles(GemmProblem(m, n, k)):
        assert (tile.copy_bytes, tile.persistent) == (0, 1)
        assert tile.block_k * 2 == 128
        assert tile.block_m % 8 == 0
        assert tile.block_m * tile.block_n <= cublas.MOST_OUTPUTS


@pytest.mark.parametrize(
    ("n", "k", "dtype", "copied"),
    [
        pytest.param(64, 63, "bf16", 2, id="odd K"),
        pytest.param(64, 66, "bf16", 4, id="K of 4 bytes"),
        pytest.param(64, 68, "bf16", 4, id="8 bytes are copied by fours"),
        pytest.param(63, 64, "bf16", 2, id="odd N: the output's rows are not aligned"),
        pytest.param(64, 63, "tf32", 4, id="odd K of four bytes each"),
        pytest.param(64, 64, "fp32", 16, id="vector units know no bulk kernels"),
    ],
)
def test_other_alignments_are_copied_by_threads(n: int, k: int, dtype: str, copied: int) -> None:
    problem = GemmProblem(100, n, k, dtype_a=dtype, dtype_b=dtype, dtype_out=dtype)
    assert {float(tile.copy_bytes) for tile in tiles(problem)} == {copied}
    assert {float(tile.persistent) for tile in tiles(problem)} == {0}
    assert {(tile.block_m, tile.block_n) for tile in tiles(problem)} <= set(cublas.COPIED)


def test_a_single_row_is_a_matrix_times_a_vector_at_any_alignment() -> None:
    assert {float(tile.copy_bytes) for tile in tiles(GemmProblem(1, 63, 63))} == {0}


@given(m=st.integers(2, 20000), n=ALIGNED)
def test_rows_shrink_until_the_grid_fits_its_waves(m: int, n: int) -> None:
    for tile in tiles(GemmProblem(m, n, 4096)):
        if not tile.waves or n > tile.waves * 132 * tile.block_n:
            continue
        blocks = -(-m // tile.block_m) * -(-n // tile.block_n)
        largest = min(tile.block_m + 8, 256) * tile.block_n > cublas.MOST_OUTPUTS
        assert blocks <= tile.waves * 132 or tile.block_m == 256 or largest


@given(m=st.integers(2, 4096), n=ALIGNED, k=ALIGNED)
def test_splits_fill_the_device_once_and_keep_four_slices(m: int, n: int, k: int) -> None:
    for tile in tiles(GemmProblem(m, n, k)):
        if tile.split > 1:
            blocks = -(-m // tile.block_m) * -(-n // tile.block_n)
            assert blocks * tile.split <= 132
            assert -(-k // tile.block_k) / tile.split >= cublas.LEAST_STEPS


def test_older_formats_keep_to_powers_of_two() -> None:
    problem = GemmProblem(200, 4096, 4096, dtype_a="tf32", dtype_b="tf32", dtype_out="tf32")
    for tile in tiles(problem):
        assert (
            np.log2(float(min(tile.block_m, 256))) % 1 == 0 or tile.block_m * tile.block_n > 2**15
        )


def test_a_menu_resolves_as_columns_as_it_does_one_by_one() -> None:
    menu = cublas.menu()
    sizes = np.array([1.0, 100.0, 3000.0])
    problem = GemmProblem(sizes, np.array([64.0, 100.0, 4096.0]), np.array([63.0, 256.0, 512.0]))
    columns = {
        name: np.array([[float(getattr(tile, name))] for tile in menu]) for name in vars(menu[0])
    }
    together = cublas.resolved(replace(menu[0], **columns), problem, H200)
    for point in range(3):
        alone = GemmProblem(*(int(s[point]) for s in (problem.M, problem.N, problem.K)))  # type: ignore[index]
        for row, tile in enumerate(tiles(alone)):
            for name in ("block_m", "block_n", "block_k", "split", "copy_bytes", "multicast"):
                column = np.broadcast_to(getattr(together, name), (len(menu), 3))
                assert column[row, point] == getattr(tile, name), name


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
@pytest.mark.parametrize("sizes", [(1, 64, 64), (100, 64, 63), (100, 64, 64)])
def test_one_point_keeps_every_field_a_column_of_the_menu(
    sizes: tuple[int, int, int], dtype: str
) -> None:
    menu = cublas.menu()
    columns = {
        name: np.array([[float(getattr(tile, name))] for tile in menu]) for name in vars(menu[0])
    }
    problem = GemmProblem(*sizes, dtype_a=dtype, dtype_b=dtype, dtype_out=dtype)
    found = cublas.resolved(replace(menu[0], **columns), problem, H200)
    assert {np.shape(getattr(found, name)) for name in columns} == {(len(menu), 1)}
