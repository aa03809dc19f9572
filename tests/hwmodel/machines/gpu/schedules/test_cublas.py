"""The tiles of cuBLAS: launched ones, what alignment decides, and counts by a walk of blocks."""

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
ALIGNED = st.integers(1, 4000).map(lambda size: 8 * size)
MENU = cublas.menu()[0]


def problem(m: int, n: int, k: int, dtype: str = "bf16") -> GemmProblem:
    out = "bf16" if dtype == "fp8" else dtype
    return GemmProblem(m, n, k, dtype_a=dtype, dtype_b=dtype, dtype_out=out)


def tile(m: int, n: int, k: int, dtype: str = "bf16") -> LibraryTile:
    return cublas.resolved(MENU, problem(m, n, k, dtype), H200)


@pytest.mark.parametrize(
    ("sizes", "launched"),
    [
        ((4096, 4096, 14336), (128, 256, 1)),
        ((1024, 3072, 8192), (128, 192, 1)),
        ((64, 28672, 4096), (64, 256, 1)),
        ((16, 16384, 3072), (16, 128, 1)),
        ((64, 2048, 8192), (64, 64, 4)),
        ((64, 3584, 3584), (32, 64, 1)),
        ((8, 10496, 19520), (8, 256, 3)),
    ],
)
def test_some_launched_tiles(sizes: tuple[int, int, int], launched: tuple[int, ...]) -> None:
    found = tile(*sizes)
    assert (found.block_m, found.block_n, found.split) == launched


@given(m=st.integers(2, 20000), n=ALIGNED, k=ALIGNED)
def test_aligned_products_move_slices_in_bulk(m: int, n: int, k: int) -> None:
    found = tile(m, n, k)
    assert (found.copy_bytes, found.persistent, found.block_k * 2) == (0, 1, 128)
    sides = sorted((found.block_m, found.block_n))
    assert sides[0] % 8 == 0
    assert any(side % 64 == 0 for side in sides)
    assert found.block_m * found.block_n <= 320 * 128


@pytest.mark.parametrize(
    ("n", "k", "dtype", "copied"),
    [
        pytest.param(64, 63, "bf16", 2, id="odd K"),
        pytest.param(64, 66, "bf16", 4, id="K of 4 bytes"),
        pytest.param(64, 68, "bf16", 4, id="8 bytes are copied by fours"),
        pytest.param(63, 64, "bf16", 2, id="odd N: the output's rows are not aligned"),
        pytest.param(64, 63, "tf32", 4, id="odd K of four bytes each"),
        pytest.param(64, 64, "fp32", 4, id="vector units know no bulk kernels"),
    ],
)
def test_other_alignments_are_copied_by_threads(n: int, k: int, dtype: str, copied: int) -> None:
    found = tile(100, n, k, dtype)
    assert (found.copy_bytes, found.persistent) == (copied, 0)


def test_a_single_row_is_a_matrix_times_a_vector_at_any_alignment() -> None:
    assert (tile(1, 63, 63, "tf32").narrow, tile(1, 64, 64, "tf32").narrow) == (1, 1)
    assert (tile(1, 63, 63).narrow, tile(1, 64, 64).persistent) == (1, 1)


@given(m=st.integers(2, 4096), n=ALIGNED, k=ALIGNED)
def test_split_sums_fill_the_device_once_and_keep_twenty_slices(m: int, n: int, k: int) -> None:
    found = tile(m, n, k)
    if found.split > 1:
        blocks = math.ceil(m / found.block_m) * math.ceil(n / found.block_n)
        assert blocks * found.split <= 132
        assert math.ceil(k / 64) / found.split >= 20


@given(m=st.integers(2, 8192), n=ALIGNED)
def test_sums_that_are_promoted_on_the_way_leave_room_for_smaller_tiles(m: int, n: int) -> None:
    fp8 = problem(m, n, 4096, "fp8")
    promoted = cublas.resolved(MENU, fp8, H200)
    assert promoted.block_m * promoted.block_n <= 160 * 128
    fast = cublas.resolved_fast(MENU, fp8, H200)
    assert fast.block_m * fast.block_n <= 320 * 128


@pytest.mark.parametrize("dtype", ["bf16", "fp8", "tf32", "fp32"])
def test_points_resolve_together_as_one_by_one(dtype: str) -> None:
    rows = [(1, 64, 64), (3, 100, 256), (100, 64, 63), (3000, 4096, 512), (17, 2320, 1936)]
    sizes = np.array(rows, dtype=np.float64).T
    out = "bf16" if dtype == "fp8" else dtype
    together = cublas.resolved(
        MENU, GemmProblem(*sizes, dtype_a=dtype, dtype_b=dtype, dtype_out=out), H200
    )
    for point, (m, n, k) in enumerate(rows):
        for name, value in vars(tile(m, n, k, dtype)).items():
            whole = np.broadcast_to(getattr(together, name), (len(rows),))
            assert whole[point] == value, name


@pytest.mark.parametrize("sizes", [(100, 64, 64), (100, 72, 63), (300, 200, 1000)])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_counts_are_those_of_a_walk_of_blocks(sizes: tuple[int, int, int], dtype: str) -> None:
    m, n, k = sizes
    found = tile(m, n, k, dtype)
    slices = range(0, math.ceil(math.ceil(k / found.block_k) / found.split))
    flop = staged = 0.0
    for row in range(0, m, int(found.block_m)):
        for column in range(0, n, int(found.block_n)):
            for _ in range(int(found.split)):
                for _ in slices:
                    flop += 2 * found.block_m * found.block_n * found.block_k
                    rows = min(found.block_m, m - row)
                    columns = min(found.block_n, n - column)
                    staged += (rows + columns) * found.block_k * (2 if dtype == "bf16" else 4)
    counts = totals(cublas.activity(problem(m, n, k, dtype), found, H200))
    unit, number = ("matrix", "bf16") if dtype == "bf16" else ("vector", "fp32")
    issued = float(counts.operations[unit, "flop", number]) / (flop * float(found.effort))
    assert issued == pytest.approx(1)
    assert counts.written["shared"] == pytest.approx(staged)


