"""torch's grouped product: the kernel by mean rows of a member, clusters padded by member."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.einsum.cascade import Distribution
from hwmodel.einsum.workloads.moe import moe
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.schedules import grouped
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.spine.activity import Work, totals

H200 = limits(device("h200"))
SMALL, LARGE = (64, 128, 128), (128, 256, 64)


def problem(tokens: float, members: int = 8, columns: int = 512) -> GemmProblem:
    """Two of `members` for every token, spread evenly."""
    routing = Distribution(kind="balanced", over="t", draws=tokens, picks=2)
    return GemmProblem(2 * tokens, columns, 256, members=members, routing=routing)


def counted(sizes: GemmProblem) -> Work:
    """Counts of a call with the tile that the kernel's rule takes."""
    tile = grouped.resolved(grouped.menu()[0], sizes, H200)
    return totals(grouped.activity(sizes, tile, H200))


@pytest.mark.parametrize(
    ("tokens", "columns", "tile"),
    [(1, 512, SMALL), (515, 512, SMALL), (516, 512, LARGE), (4096, 512, LARGE), (4096, 128, SMALL)],
)
def test_mean_rows_of_a_member_or_few_columns_choose_the_kernel(
    tokens: int, columns: int, tile: tuple[int, int, int]
) -> None:
    """515 tokens give each of 8 members 128.75 rows on average, 128 in whole numbers."""
    found = grouped.resolved(grouped.menu()[0], problem(tokens, columns=columns), H200)
    assert (found.block_m, found.block_n, found.block_k) == tile


def test_every_member_pads_its_own_rows_to_two_tiles() -> None:
    """800 rows, 100 a member: a cluster of two 64-row tiles each, over four columns of tiles."""
    assert counted(problem(400)).operations["matrix", "flop", "bf16"] == 2 * (8 * 128) * 512 * 256


def test_a_member_of_one_row_keeps_both_blocks_of_its_clusters_busy() -> None:
    one = counted(problem(4)).operations["matrix", "flop", "bf16"]
    assert one == counted(problem(256)).operations["matrix", "flop", "bf16"]


def test_each_matrix_reaches_both_blocks_but_leaves_the_l2_once() -> None:
    """8 members of one row: 8 x 256 x 512 weights of 2 bytes, twice through ports; A once."""
    counts = counted(problem(4))
    weights, rows = 8 * 256 * 512 * 2, 8 * 256 * 2
    assert counts.read["l2"] == weights + 4 * rows
    assert counts.read["port"] == 2 * weights + 4 * rows


def test_slices_come_from_the_dram_for_a_members_first_stripe_only() -> None:
    """1,024 rows a member: four stripes of 256, of which one finds B nowhere else."""
    counts = counted(problem(4096))
    slices = 256 // 64
    assert counts.read["stream"] == pytest.approx(2 * slices * 8 * (512 / 256))


def test_members_without_rows_read_no_weights() -> None:
    assert counted(problem(1)).read["dram"] == 2 * (2 * 256 + 2 * 256 * 512)


def test_rows_off_memory_lines_go_at_the_copy_engines_pace() -> None:
    def engine(depth: int) -> float:
        routing = Distribution(kind="balanced", over="t", draws=8, picks=2)
        return float(
            counted(GemmProblem(16, 512, depth, members=8, routing=routing)).read["engine"]
        )

    assert engine(256) == 0
    assert engine(264) == 2 * (16 * 264 + 8 * 264 * 512)


def test_a_sweep_resolves_point_by_point() -> None:
    sizes = problem(np.array([1.0, 4096.0]))  # type: ignore[arg-type]
    tile = grouped.resolved(grouped.menu()[0], sizes, H200)
    assert list(np.asarray(tile.block_m)) == [64, 128]


def test_fp8_with_scales_for_rows_has_slices_of_as_many_elements() -> None:
    """Of half the bytes, so that the pieces of a row of B are as many: 128, and 256 of 64 bytes."""
    for tokens, tile in ((1, SMALL), (516, LARGE)):
        sizes = replace(problem(tokens), dtype_a="fp8", dtype_b="fp8")
        found = grouped.resolved_rows(grouped.menu()[0], sizes, H200)
        assert (found.block_m, found.block_n, found.block_k) == tile
        assert found.persistent == 0


def test_torch_converts_what_it_multiplied_to_fp8_by_a_kernel_more() -> None:
    """SiLU and multiply in bf16: [256, 512] is written in 2 bytes, read again, written in 1."""
    work = moe(tokens=128, experts=8, top_k=2, hidden=256, intermediate=512, dtype="fp8")
    names = ["grouped", "rows", "rows", "rows", "grouped"]
    calls = lower(work)
    assert [call.schedule for call in calls] == names
    _, _, multiplied, converted, down = calls
    assert multiplied.problem.written_bytes == converted.problem.read_bytes == 256 * 512 * 2
    assert converted.problem.written_bytes == 256 * 512
    assert down.library.name == "torch-row-scales"
    assert [call.schedule for call in lower(work.but(dtype="bf16"))] == names[:3] + names[4:]
