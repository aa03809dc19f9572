"""Every schedule against published ones: closed forms, orders of torch, sail-sg and DeepSeek."""

import csv
import time
from pathlib import Path

import pytest

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.spine.execution import CHUNKS
from hwmodel.systems.pipelines.in_order import zb_h1
from hwmodel.systems.pipelines.named import SCHEDULES, layout_of, scheduled
from hwmodel.systems.pipelines.schedule import Passes, Schedule
from hwmodel.systems.pipelines.timing import peaks, timed
from tests.thorough import but

GOLDEN = (
    Path(__file__).resolve().parents[5] / "shared/data/systems/pipeline_schedule_golden/golden.csv"
)
NAMES = {
    "GPipe": "gpipe",
    "1F1B": "1f1b",
    "Interleaved1F1B": "interleaved",
    "InterleavedZeroBubble(torch)": "zb-h1",
    "ZB-H1 (mem p)": "zb-h1",
    "ZB-H2 (mem 2p-1)": "zb-h2",
    "ZB-2p (mem 2p)": "zb-h2",
    "ZB-V (sail-sg)": "zb-v",
    "ZBV(torch)": "zb-v",
    "V-Half": "v-half",
    "V-Min": "v-min",
    "DualPipe": "dualpipe",
    "DualPipeV(torch)": "dualpipe-v",
}


def made(name: str, p: int, m: int, passes: Passes, v: int) -> Schedule:
    if name == "zb-h1" and v > 1:  # torch's, over several chunks a rank
        return zb_h1(p, m, v)
    return scheduled(name, p, m, passes, chunks=v)


@pytest.mark.skipif(not GOLDEN.is_file(), reason="needs ../shared/data/systems")
@pytest.mark.parametrize("published", but(("V-Half",), NAMES))
def test_schedules_are_as_published_where_exact_and_no_worse_elsewhere(published: str) -> None:
    with GOLDEN.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["schedule"] == published]
    assert len(rows) >= 8
    for row in rows:
        p, v, m = (int(row[name]) for name in "pvm")
        passes = Passes.alike(p * v, *(float(row[name]) for name in "FBW"))
        schedule = made(NAMES[published], p, m, passes, v)
        makespan, ones = timed(schedule, passes).makespan_s, [1.0] * (p * v)
        kept = peaks(schedule, ones).max(), peaks(schedule, ones, freed_by_b=1).max()
        wanted = [float(row[f"peak_inflight_chunks_release_at_{kind}"]) for kind in "WB"]
        if row["closed_form_bubble"]:
            assert makespan == pytest.approx(float(row["makespan"]), rel=1e-12)
            if published != "ZB-2p (mem 2p)":
                assert kept[0] == wanted[0]
        assert makespan <= float(row["makespan"])
        assert kept[0] <= wanted[0]
        assert kept[1] <= wanted[1]


@pytest.mark.parametrize(
    ("name", "chunks", "bubble", "kept"),
    [
        # p = 4, m = 8, F = B = 2, W = 1 (of a chunk): what each waits for, (p - 1) times.
        ("gpipe", 1, 3 * 5, 8),
        ("1f1b", 1, 3 * 5, 4),
        ("interleaved", 2, 3 * 5, 4 + 2 * 3 + 1),
        ("zb-h1", 1, 3 * 3, 4),
        ("zb-h2", 1, 3 * 2, 7),
        ("dualpipe-v", 2, 3 * (5 + 3 - 3), 9),
        ("dualpipe", 2, 1 * (5 + 3 - 3), 5),
    ],
)
def test_bubbles_and_micro_batches_kept_of_four_ranks_by_hand(
    name: str, chunks: int, bubble: float, kept: int
) -> None:
    passes = Passes.alike(4 * chunks, 2, 2, 1)
    schedule = scheduled(name, 4, 8, passes, chunks=chunks)
    busy = 8 * (1 if name == "dualpipe" else chunks) * 5
    assert timed(schedule, passes).makespan_s == busy + bubble
    assert peaks(schedule, [1.0] * (4 * chunks)).max() == kept


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_every_pass_stands_once_and_its_passes_follow_each_other(name: str) -> None:
    chunks = CHUNKS[name] or 2
    layout = layout_of(name, 4, chunks)
    stages = len(layout.rank)
    passes = Passes([1 + s % 3 for s in range(stages)], [2.0] * stages, [0.7] * stages, 0.1)
    schedule = scheduled(name, 4, 8, passes, chunks=chunks)
    assert schedule.layout == layout
    assert timed(schedule, passes).makespan_s > 0
    for rank in range(4):
        found = schedule.passes(rank)
        assert len(found) == len(set(found))
        place = {each: at for at, each in enumerate(found)}
        for stage in layout.stages[rank]:
            for micro_batch in range(schedule.each):
                at = [place.get((kind, stage, micro_batch)) for kind in ("F", "B", "W", "BW")]
                forward, backward, weight, both = at
                assert forward is not None
                if both is None:
                    assert backward is not None
                    assert weight is not None
                    assert forward < backward < weight
                else:
                    assert forward < both
                    assert backward is weight is None


@pytest.mark.parametrize(("name", "waits_s"), [("1f1b", 63 * 3), ("zb-v", 31)])
def test_a_thousand_micro_batches_of_64_stages_take_less_than_a_second(
    name: str, waits_s: float
) -> None:
    ranks = 32 if name == "zb-v" else 64
    passes = Passes.alike(64, 1, 1, 1)
    begin = time.process_time()
    found = timed(scheduled(name, ranks, 1024, passes), passes)
    assert time.process_time() - begin < 1.5  # 0.04 and 0.3 s here, alone
    assert found.makespan_s == 1024 * 64 // ranks * 3 + waits_s


def test_zb_v_of_unequal_passes_waits_less_than_1f1b_in_its_memory() -> None:
    """Where passes come first as they may, ranks wait for a fifth of their work."""
    passes = Passes([1.0] * 16, [1.25] * 16, [0.75] * 16, transfer_s=0.125)
    schedule = scheduled("zb-v", 8, 64, passes)
    assert timed(schedule, passes).makespan_s < 1.06 * 2 * 64 * 3
    assert peaks(schedule, [1.0] * 16).max() <= 16


def test_names_and_counts_that_no_schedule_has_are_refused() -> None:
    passes = Passes.alike(4, 1, 1, 1)
    with pytest.raises(UnknownNameError, match="1f1b"):
        scheduled("1b1f", 4, 8, passes)
    with pytest.raises(InputError, match="multiple of 4"):
        scheduled("interleaved", 4, 6, passes, chunks=2)
    with pytest.raises(InputError, match="8 micro-batches or more"):
        scheduled("dualpipe-v", 4, 7, passes)


def test_v_half_of_unequal_passes_takes_a_block_whose_ways_leave_them_their_time() -> None:
    """The first blocks took 1.34 and 1.44 times their work; none keeps more than p + 2."""
    for ranks, count, least in ((8, 64, 1.25), (16, 64, 1.35)):
        passes = Passes([1.0] * 2 * ranks, [1.25] * 2 * ranks, [0.75] * 2 * ranks, 0.125)
        schedule = scheduled("v-half", ranks, count, passes)
        assert timed(schedule, passes).makespan_s < least * 6 * count
        assert peaks(schedule, [1.0] * 2 * ranks).max() <= ranks + 2
