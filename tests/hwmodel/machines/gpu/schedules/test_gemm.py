"""Counts of a tiled GEMM against a walk over its blocks, and laws that they obey."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules.gemm import (
    GemmProblem,
    GemmTile,
    activity,
    conversions,
    dram_bytes,
    fits,
)
from hwmodel.spine.activity import Serial, Work, totals

H200 = limits(device("h200"))
SIZE = st.integers(1, 300)
TILE = st.sampled_from((GemmTile(64, 32, 16), GemmTile(16, 64, 32, split=3), GemmTile(128, 128)))


def walk(problem: GemmProblem, tile: GemmTile) -> dict[str, float]:
    """Every block, split and slice of K in turn: what it multiplies, fetches and stores."""
    found: dict[str, float] = dict.fromkeys(("flop", "port", "slices", "stored", "blocks"), 0)
    m, n, k = int(problem.M), int(problem.N), int(problem.K)
    slices = ceil(ceil(k / int(tile.block_k)) / int(tile.split))
    for row in range(0, m, int(tile.block_m)):
        rows = min(int(tile.block_m), m - row)
        for column in range(0, n, int(tile.block_n)):
            columns = min(int(tile.block_n), n - column)
            for _ in range(int(tile.split)):
                found["blocks"] += 1
                found["stored"] += int(tile.block_m * tile.block_n) * (4 if tile.split > 1 else 2)
                for _ in range(slices):
                    found["slices"] += 1
                    found["flop"] += 2 * int(tile.block_m * tile.block_n * tile.block_k)
                    found["port"] += (rows + columns) * int(tile.block_k) * 2
    return found


@given(m=SIZE, n=SIZE, k=st.integers(1, 8), tile=TILE)
def test_counts_are_those_of_a_walk_over_blocks_and_slices(
    m: int, n: int, k: int, tile: GemmTile
) -> None:
    problem = GemmProblem(m, n, 64 * k)  # rows of A and B begin on lines of 128 bytes
    counts = totals(activity(problem, tile, H200))
    walked = walk(problem, tile)
    assert counts.operations["matrix", "flop", "bf16"] == pytest.approx(walked["flop"])
    assert counts.read["port"] == pytest.approx(walked["port"])
    assert counts.read["pipeline"] == pytest.approx(walked["slices"])
    assert counts.written["port"] == pytest.approx(walked["stored"])
    assert counts.read["copy"] == 0
    assert counts.live["processors"] == pytest.approx(min(132, walked["blocks"]))


@pytest.mark.parametrize("columns", [8, 24, 72, 100 * 8, 64])
def test_a_slice_straddles_two_lines_as_often_as_rows_begin_off_a_line(columns: int) -> None:
    def port(k: int) -> float:
        counts = totals(activity(GemmProblem(256, 256, k), GemmTile(128, 128, k), H200))
        return float(np.asarray(counts.read["port"])) / k

    def off(k: int) -> float:
        return sum((row * 2 * k) % 128 != 0 for row in range(128)) / 128

    assert off(8) == 7 / 8
    more = port(columns) / port(1024) - 1
    assert more == pytest.approx((port(8) / port(1024) - 1) * off(columns) / off(8))
    assert off(columns) / 2 <= more <= off(columns)  # the second line costs no more than the first


def test_a_cluster_reads_its_longer_side_once() -> None:
    problem = GemmProblem(1024, 1024, 512)
    alone = totals(activity(problem, GemmTile(128, 256), H200)).read["l2"]
    pair = totals(activity(problem, GemmTile(128, 256, multicast=2), H200)).read["l2"]
    assert pair / alone == pytest.approx((128 + 256 / 2) / (128 + 256))


def test_a_single_block_has_no_cluster_to_share_with() -> None:
    problem = GemmProblem(100, 100, 512)
    alone = totals(activity(problem, GemmTile(128, 128), H200)).read["l2"]
    assert totals(activity(problem, GemmTile(128, 128, multicast=4), H200)).read["l2"] == alone


def test_narrow_copies_take_more_instructions() -> None:
    problem = GemmProblem(256, 256, 512)
    wide = totals(activity(problem, GemmTile(128, 128, copy_bytes=4), H200)).read["copy"]
    narrow = totals(activity(problem, GemmTile(128, 128, copy_bytes=2), H200)).read["copy"]
    assert wide == 4 * (128 + 128) * 512 * 2 / 4
    assert narrow == 2 * wide


def test_scale_factors_are_read_for_narrow_formats_only() -> None:
    narrow = GemmProblem(64, 64, 64, dtype_a="fp8", dtype_b="fp8")
    assert totals(activity(narrow, GemmTile(64, 64), H200)).slots["scales"] == 1
    assert totals(activity(GemmProblem(64, 64, 64), GemmTile(64, 64), H200)).slots["scales"] == 0


def test_split_sums_pass_through_the_l2_and_cost_a_launch() -> None:
    tree = activity(GemmProblem(64, 64, 512), GemmTile(64, 64, split=4), H200)
    assert isinstance(tree, Serial)
    last = tree.children[-1]
    assert isinstance(last, Work)
    assert last.read["l2"] == last.written["l2"] == 4 * 64 * 64 * 4
    assert last.slots["reduction"] == 1


def test_products_that_fit_the_l2_read_each_operand_once() -> None:
    problem = GemmProblem(1000, 2000, 300)
    read, written = dram_bytes(problem, GemmTile(128, 128), H200)
    assert read == 2 * (1000 * 300 + 2000 * 300)
    assert written == 2 * 1000 * 2000


@given(m=SIZE, n=SIZE, k=SIZE)
def test_a_sweep_counts_what_its_points_count(m: int, n: int, k: int) -> None:
    ms, ns, ks = (np.array([size, 2.0 * size]) for size in (m, n, k))
    tile = GemmTile(64, 128, split=2)
    swept = totals(activity(GemmProblem(ms, ns, ks), tile, H200))
    for point, factor in enumerate((1, 2)):
        alone = totals(activity(GemmProblem(factor * m, factor * n, factor * k), tile, H200))
        for level, size in alone.read.items():
            assert np.broadcast_to(swept.read[level], 2)[point] == pytest.approx(size)


def test_a_tile_larger_than_shared_memory_does_not_fit() -> None:
    problem = GemmProblem(4096, 4096, 4096)
    assert fits(GemmTile(128, 256, 64, stages=4), problem, H200)
    assert not fits(GemmTile(256, 256, 64, stages=4), problem, H200)


def test_a_narrow_element_waits_for_one_lane_once() -> None:
    """H200: 132 processors of 128 lanes, an instruction a clock each, 1.98 GHz: 33.5 T/s."""
    problem = GemmProblem(64, 64, 64, dtype_b="int4")
    flop = conversions(problem, 1e6).operations["vector", "flop", "fp32"]
    rate = device("h200").units["vector"].rate_per_s["fp32"]
    assert flop / rate == pytest.approx(1e6 / (132 * 128 * 1.98e9), rel=0.01)
