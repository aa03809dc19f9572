"""A row kernel's time is that of a walk block by block; its bytes are those of its tensors."""

import heapq
from dataclasses import replace

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import RowProblem, RowTile, activity, missed
from hwmodel.spine.activity import Activity, Rates, fold, totals

LIMITS = Limits(
    processors=3,
    capacity_bytes={"l2": 1_000_000, "dram": 10**12},
    max_threads=2048,
    max_blocks=32,
    registers=65536,
    shared_per_block_bytes=232_448,
)
NORM = RowProblem(
    rows=20,
    cols=100,
    read_bytes=8_000,
    written_bytes=4_000,
    row_bytes=400,
    passes=2,
    form="norm",
    item_bytes=4,
)


def cycles(kernel: Activity) -> float:
    """Time of an activity on a machine where only a block's cycles, of a second each, take time."""
    free = {"dram": 1e30, "l2": 1e30, "engine": 1e30}
    slots = {name: ("launch", 0.0) for name in ("launch", "fill", "queue")}
    rates = Rates(
        operations={("issue", "slot", "warp"): np.inf},
        read=free,
        written=free,
        slots=slots | {"cycle": ("vector", 1.0)},
        private=frozenset({"vector"}),
    )
    return float(np.asarray(fold(kernel, rates).time_s))


def walked(blocks: int, slots: int, chain: float, wait: float) -> float:
    """Blocks handed to slots as they fall free; every one but a slot's first waits for its load."""
    free_at = [(0.0, 0)] * slots
    for _ in range(blocks):
        at, done = heapq.heappop(free_at)
        heapq.heappush(free_at, (at + chain + (wait if done else 0), done + 1))
    return max(at for at, _ in free_at)


@pytest.mark.parametrize("rows", [1, 3, 5, 6, 7, 20, 61])
def test_waves_of_lone_blocks_take_what_a_walk_takes(rows: int) -> None:
    tile = RowTile(elements=100, resident=2, chain=50, wait=7)
    kernel = activity(replace(NORM, rows=rows), tile, LIMITS)
    assert np.isclose(cycles(kernel), walked(rows, 6, 50, 7))


def test_a_partial_block_is_late_once_whatever_the_waves() -> None:
    whole = RowTile(elements=100, resident=2, chain=50)
    for rows in (1, 6, 7, 61):
        problem = replace(NORM, rows=rows)
        late = cycles(activity(problem, replace(whole, last=30), LIMITS))
        assert np.isclose(late, cycles(activity(problem, whole, LIMITS)) + 30)


@pytest.mark.parametrize("rows", [1, 3, 4, 6, 7, 20, 61])
def test_blocks_that_fill_the_schedulers_take_the_busiest_processors_sum(rows: int) -> None:
    tile = RowTile(elements=100, resident=2, chain=0, issue=30)
    busiest = max(len(range(processor, rows, 3)) for processor in range(3))
    time = cycles(activity(replace(NORM, rows=rows), tile, LIMITS))
    assert np.isclose(time, 30 * busiest)


def test_neighbours_hide_each_others_latency_until_they_fill_the_schedulers() -> None:
    alone = RowTile(elements=100, resident=1, chain=50, issue=20)
    times = [
        cycles(activity(replace(NORM, rows=120), replace(alone, resident=k), LIMITS))
        for k in (1, 2, 4, 8)
    ]
    assert times == [2000, 1000, 800, 800]


def test_every_tensor_passes_the_dram_once_while_rows_fit_the_l2() -> None:
    work = totals(activity(NORM, RowTile(elements=100, rereads=1), LIMITS))
    assert (work.read["dram"], work.written["dram"]) == (8_000, 4_000)
    assert (work.read["l2"], work.written["l2"]) == (16_000, 4_000)


def test_rows_that_the_l2_lost_are_read_again_from_the_dram() -> None:
    long = replace(NORM, rows=300, row_bytes=10**6, read_bytes=3 * 10**8)
    work = totals(activity(long, RowTile(elements=250_000, resident=2, rereads=2), LIMITS))
    assert work.read["dram"] == 3 * 3 * 10**8


def test_the_l2_loses_rows_between_a_third_of_it_and_two_thirds() -> None:
    """Of 1 MB in rows of 1 kB: 300 are kept, 700 lost, and as many more as there are between."""
    per_row = replace(NORM, row_bytes=1000)
    rows = np.array([10, 300, 440, 490, 540, 700, 5000])
    found = np.asarray(missed(rows, per_row, LIMITS))
    assert list(found[[0, 1, 5, 6]]) == [0, 0, 1, 1]
    assert np.allclose(found[2:5], [0.35, 0.5, 0.65], atol=0.02)


def test_a_second_kernel_reads_again_and_does_all_writing() -> None:
    once = RowTile(elements=100, chain=50, resident=2)
    twice = replace(once, second=1, second_resident=4, second_chain=10)
    one, two = activity(NORM, once, LIMITS), activity(NORM, twice, LIMITS)
    assert totals(two).written == totals(one).written
    assert totals(two).read["l2"] == 2 * totals(one).read["l2"]
    assert totals(two).slots["launch"] == 2
    assert cycles(two) == walked(20, 6, 50, 0) + walked(20, 12, 10, 0)


def test_a_slow_copy_moves_its_bytes_through_the_engine_too() -> None:
    copy = RowProblem(rows=4, cols=64, read_bytes=512, written_bytes=512, form="copy")
    work = totals(activity(copy, RowTile(elements=64, engine=1), LIMITS))
    assert work.read["engine"] == work.written["engine"] == work.read["dram"] == 512


def test_elements_of_one_row_or_of_many_are_as_many() -> None:
    """Row kernels of an H200 were measured with rows of up to 942,080 elements."""
    for sizes in ({"i": 1, "j": 4_000_000}, {"i": 4_000_000, "j": 1}):
        flat = hw.parse("Y[i, j] = exp(X[i, j])", sizes=sizes, dtypes={"*": "bf16"})
        assert hw.predict(flat, on="h200").warnings == ()
