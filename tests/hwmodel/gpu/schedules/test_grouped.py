"""torch's grouped product: one kernel for few rows, one for many, and tiles padded by member."""

import numpy as np
import pytest

from hwmodel.activity import totals
from hwmodel.einsum.cascade import Distribution
from hwmodel.gpu.schedules import grouped
from hwmodel.gpu.schedules.gemm import GemmProblem, activity
from hwmodel.hardware import limits
from hwmodel.registry import device

H200 = limits(device("h200"))


def problem(tokens: float, members: int = 8) -> GemmProblem:
    """Two of `members` for every token, spread evenly."""
    routing = Distribution(kind="balanced", over="t", draws=tokens, picks=2)
    return GemmProblem(2 * tokens, 512, 256, members=members, routing=routing)


@pytest.mark.parametrize(
    ("tokens", "tile"), [(64, (64, 128, 128)), (65, (128, 256, 64)), (4096, (128, 256, 64))]
)
def test_the_rows_of_all_members_choose_the_kernel(tokens: int, tile: tuple[int, int, int]) -> None:
    found = grouped.resolved(grouped.menu()[0], problem(tokens), H200)
    assert (found.block_m, found.block_n, found.block_k) == tile


def test_every_member_pads_its_own_rows_to_whole_tiles() -> None:
    tile = grouped.menu()[0]
    counts = totals(activity(problem(400), tile, H200))
    blocks = sum(-(-rows // 128) for rows in [100] * 8) * (512 // 256)
    assert counts.operations["matrix", "flop", "bf16"] == 2 * blocks * 128 * 256 * 256


def test_members_without_rows_read_no_weights() -> None:
    few = totals(activity(problem(1), grouped.menu()[0], H200)).read["dram"]
    assert few == 2 * (2 * 256 + 2 * 256 * 512)


def test_a_sweep_resolves_point_by_point() -> None:
    sizes = problem(np.array([1.0, 4096.0]))  # type: ignore[arg-type]
    tile = grouped.resolved(grouped.menu()[0], sizes, H200)
    assert list(np.asarray(tile.block_m)) == [64, 128]
