"""Fused kernels are found by structure, whatever the names, and cost what their blocks do."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads import recurrence
from hwmodel.hardware.hardware import limits as limits_of
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.schedules.cluster_sums import SumTile
from hwmodel.machines.gpu.schedules.cluster_sums import activity as sums_activity
from hwmodel.machines.gpu.schedules.grouped_gradients import EACH, MENU, GradientTile
from hwmodel.machines.gpu.schedules.grouped_gradients import activity as gradients_activity
from hwmodel.machines.gpu.schedules.torch_scatter import ScatterProblem
from hwmodel.machines.gpu.schedules.triton_scan import ChunkTile
from hwmodel.machines.gpu.schedules.triton_scan import activity as scan_activity
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.activity import totals

LIMITS = limits_of(hw.device("h200"))
OWN = {
    "nearest": hw.workloads.kmeans(4096, 256, 64, dtype="fp16"),
    "monarch": hw.workloads.fft_convolution(4, 8, 1024),
    "gradients": hw.workloads.rational_backward(1024, 768, 8),
    "scan": hw.workloads.power_attention(1, 256, 4, 16, 64),
    "rows": hw.workloads.norm_quantise(512, 1024),
}


@pytest.mark.parametrize("schedule", OWN)
def test_our_library_runs_each_as_one_kernel(schedule: str) -> None:
    (call,) = lower(OWN[schedule], "triton")
    assert call.family == f"{schedule}:triton"


def test_a_product_whose_most_is_kept_is_found_under_any_names() -> None:
    text = "P[u, v] = sum(e) LEFT[u, e] * RIGHT[v, e]\nBEST[u] = argmax(v) P[u, v]"
    cascade = parse(text, sizes={"u": 100, "v": 7, "e": 32}, dtypes={"*": "bf16"}, name="any")
    (call,) = lower(cascade, "triton")
    assert (call.problem.rows, call.problem.others, call.problem.length) == (100, 7, 32)


def test_a_product_that_is_returned_as_well_is_no_such_kernel() -> None:
    text = """
    output P, BEST
    P[u, v] = sum(e) LEFT[u, e] * RIGHT[v, e]
    BEST[u] = max(v) P[u, v]
    """
    cascade = parse(text, sizes={"u": 100, "v": 40, "e": 32}, dtypes={"*": "bf16"}, name="any")
    assert lower(cascade, "triton")[0].schedule == "gemm"


def test_torch_multiplies_squared_distances_out_and_keeps_them_in_memory() -> None:
    calls = lower(hw.workloads.kmeans(1 << 16, 4096, 128))
    product = next(call for call in calls if call.schedule == "gemm")
    assert (product.problem.M, product.problem.N, product.problem.K) == (1 << 16, 4096, 128)
    work = hw.workloads.kmeans(1 << 16, 4096, 128)
    distances = 4.0 * (1 << 16) * 4096
    unfused = hw.predict(work, "h200").time_s
    assert unfused > 3 * distances / hw.device("h200").memory("dram").bandwidth_bytes_per_s
    fused = hw.predict(
        hw.workloads.kmeans(1 << 16, 4096, 128, dtype="fp16"), "h200", kernel="triton"
    )
    assert fused.time_s < unfused / 4


def test_nothing_is_faster_than_its_bound() -> None:
    """Distances that are multiplied out take a third of the operations that squares would."""
    works = (hw.workloads.kmeans(1 << 20, 8192, 128, dtype="fp16"), *OWN.values())
    for work in works:
        estimate = hw.predict(work, "h200", kernel="triton")
        assert estimate.bound_s < estimate.time_s
    assert hw.predict(works[0], "h200").bound_s == pytest.approx(2 * 2**40 / 989e12, rel=0.01)


def test_a_filter_that_is_not_undone_is_no_convolution() -> None:
    whole = OWN["monarch"]
    kept = [einsum for einsum in whole.einsums if einsum.name.startswith(("C", "T"))]
    assert len(kept) < len(whole.einsums)
    assert [call.schedule for call in lower(whole)].count("gemm") == 16  # torch: products apart


def test_longer_signals_cross_the_dram_six_times_and_not_twice() -> None:
    short, long = (
        lower(hw.workloads.fft_convolution(2, 64, n), "triton")[0] for n in (4096, 32768)
    )
    assert (short.problem.outer, long.problem.outer) == (1, 16)
    planes = 2 * 64 * 32768 * 2
    moved = totals(long.activity(long.problem, _tile(long), LIMITS)).written["dram"]
    assert moved == 3 * planes
    assert totals(short.activity(short.problem, _tile(short), LIMITS)).written["dram"] == planes / 8


def _tile(call: Any) -> Any:
    return call.resolve(call.menu[0], call.problem, LIMITS)


def test_atomics_of_every_element_meet_at_a_groups_numbers() -> None:
    """10 numbers of each element; 32 addresses of a line, as many at each as a group has elements.

    Measured on an H200: 91 ms for 12,608 rows of 768, 1,000 times what blocks take.
    """
    (call,) = lower(OWN["gradients"], "triton")
    each = totals(gradients_activity(call.problem, EACH, LIMITS)).atomics
    total, met = each
    assert total == 1024 * 768 * 10
    assert met == pytest.approx(1.34 * 32 * 1024 * 96)  # those of a line take turns, a third slower
    assert totals(gradients_activity(call.problem, MENU[0], LIMITS)).atomics == (80, 1)


def test_steps_larger_than_registers_cross_the_dram_and_few_rows_at_a_time_do_not() -> None:
    """1,024 rows of 96 columns (128 with padding) at once leave 13.4 registers of each element.

    Measured on an H200: 512 rows at once take 11.1 ms of 201,728 rows, 64 rows 1.4.
    """
    (call,) = lower(OWN["gradients"], "triton")
    least = call.problem.read_bytes + call.problem.written_bytes

    def moved(tile: GradientTile) -> float:
        work = totals(gradients_activity(call.problem, tile, LIMITS))
        return float(work.read["dram"] + work.written["dram"] - least)

    assert [moved(tile) for tile in (*MENU, GradientTile(64, 64, 4))] == [0, 0, 0, 0]
    whole = moved(GradientTile(1024, 1024, 4))
    assert whole == pytest.approx(2 * 4 * 13.4 * 1024 * 128 * 8)  # two ways, groups of 128 columns


def test_sorted_points_add_once_for_each_run_of_a_block() -> None:
    problem = ScatterProblem(
        sources=64_000, cols=16, targets=10, touched=10, hottest=6_400, item_bytes=2
    )
    alone, runs = (
        totals(sums_activity(problem, SumTile(64, 4, ordered), LIMITS)).atomics[0]
        for ordered in (0, 1)
    )
    assert alone / runs == pytest.approx(64_000 / 1_010, rel=0.01)
    assert alone > 96 * 32 * 6_400  # requests of the fullest cluster alone, were all slices so full


def test_heads_that_are_few_leave_processors_idle() -> None:
    """Twice the heads take no longer while half of 132 processors have none."""
    one, two = (
        hw.predict(recurrence.chunked(1, 4096, h, h, 64, 64), "h200", kernel="triton").time_s
        for h in (16, 32)
    )
    assert two < 1.05 * one


def test_a_delta_rule_solves_a_system_more_than_a_scan() -> None:
    """The same inputs and a state of the same size: more products, and rows that wait."""
    taken: list[float] = []
    for rule in ("linear", "delta"):
        work = recurrence.chunked(4, 8192, 32, 32, 128, 128, rule=rule)
        (part,) = hw.predict(work, on="h200", kernel="triton").parts
        assert part.family == "scan:triton"
        taken.append(float(part.time_s))
    assert 1.2 < taken[1] / taken[0] < 4


@pytest.mark.parametrize(("chunk", "products"), [(16, 2), (32, 3), (64, 5)])
def test_a_chunks_system_takes_few_products(chunk: int, products: int) -> None:
    """Of 64 tokens: B and its square, and three factors on 64 columns; counted by hand."""
    (call,) = lower(recurrence.chunked(1, 64, 1, 1, 64, chunk, rule="delta"), kernel="triton")
    tile = ChunkTile(chunk, chunk, 4, 1)
    found = totals(scan_activity(call.problem, tile, LIMITS)).operations
    assert found["matrix", "flop", "tf32"] == 64 / chunk * products * 2 * chunk**3


def test_a_recurrence_of_single_channels_is_refused_with_who_runs_it() -> None:
    work = recurrence.scanned(1, 4096, 2048, key_dim=16)
    with pytest.raises(CoverageError, match="multiply scores and states; ask for kernel 'recurr"):
        hw.predict(work, on="h200", kernel="triton")
