"""Iterations of 8 A100 that were measured, from the seconds of each stage's passes.

sail-sg/VocabularyParallelism (arXiv 2411.05288), exp_one_host.csv: GPT of 32 layers, 8 stages, 128
micro-batches, 1F1B; `base` has 4 layers a stage and the whole vocabulary in the first and last
stage, `redis` layers moved away from these; of others each stage has a part of the vocabulary. The
iteration's ms stand in column 21, and the us of F, of B and of the vocabulary's passes of the 8
stages in cells of eight numbers.
"""

import csv
from pathlib import Path

import pytest

from hwmodel.systems.pipelines.named import scheduled
from hwmodel.systems.pipelines.timing import Passes, timed

ROWS = Path(__file__).resolve().parents[5] / "shared/data/vocab_parallel/exp_one_host.csv"

pytestmark = pytest.mark.skipif(not ROWS.is_file(), reason="needs ../shared/data/vocab_parallel")


def read(*methods: str) -> list[tuple[str, float, list[list[float]]]]:
    """(name, seconds of an iteration, seconds by stage of F, B and further passes) of methods."""
    found: list[tuple[str, float, list[list[float]]]] = []
    with ROWS.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if row[0].split("_")[1] in methods:
                eights = [cell.split() for cell in row if len(cell.split()) == 8]
                each = [[int(us) * 1e-6 for us in cell] for cell in eights]
                found.append((row[0], float(row[20]) * 1e-3, each))
    return found


@pytest.mark.parametrize(
    ("methods", "count"), [(("base", "redis"), 16), (("vocab", "synctwice", "interlaced"), 24)]
)
def test_iterations_are_simulated_within_two_percent(methods: tuple[str, ...], count: int) -> None:
    rows = read(*methods)
    assert len(rows) == count
    for name, measured_s, (forward, *others) in rows:
        passes = Passes(forward, [sum(each) for each in zip(*others, strict=True)], [0.0] * 8)
        ours = timed(scheduled("1f1b", 8, 128, passes), passes).makespan_s
        assert ours == pytest.approx(measured_s, rel=0.02), name
