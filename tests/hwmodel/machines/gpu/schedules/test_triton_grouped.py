"""Grouped products in Triton: what their blocks count, and those beyond the last row."""

import pytest

from hwmodel.einsum.cascade import Distribution
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.libraries import triton
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import triton_gemm, triton_grouped
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.spine.activity import Activity, fold, totals

H200 = device("h200")
LIMITS = limits(H200)
SPEEDS = rates(H200, triton.LIBRARY.priors["gemm"].values)


def seconds(activity: Activity) -> float:
    return float(fold(activity, SPEEDS).time_s)


def test_grouped_blocks_beyond_the_last_row_only_scan() -> None:
    """64 members of 16 rows: 64 row blocks of 128, of 72 that the grid holds."""
    tile = GemmTile(128, 128, 64, 4, 8)
    routing = Distribution("balanced", "x", draws=128, picks=8)
    problem = GemmProblem(1024, 2048, 1024, members=64, routing=routing)
    found = totals(triton_grouped.grouped(problem, tile, LIMITS))
    assert found.operations["matrix", "flop", "bf16"] == 2 * 128 * 2048 * 1024 * 64
    assert found.read["dram"] >= (64 * 2048 * 1024 + 1024 * 1024) * 2
    assert found.slots["scan"] == pytest.approx(8 + 8 * 16 / 132)


def test_a_product_without_routing_is_the_plain_one() -> None:
    tile = GemmTile(128, 128, 64, 4, 8)
    problem = GemmProblem(1024, 2048, 1024)
    alone = seconds(triton_gemm.activity(problem, tile, LIMITS))
    assert seconds(triton_grouped.grouped(problem, tile, LIMITS)) == alone
