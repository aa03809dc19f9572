"""Tiles of kernels whose warps multiply by themselves: the best of a menu, and where it ends."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cublas, warp_tiles
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile

A100 = hw.device("a100")
ROOM = limits(A100)


def test_a_large_product_takes_a_wide_tile_whole_and_a_deep_one_parts() -> None:
    wide, deep = (
        hw.predict(hw.workloads.gemm(*sizes), A100).parts[0].tile
        for sizes in ((8192, 8192, 8192), (16, 128, 65536))
    )
    assert wide.block_m * wide.block_n == 256 * 128
    assert (wide.split, wide.persistent) == (1, 0)
    assert deep.split > 8


def test_no_other_tile_of_the_menu_is_faster() -> None:
    work = hw.workloads.gemm(300, 2000, 4096)
    best = hw.predict(work, A100)
    tile = best.parts[0].tile
    assert (tile.block_m, tile.block_n) in {(m, n) for m, n, _ in warp_tiles.CUBLAS_SIDES}
    assert tile.split in warp_tiles.SPLITS


@pytest.mark.parametrize(
    ("K", "most"), [(32, 1), (128, 1), (256, 2), (4096, 32)]
)  # slices of 32 bf16, four of them to a part
def test_a_part_of_k_keeps_four_slices(K: int, most: int) -> None:
    problem = GemmProblem(M=16, N=64, K=K)
    column = np.array([[float(s)] for s in warp_tiles.SPLITS])
    menu = warp_tiles.MENU[0]
    found = warp_tiles.resolved(
        LibraryTile(16 + 0 * column, 64 + 0 * column, split=column, resident=menu.resident),
        problem,
        ROOM,
    )
    assert np.max(found.split) == most


def test_parts_of_k_are_longer_in_cublas() -> None:
    problem = GemmProblem(M=16, N=64, K=4096)  # 128 slices of 32
    tile = next(each for each in warp_tiles.CUBLAS if each.split == 32)
    assert warp_tiles.of_cublas(tile, problem, ROOM).split == 16
    assert warp_tiles.resolved(tile, problem, ROOM).split == 32


def test_rows_that_begin_off_16_bytes_and_fp32_have_the_tiles_of_cublas() -> None:
    odd, single = hw.workloads.gemm(512, 1001, 777), hw.workloads.gemm(512, 1024, 768, dtype="fp32")
    for work, form in ((odd, "bf16"), (single, "fp32")):
        M, N, K = (512, 1001, 777) if form == "bf16" else (512, 1024, 768)
        problem = GemmProblem(M=M, N=N, K=K, dtype_a=form, dtype_b=form, dtype_out=form)
        expected = cublas.resolved(cublas.menu()[0], problem, ROOM)
        tile = hw.predict(work, A100).parts[0].tile
        assert (tile.block_m, tile.block_n, tile.split) == (
            expected.block_m,
            expected.block_n,
            expected.split,
        )


def test_a_sweep_gives_what_single_points_give() -> None:
    sizes = np.array([3.0, 64.0, 777.0, 4096.0])
    swept = hw.predict(hw.workloads.gemm(sizes, 4096, 1024), A100).time_s
    for size, time_s in zip(sizes, swept, strict=True):
        alone = hw.predict(hw.workloads.gemm(int(size), 4096, 1024), A100).time_s
        assert time_s == pytest.approx(alone, rel=1e-9)


def test_hopper_keeps_its_bulk_kernels() -> None:
    tile = hw.predict(hw.workloads.gemm(4096, 4096, 4096), "h200").parts[0].tile
    assert tile.persistent == 1
