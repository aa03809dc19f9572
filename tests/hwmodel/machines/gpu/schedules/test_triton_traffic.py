"""What our products move through the DRAM: walks of the raster, limits, and counters of one."""

from dataclasses import replace

import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Limits, limits
from hwmodel.machines.gpu.schedules import triton_gemm, triton_traffic
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.spine.activity import totals

LIMITS = limits(device("h200"))


def with_l2(size: float) -> Limits:
    return replace(LIMITS, capacity_bytes=dict(LIMITS.capacity_bytes) | {"l2": size})


def walked_bytes(problem: GemmProblem, tile: GemmTile, slots: int) -> int:
    """A and B of every wave of blocks, in the kernel's order, where nothing outlives a wave."""
    rows, columns = int(problem.M) // int(tile.block_m), int(problem.N) // int(tile.block_n)
    order = [
        (group + row, column)
        for group in range(0, rows, int(tile.group_m))
        for column in range(columns)
        for row in range(min(int(tile.group_m), rows - group))
    ]
    blocks = 0
    for first in range(0, len(order), slots):
        wave = order[first : first + slots]
        blocks += len({row for row, _ in wave}) * int(tile.block_m)
        blocks += len({column for _, column in wave}) * int(tile.block_n)
    return blocks * int(problem.K) * 2


@pytest.mark.parametrize(("rows", "columns", "wide"), [(16, 32, 16), (32, 64, 8), (8, 16, 4)])
def test_without_an_l2_every_wave_reads_its_own(rows: int, columns: int, wide: int) -> None:
    tile = GemmTile(128, 256, 64, 4, 8)
    problem = GemmProblem(rows * 128, columns * 256, 512)
    slots = 8 * wide
    found = triton_traffic.operands_bytes(problem, tile, slots, with_l2(1.0))
    assert found == walked_bytes(problem, tile, slots)


def test_with_a_large_l2_operands_are_read_once_and_nothing_else_moves() -> None:
    problem = GemmProblem(8192, 15488, 2112)
    tile = GemmTile(128, 256, 64, 4, 8, split=4)
    large = with_l2(1e12)
    once = 2 * (8192 + 15488) * 2112
    assert triton_traffic.operands_bytes(problem, tile, 132, large) == once
    assert triton_traffic.parts_bytes(problem, tile, large) == 0
    assert triton_traffic.spills_bytes(problem, tile, 1e5, 132, large) == 0


def test_less_l2_never_moves_less() -> None:
    problem = GemmProblem(4919, 12188, 1102)
    tile = GemmTile(128, 256, 64, 4, 8)
    moved = [
        float(triton_traffic.operands_bytes(problem, tile, 132, with_l2(size)))
        + float(triton_traffic.spills_bytes(problem, tile, 1e5, 132, with_l2(size)))
        for size in (1e6, 2e7, 6e7, 1e8, 1e9)
    ]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 2 * moved[-1]


@pytest.mark.parametrize(
    ("sizes", "tile", "read", "written"),
    [
        # Bytes by hardware counters, H200, bf16.
        ((8192, 15488, 2112), GemmTile(128, 256, 64, 4, 8, 1), 5.7741e8, 2.5371e8),
        ((32, 14080, 12928), GemmTile(128, 128, 64, 4, 8, 16), 3.898e8, 2.9802e7),
        ((4096, 4096, 1024), GemmTile(128, 128, 64, 3, 4, 4, 2), 2.8575e8, 3.02e8),
        ((6327, 3448, 1156), GemmTile(64, 256, 64, 4, 4, 2), 5.5234e8, 5.1985e8),
        ((353, 3072, 8192), GemmTile(128, 128, 64, 4, 8, 1), 5.6119e7, 2.1822e6),
    ],
)
def test_products_move_what_counters_saw(
    sizes: tuple[int, int, int], tile: GemmTile, read: float, written: float
) -> None:
    found = totals(triton_gemm.activity(GemmProblem(*sizes), tile, LIMITS))
    assert float(found.read["dram"]) == pytest.approx(read, rel=0.06)
    assert float(found.written["dram"]) == pytest.approx(written, rel=0.06)
