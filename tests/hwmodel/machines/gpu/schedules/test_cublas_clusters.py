"""Clusters of cuBLAS's blocks, by hand: which are launched, and what a block need not fetch."""

import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.cublas_clusters import begun, clusters, shared_bytes
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import Grid, LibraryTile
from hwmodel.spine.activity import totals

H200 = limits(device("h200"))


def tile(m: int, n: int, split: int, along_m: int, along_n: int) -> LibraryTile:
    shared = along_m * along_n
    return LibraryTile(
        m, n, block_k=64, split=split, multicast=shared, cluster_m=along_m, cluster_n=along_n
    )


@pytest.mark.parametrize(
    ("sizes", "launched", "blocks"),
    [  # grids of launches of an H200
        ((16, 1152, 2432), tile(8, 64, 1, 2, 4), 8 * 5),
        ((96, 192, 6464), tile(32, 64, 5, 4, 1), 4 * 15),
        ((16, 832, 3520), tile(16, 64, 2, 1, 4), 4 * 8),
    ],
)
def test_whole_clusters_are_launched(
    sizes: tuple[int, int, int], launched: LibraryTile, blocks: int
) -> None:
    problem = GemmProblem(*sizes, dtype_a="bf16", dtype_b="bf16", dtype_out="bf16")
    assert begun(launched, Grid.of(problem, launched, H200)) == blocks


def test_a_cluster_of_four_by_two_fetches_each_byte_once() -> None:
    """Of 64 rows and 128 columns a block fetches a half of the rows, a quarter of the columns."""
    problem = GemmProblem(512, 1024, 4096, dtype_a="bf16", dtype_b="bf16", dtype_out="bf16")
    found = shared_bytes(problem, tile(64, 128, 1, 4, 2), 8, 8)
    assert found == 2 * (64 + 128 - 64 / 2 - 128 / 4)


def test_longer_sides_are_shared_by_more() -> None:
    problem = GemmProblem(512, 1024, 4096, dtype_a="bf16", dtype_b="bf16", dtype_out="bf16")
    wide = clusters(problem, 64, 128, 64, H200)
    assert (float(wide["cluster_m"]), float(wide["cluster_n"])) == (4, 2)
    assert float(clusters(problem, 64, 128, 132, H200)["multicast"]) == 2


def test_bytes_that_a_cluster_passes_on_and_few_blocks_take_less() -> None:
    problem = GemmProblem(512, 1024, 4096, dtype_a="bf16", dtype_b="bf16", dtype_out="bf16")
    alone, shared = (
        totals(cublas.product(problem, tile(64, 128, 1, *of), H200)) for of in ((1, 1), (4, 2))
    )
    assert shared.read["port"] < alone.read["port"]
    few = GemmProblem(64, 128, 4096, dtype_a="bf16", dtype_b="bf16", dtype_out="bf16")
    one = totals(cublas.product(few, tile(64, 128, 1, 1, 1), H200))
    assert 0.8 < one.slots["launch"] < alone.slots["launch"] < 1
