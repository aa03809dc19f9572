"""torch's scatters and gathers: bytes and additions, counted by hand; launches as seen."""

import csv

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules.torch_scatter import (
    AT_ONCE,
    GATHER,
    SCATTER,
    GatherProblem,
    ScatterProblem,
    gather,
    nearest_power,
    scatter,
)
from hwmodel.spine.activity import totals
from hwmodel.validation.rows import DATA

ROOM = limits(device("h200"))


def test_a_scatter_reads_sources_and_places_and_adds_every_number() -> None:
    problem = ScatterProblem(
        sources=1000, cols=16, targets=1e9, touched=40, hottest=100, item_bytes=4
    )
    counts = totals(scatter(problem, SCATTER[0], ROOM))
    assert counts.read["dram"] == 1000 * (64 + 8) + 40 * 64
    assert counts.written["dram"] == 40 * 64
    assert counts.atomics == pytest.approx((16_000, 100), rel=1e-3)


def test_few_targets_share_few_slices_of_the_l2() -> None:
    """Measured: 64 addresses side by side take 9.7 billion a second, spread ones 600."""
    few = ScatterProblem(
        sources=10_000, cols=64, targets=1, touched=1, hottest=10_000, item_bytes=4
    )
    crowded, hottest = totals(scatter(few, SCATTER[0], ROOM)).atomics
    assert 600 / (crowded / 640_000) == pytest.approx(9.7, rel=0.05)
    assert hottest == pytest.approx(10_000 * 64 / AT_ONCE)


@pytest.mark.parametrize(
    ("sources", "targets", "hottest", "measured_s"),
    [(4_000_000, 11, 727_110, 0.484), (77_454, 3, 31_089, 0.0147), (63_306, 9, 7_144, 0.00149)],
)
def test_the_last_of_an_odd_number_of_halves_compares_and_swaps(
    sources: int, targets: int, hottest: int, measured_s: float
) -> None:
    """Measured at 0.57 billion additions a second at one address; an even number takes no such."""
    odd, even = (
        ScatterProblem(sources, 1, count, count, hottest, item_bytes=2)
        for count in (targets, targets + 1)
    )
    took, plain = (totals(scatter(p, SCATTER[0], ROOM)).atomics[1] / 0.57e9 for p in (odd, even))
    assert 0.6 < took / measured_s < 1.7
    assert plain < measured_s / 10


def test_a_bag_passes_the_l2_row_by_row_and_the_dram_once() -> None:
    problem = GatherProblem(outputs=10, cols=32, bag=8, read_bytes=12_345, item_bytes=2)
    counts = totals(gather(problem, GATHER[0], ROOM))
    assert counts.read == {"dram": 12_345, "l2": 10 * 32 * 8 * 2}
    assert counts.written["dram"] == 640


def test_the_block_that_adds_losses_has_as_many_threads_as_was_seen() -> None:
    """Every launch of a cross-entropy's second kernel: one block, of 32 to 512 threads."""
    with (DATA / "h200" / "2026-11-29-u" / "launches.csv").open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["family"] == "cross_entropy"]
    seen = {(float(r["rows"]), int(r["threads"])) for r in rows if r["grid"] == "1x1x1"}
    found = {rows: int(np.clip(nearest_power(rows / 16), 32, 1024)) for rows, _ in seen}
    assert len(seen) > 30
    assert {(rows, found[rows]) for rows, _ in seen if rows > 1} == {s for s in seen if s[0] > 1}
