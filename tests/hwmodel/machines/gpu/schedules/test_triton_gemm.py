"""Our GEMM's blocks: how many a processor holds, what they count, and how their waves end."""

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.libraries import triton
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import triton_gemm
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.machines.gpu.schedules.triton_tiles import gemm_menu, gemm_tiles
from hwmodel.spine.activity import Activity, fold, totals

H200 = device("h200")
LIMITS = limits(H200)
SPEEDS = {"gemm": rates(H200, triton.LIBRARY.priors["gemm"].values)}


def seconds(activity: Activity, schedule: str = "gemm") -> float:
    return float(fold(activity, SPEEDS[schedule]).time_s)


@pytest.mark.parametrize(
    ("dtype", "K", "held"),
    [
        pytest.param("bf16", 4096, (1, 1, 2, 1, 2, 3, 3, 4), id="16-bit"),
        pytest.param("fp8", 4096, (1, 1, 2, 1, 2, 3, 3, 4), id="8-bit"),
    ],
)
def test_residence_is_what_the_compiler_reports(dtype: str, K: int, held: tuple[int, ...]) -> None:
    """Registers and shared bytes of Triton 3.6 and its ptxas for sm_90a, tile after tile."""
    problem = GemmProblem(4096, 4096, K, dtype_a=dtype, dtype_b=dtype)
    tiles = gemm_tiles(1 if dtype == "fp8" else 2)
    assert tuple(int(triton_gemm.resident(problem, tile)) for tile in tiles) == held


