"""Counts of fused attention against a walk over blocks and steps, and laws that they obey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.rates import PRIVATE
from hwmodel.machines.gpu.schedules.attention import (
    AttentionProblem,
    AttentionTile,
    activity,
    steps,
)
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Rates, fold, totals

H200 = limits(device("h200"))
TILE = AttentionTile(128, 64, resident=2)
TILES = st.sampled_from((TILE, AttentionTile(64, 64), AttentionTile(128, 128, in_order=1)))


def problem(**changes: object) -> AttentionProblem:
    """Eight heads over two KV heads, with sizes that no tile divides."""
    sizes: dict[str, object] = {"batch": 3, "heads": 8, "kv_heads": 2, "queries": 300, "keys": 300}
    return AttentionProblem(**(sizes | {"head_dim": 64, "value_dim": 64} | changes))  # type: ignore[arg-type]


def walk(sizes: AttentionProblem, tile: AttentionTile) -> list[tuple[int, int]]:
    """(steps, masked steps) of every block of rows of one head, pair by pair."""
    found: list[tuple[int, int]] = []
    queries, keys = int(sizes.queries), int(sizes.keys)
    rows, wide = int(tile.block_q), int(tile.block_k)
    for first in range(0, queries, rows):
        visited = masked = 0
        for start in range(0, keys, wide):
            last = first + rows - 1 + keys - queries
            kept = start <= last if sizes.causal else True
            visited += kept
            crossed = sizes.causal and start + wide - 1 > first + keys - queries
            masked += kept and (crossed or start + wide > keys)
        found.append((visited, masked))
    return found


@given(queries=st.integers(2, 700), more=st.integers(0, 900), causal=st.booleans(), tile=TILES)
def test_steps_are_those_of_a_walk_over_blocks(
    queries: int, more: int, causal: bool, tile: AttentionTile
) -> None:
    sizes = problem(queries=queries, keys=queries + more, causal=causal)
    tile = replace(tile, packed=0)
    walked = [visited for visited, _ in walk(sizes, tile)]
    got = steps(sizes, tile)
    assert got.mean == pytest.approx(sum(walked) / len(walked))
    assert got.most == max(walked)


@given(queries=st.integers(130, 900), more=st.integers(0, 300))
def test_masked_steps_bound_those_that_a_mask_crosses(queries: int, more: int) -> None:
    sizes = problem(queries=queries, keys=queries + more, causal=True)
    walked = walk(sizes, TILE)
    masked = sum(crossed for _, crossed in walked) / len(walked)
    assert masked <= float(steps(sizes, TILE).masked) + 1
    assert steps(problem(queries=256, keys=256, causal=True), TILE).masked == 2
    assert steps(problem(queries=256, keys=256), TILE).masked == 0
    assert steps(problem(queries=256, keys=250), TILE).masked == 1


@given(batch=st.integers(1, 90), split=st.integers(1, 6), causal=st.booleans())
def test_counts_do_not_depend_on_how_many_blocks_share_a_processor(
    batch: int, split: int, causal: bool
) -> None:
    sizes = problem(batch=batch, queries=512, keys=512, causal=causal)
    tile = replace(TILE, split=split, packed=0)
    flop = totals(activity(sizes, tile, H200)).operations["matrix", "flop", "bf16"]
    walked = sum(visited for visited, _ in walk(sizes, tile))
    assert flop == pytest.approx(batch * 8 * walked * 2 * 128 * 64 * (64 + 64))


def test_a_group_shares_a_block_only_where_it_is_packed() -> None:
    sizes = problem(queries=1)
    together = totals(activity(sizes, replace(TILE, packed=1), H200))
    apart = totals(activity(sizes, replace(TILE, packed=0), H200))
    assert apart.read["l2"] == 4 * together.read["l2"]
    assert apart.read["dram"] == together.read["dram"]


def test_dram_reads_queries_and_keys_once() -> None:
    counts = totals(activity(problem(), TILE, H200))
    assert counts.read["dram"] == 3 * 300 * 64 * 2 * (8 + 2 + 2)
    assert counts.written["dram"] == 3 * 300 * 64 * 2 * 8


def test_partial_sums_pass_the_l2_only_when_keys_are_split() -> None:
    sizes = problem(queries=1, keys=4096)
    whole, halves = (totals(activity(sizes, replace(TILE, split=split), H200)) for split in (1, 2))
    assert whole.written.get("l2", 0) == 0
    assert halves.written["l2"] == 2 * 3 * 8 * (64 + 1) * 4
    assert (whole.slots["reduction"], halves.slots["split"]) == (0, 2)


def matrix_time(found: Activity) -> float:
    """Time when the matrix unit alone takes any: 1 FLOP a second."""
    free: dict[str, Amount] = dict.fromkeys(("dram", "l2", "shared", "port", "pipeline"), np.inf)
    slots: dict[str, tuple[str, Amount]] = dict.fromkeys(
        ("launch", "fill", "step", "reduction", "split"), ("launch", 0.0)
    )
    operations: dict[Operation, Amount] = {
        ("matrix", "flop", "bf16"): 1.0,
        ("exp", "exp", "fp32"): np.inf,
        ("vector", "flop", "fp32"): np.inf,
    }
    rates = Rates(operations=operations, read=free, written=free, slots=slots, private=PRIVATE)
    return float(fold(found, rates).time_s)


@pytest.mark.parametrize(
    ("blocks", "rounds"), [(1, 1), (132, 1), (133, 2), (264, 2), (265, 3), (528, 4), (600, 5)]
)
def test_blocks_left_over_have_a_processor_to_themselves(blocks: int, rounds: int) -> None:
    sizes = problem(batch=blocks, heads=1, kv_heads=1, queries=128, keys=640)
    block = 2 * 128 * 640 * (64 + 64) * 132
    assert matrix_time(activity(sizes, TILE, H200)) == pytest.approx(rounds * block)


def list_scheduled(sizes: list[int], slots: int) -> float:
    """When the last of `sizes`, each given to the slot that is free first, ends."""
    free = [0.0] * slots
    for size in sizes:
        slot = free.index(min(free))
        free[slot] += size
    return max(free)


@pytest.mark.parametrize("heads", [32, 40, 100])
@pytest.mark.parametrize("in_order", [0, 1])
def test_causal_blocks_end_as_list_scheduling_has_them_end(heads: int, in_order: int) -> None:
    sizes = problem(batch=1, heads=heads, kv_heads=heads, queries=2048, keys=2048, causal=True)
    tile = AttentionTile(128, 128, in_order=in_order, packed=0)
    each = list(range(1, 17)) if in_order else list(range(16, 0, -1))
    order = each * heads if in_order else sorted(each * heads, reverse=True)
    step = 2 * 128 * 128 * (64 + 64) * 132
    expected = list_scheduled(order, 132) * step
    assert matrix_time(activity(sizes, tile, H200)) == pytest.approx(expected, rel=0.08)


def test_a_sweep_counts_what_its_points_count() -> None:
    keys = np.array([100.0, 777.0, 5000.0])
    swept = totals(activity(problem(queries=100, keys=keys, causal=True), TILE, H200))
    for index, each in enumerate(keys):
        one = totals(activity(problem(queries=100, keys=int(each), causal=True), TILE, H200))
        for level, moved in one.read.items():
            assert np.broadcast_to(swept.read[level], 3)[index] == pytest.approx(moved)


@pytest.mark.parametrize(
    ("heads", "busy"), [(1, 1), (100, 100), (132, 132), (264, 132), (800, 132)]
)
def test_a_block_keeps_one_processor_live_until_all_are(heads: int, busy: int) -> None:
    """A block of 128 rows a head, two to a processor: with 264 no more processors than with 132."""
    sizes = problem(batch=1, heads=heads, kv_heads=heads, queries=128, keys=640)
    assert totals(activity(sizes, TILE, H200)).live["processors"] == pytest.approx(busy)


def test_a_blocks_ends_are_its_queries_its_output_and_the_first_keys_of_its_head() -> None:
    """4 query heads share a KV head: its first 64 keys and values come once for 12 blocks."""
    sizes = problem(batch=3, queries=384, keys=640)
    counts = totals(activity(sizes, TILE, H200))
    rows = 3 * 8 * 384 * 64 * 2
    assert counts.read["port"] == pytest.approx(rows + 3 * 2 * 64 * (64 + 64) * 2)
    assert counts.written["port"] == pytest.approx(rows)


def test_keys_that_exceed_the_l2_are_read_again_by_each_wave_of_a_heads_blocks() -> None:
    """8 blocks of rows of one head on 2 slots: 4 waves. An L2 of half of K and V forgets half."""
    sizes = problem(batch=1, heads=1, kv_heads=1, queries=1024, keys=4096)
    keys, queries = 4096 * (64 + 64) * 2, 1024 * 64 * 2
    tile = replace(TILE, resident=1)
    small = replace(H200, processors=2, capacity_bytes={"l2": keys / 2, "dram": 1e12})
    large = replace(small, capacity_bytes={"l2": keys, "dram": 1e12})
    found = [totals(activity(sizes, tile, each)).read["dram"] for each in (small, large)]
    assert found == [queries + keys * (1 + 3 / 2), queries + keys]


@pytest.mark.parametrize("window", [64, 100, 1000])
def test_a_window_bounds_the_keys_that_a_block_walks(window: int) -> None:
    """A block of 128 rows sees 127 + window keys at most, wherever they begin."""
    sizes = problem(batch=1, queries=4096, keys=4096, causal=True, window=window)
    found = steps(sizes, TILE)
    walked = [
        len(range(max(0, first - window + 1) // 64, (first + 127) // 64 + 1))
        for first in range(0, 4096, 128)
    ]
    assert sum(walked) / len(walked) <= float(found.mean) + 1
    assert max(walked) <= float(found.most) + 1
    assert float(found.mean) <= float(found.most) <= -(-(window + 128) // 64)


def test_products_in_fp32_run_on_the_lanes_where_no_matrix_unit_knows_it() -> None:
    half, single = (
        totals(activity(problem(dtype=kind, kv_dtype=kind), TILE, H200)).operations
        for kind in ("bf16", "fp32")
    )
    lanes = ("vector", "flop", "fp32")
    assert ("matrix", "flop", "fp32") not in single
    assert single[lanes] == half[lanes] + half["matrix", "flop", "bf16"]