@given(m=st.integers(1, 4096), n=ALIGNED, k=ALIGNED)
def test_all_bytes_pass_the_dram_at_least_once(m: int, n: int, k: int) -> None:
    given_ = problem(m, n, k)
    counts = totals(cublas.activity(given_, tile(m, n, k), H200))
    assert counts.read["dram"] >= 2 * (m * k + n * k) * (1 - 1e-12)
    assert counts.written["dram"] >= 2 * m * n * (1 - 1e-12)


def test_parts_of_split_sums_stay_in_the_l2_until_the_operands_exceed_it() -> None:
    def extra(n: int, k: int) -> float:
        found = tile(64, n, k)
        assert found.split > 1
        counts = totals(cublas.activity(problem(64, n, k), found, H200))
        return float(counts.written["dram"] - 2 * 64 * n) / float(found.split * 64 * n * 4)

    assert extra(2048, 8192) == 0
    assert 0.5 < extra(4096, 28672) < 1


@pytest.mark.parametrize("m", [1, 64, 65, 129, 4096])
def test_scales_for_rows_take_one_tile_for_all_sizes(m: int) -> None:
    """Read from launches; sums that stay in the matrix units run in clusters."""
    sizes = problem(m, 66 * 128, 4096, "fp8")
    alone = cublas.resolved_rows(cublas.menu()[0], sizes, H200)
    fast = cublas.resolved_rows_fast(cublas.menu()[0], sizes, H200)
    for found in (alone, fast):
        assert (found.block_m, found.block_n, found.block_k, found.split) == (128, 128, 128, 1)
    assert (alone.multicast, fast.multicast) == (1, 4 if m <= 128 else 2)


@pytest.mark.parametrize("sizes", [(132, 4096, 512), (128, 4112, 384), (257, 130, 4096)])
def test_rows_of_a_fixed_tile_beyond_an_edge_cross_as_well(sizes: tuple[int, int, int]) -> None:
    """Every block of a walk fetches its rows of A and B, and what of its tile is no row of them."""
    m, n, k = sizes
    found = cublas.resolved_rows(MENU, problem(*sizes, "fp8"), H200)
    counts = totals(cublas.activity(problem(*sizes, "fp8"), found, H200)).read
    blocks = [(row, column) for row in range(0, m, 128) for column in range(0, n, 128)]
    within = sum(min(128, m - r) + min(128, n - c) for r, c in blocks)
    beyond = 256 * len(blocks) - within
    assert counts["l2"] == pytest.approx((within + found.edged * beyond) * k)


def test_large_products_read_again_what_an_l2_of_two_halves_forgets() -> None:
    """Counted on an H200: 17.2 GB at 16,384^3, 1.25 GB at 8,192^3; what fits is read once."""

    def read(n: int) -> float:
        sizes = problem(n, n, n)
        found = cublas.resolved(cublas.menu()[0], sizes, H200)
        return float(totals(cublas.activity(sizes, found, H200)).read["dram"])

    assert read(16384) == pytest.approx(17.2e9, rel=0.4)
    assert read(8192) == pytest.approx(1.25e9, rel=0.15)
    assert read(1024) == 2 * 1024 * 1024 * 2


@pytest.mark.parametrize(
    ("kernel", "sizes", "measured_s"),
    [
        ("cublas-row-scales", (16, 55296, 5120), 111.56e-6),
        ("cublas-row-scales", (512, 28672, 4096), 97.38e-6),
        ("cublas-row-scales-fast-accum", (4, 5120, 27648), 71.16e-6),
        ("cublas-row-scales-fast-accum", (7866, 1536, 7168), 121.39e-6),
    ],
)
def test_measured_products_with_a_scale_for_each_row(
    kernel: str, sizes: tuple[int, int, int], measured_s: float
) -> None:
    """Shapes of the test half, board d025b8a8. One scale for all is 1.3 to 1.6 times faster."""
    m, n, k = sizes
    found = predict(gemm(M=m, N=n, K=k, dtype="fp8"), device("h200"), kernel=kernel)
    assert found.time_s == pytest.approx(measured_s, rel=0.15)


@pytest.mark.parametrize(
    ("rows", "depth", "measured_s"),
    [
        (1, 1955, 3.92e-6), (1, 247672, 4.76e-6), (1, 8333640, 41.07e-6), (1, 32521064, 127.8e-6),
        (7312, 32, 2.55e-6), (26944, 376, 7.52e-6), (127200, 240, 18.95e-6),
    ],
)  # fmt: skip
def test_a_matrix_times_a_vector_streams_it(rows: int, depth: int, measured_s: float) -> None:
    """Of bf16 on an H200 (cuBLAS 13.1); tiles of a product would take up to ten times as long."""
    work = gemm(M=rows, N=1, K=depth)
    made = predict(work, on="h200", kernel="cublas")
    assert float(made.time_s) == pytest.approx(measured_s, rel=0.2)


def test_columns_of_a_sweep_are_vectors_where_they_are_one() -> None:
    work = gemm(M=64, N=np.array([1, 2, 128]), K=65536)
    swept = predict(work, on="h200", kernel="cublas").time_s
    alone = [
        float(predict(gemm(M=64, N=n, K=65536), on="h200", kernel="cublas").time_s)
        for n in (1, 2, 128)
    ]
    assert swept == pytest.approx(alone)
