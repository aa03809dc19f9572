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


@pytest.mark.parametrize(("every", "own"), [(4096, 16), (96, 1), (200, 3)])
def test_a_bulk_copy_brings_the_rows_that_follow_its_member(every: int, own: int) -> None:
    """Against a tile laid at each row of all: what of it lies before the last."""
    tile = GemmTile(128, 128, 64, 4, 8)
    laid = [min(128, every - start) for start in range(every)]
    found = triton_grouped.rows_following(every, own, tile)
    assert found == pytest.approx(sum(laid) / every, abs=1)


def test_members_of_one_row_are_slower_in_tall_tiles_by_bulk_copies_alone() -> None:
    """Rows of others and zeros come through the port and the L2; those who gather load one row."""
    routing = Distribution("balanced", "x", draws=64, picks=1)
    problem = GemmProblem(64, 1024, 4096, members=64, routing=routing)
    short, tall = GemmTile(64, 128, 64, 4, 8), GemmTile(128, 128, 64, 4, 8)
    ours = [triton_grouped.described(problem, tile, LIMITS) for tile in (short, tall)]
    others = [totals(triton_grouped.grouped(problem, tile, LIMITS)) for tile in (short, tall)]
    assert seconds(ours[1]) > 1.05 * seconds(ours[0])
    assert others[0].read["l2"] == others[1].read["l2"]