@pytest.mark.parametrize("size", [(100, 300, 200), (17, 1000, 5000), (4096, 4096, 1024)])
def test_products_are_those_of_a_walk_over_blocks_and_slices(size: tuple[int, int, int]) -> None:
    M, N, K = size
    for tile in gemm_menu():
        m, n, k = int(tile.block_m), int(tile.block_n), int(tile.block_k)
        slices = -(-K // k)
        each = -(-slices // int(tile.split))
        walked = 0
        for part in range(int(tile.split)):
            first, last = part * each, min((part + 1) * each, slices)
            walked += max(0, last - first) * k
        blocks = -(-M // m) * -(-N // n)
        counted = totals(triton_gemm.activity(GemmProblem(M, N, K), tile, LIMITS)).operations
        scale = triton_gemm.WARP_PRODUCTS if m < 64 else 1
        found = counted["matrix", "flop", "bf16"] / scale
        # Parts are counted as equally long; the last one may be shorter.
        assert 2 * m * n * blocks * walked <= found * (1 + 1e-9)
        assert found <= 2 * m * n * blocks * each * k * tile.split * (1 + 1e-9)


def test_rows_beyond_an_edge_cross_from_the_l2_but_are_not_loaded_by_threads() -> None:
    """8 rows in tiles of 128 ask the L2 for 120 of zeros, which are all read from one place."""
    tile = GemmTile(128, 128, 64, 4, 8)

    def fetched(rows: int, depth: int) -> float:
        sizes = GemmProblem(rows, 128, depth)
        return float(totals(triton_gemm.activity(sizes, tile, LIMITS)).read["l2"])

    joined = triton_gemm.JOINED * (128 + 8)
    assert fetched(8, 512) == pytest.approx((joined + triton_gemm.BEYOND * 120) * 512 * 2)
    assert fetched(8, 513) < fetched(128, 513)


def test_a_block_more_than_a_wave_holds_costs_less_than_another_full_wave() -> None:
    tile = GemmTile(128, 128, 64, 4, 8)

    def waves(rows: int) -> float:
        return seconds(triton_gemm.activity(GemmProblem(128 * rows, 128, 8192), tile, LIMITS))

    assert waves(132) < waves(133) < waves(264)


def test_a_sweep_is_its_points() -> None:
    tile = GemmTile(64, 128, 64, 4, 4, split=2)
    rows = np.array([1.0, 65.0, 5000.0])
    swept = fold(
        triton_gemm.activity(GemmProblem(rows, 4096, 4088), tile, LIMITS), SPEEDS["gemm"]
    ).time_s
    for index, M in enumerate(rows):
        alone = seconds(triton_gemm.activity(GemmProblem(int(M), 4096, 4088), tile, LIMITS))
        assert np.asarray(swept)[index] == pytest.approx(alone)


def test_more_of_anything_never_takes_less() -> None:
    tile = GemmTile(128, 128, 64, 4, 8)
    for name in ("M", "K"):
        sizes = {"M": 512, "N": 4096, "K": 4096}
        times: list[float] = []
        for factor in (1, 2, 4, 8):
            grown = {**sizes, name: sizes[name] * factor}
            problem = GemmProblem(grown["M"], grown["N"], grown["K"])
            times.append(seconds(triton_gemm.activity(problem, tile, LIMITS)))
        assert times == sorted(times)


def test_a_tile_leaves_through_shared_memory_and_then_by_its_rows() -> None:
    """128 x 128 fp32 sums, then bf16 rows; rows off 16 elements cost 1.5 times the first more."""
    tile = GemmTile(128, 128, 64, 4, 8)
    area = 128 * 128
    wide = triton_gemm.stored_bytes(GemmProblem(128, 128, 64), tile, 1)
    assert wide == area * 4 + area * 2
    narrow = triton_gemm.stored_bytes(GemmProblem(128, 120, 64), tile, 1)
    assert narrow == pytest.approx(area * 4 * 2.5 + 128 * 120 * 2)
    parts = triton_gemm.stored_bytes(
        GemmProblem(128, 128, 64), GemmTile(128, 128, 64, 4, 8, split=2), 1
    )
    assert parts == area * 4 + area * 4


def test_registers_of_a_processor_are_shared_by_whole_blocks() -> None:
    """Loads one by one of a 64 x 64 tile by 4 warps: 32 sums, 32 elements of two words, 40 others.

    136 registers of 128 threads are 17,408 of 65,536: 3.76 blocks, so that three are resident.
    """
    assert triton_gemm.resident(GemmProblem(4096, 4096, 4095), GemmTile(64, 64, 32, 4, 4)) == 3


def test_each_block_leaves_a_kibibyte_of_shared_memory_to_the_system() -> None:
    """Seven slices of 64 x 64 x 32 are 56 KiB: 57 with the system's own, of 228 exactly four."""
    assert triton_gemm.resident(GemmProblem(4096, 4096, 4096), GemmTile(64, 64, 32, 7, 4)) == 4


def test_fragments_of_warp_instructions_take_registers_and_those_of_warpgroups_take_none() -> None:
    """Sums and 46 registers where a warp loads its fragments, 26 where shared memory feeds them.

    16 x 128 by 4 warps: 16 + 46, rounded to 64 of 65,536: eight blocks. 64 x 128: 64 + 26, so 96:
    five.
    """
    problem = GemmProblem(4096, 4096, 4096)
    held = [triton_gemm.resident(problem, GemmTile(m, 128, 16, 2, 4)) for m in (16, 64)]
    assert held == [8, 5]


def test_processors_draw_power_whole_however_many_blocks_share_one() -> None:
    """132 parts without keys, two on a processor: as many live processors as blocks with work."""
    tile = GemmTile(64, 64, 32, 7, 4, split=64)
    found = totals(triton_gemm.activity(GemmProblem(1024, 1024, 2112), tile, LIMITS))
    assert float(np.max(found.live["processors"])) <= 132


def test_loops_that_wait_for_each_instruction_are_those_of_the_compiled_code() -> None:
    """What nvdisasm shows of Triton 3.6's kernels: a wait after each of four, or one for all."""
    sizes = {"proven": GemmProblem(4096, 4096, 4096), "odd": GemmProblem(4096, 4104, 4096)}

    def waits(of: str, n: int, warps: int, **more: int) -> float:
        tile = GemmTile(128, n, 64, 4, warps, **more)
        return float(triton_gemm.waits_each(sizes[of], tile))

    assert waits("proven", 256, 8) == waits("proven", 128, 8, split=2) == 1
    assert waits("proven", 256, 8, split=2, parts=2) == 1
    assert waits("proven", 256, 8, parts=2) == waits("proven", 256, 8, split=2) == 0
    assert waits("proven", 128, 8) == waits("proven", 128, 4, split=2) == 0
    assert waits("odd", 256, 8) == waits("odd", 128, 8, split=2) == 0
    assert waits("proven", 256, 8, persistent=1) == 0


def test_a_long_loop_takes_a_latency_and_a_product_for_each_round_of_its_stages() -> None:
    """One block of 64 x 64 alone: 4 slices in 1,350 clocks of (1 + 16 KiB / 64 KiB) and a product.

    By a walk: the load of a slice is asked for when the product four before it has ended.
    """
    tile = GemmTile(64, 64, 64, 4, 4)
    speeds = {"slice": 1350.0, "matrix": 1.0, "inner": 1000.0, "sharpness": 1000.0}
    slow = rates(H200, dict(triton.LIBRARY.priors["gemm"].values) | speeds)

    def took(K: int) -> float:
        return float(fold(triton_gemm.activity(GemmProblem(64, 64, K), tile, LIMITS), slow).time_s)

    product_s = 2 * 64 * 64 * 64 / (989.5e12 / 132)
    latency_s = 1350 * 1.25 / 1.98e9
    ended = [0.0] * 4
    for _ in range(400):
        ended.append(max(ended[-4] + latency_s, ended[-1]) + product_s)
    walked = ended[-1] - ended[203]
    assert took(64 * 400) - took(64 * 200) == pytest.approx(walked, rel=0.02)


def test_persistent_blocks_fetch_the_next_slices_while_they_store() -> None:
    """Of ten rounds of short sums nine begin without a wait, and sums leave narrowed."""
    problem = GemmProblem(128 * 132, 2560, 128)
    ending, lasting = GemmTile(128, 256, 64, 3, 8), GemmTile(128, 256, 64, 3, 8, persistent=1)
    times = [seconds(triton_gemm.activity(problem, tile, LIMITS)) for tile in (ending, lasting)]
    assert times[1] < 0.8 * times[0]
