"""Iterations of 8 A100 that were measured, from the seconds of each stage's passes.

sail-sg/VocabularyParallelism (arXiv 2411.05288), exp_one_host.csv: GPT of 32 layers, 8 stages, 128
micro-batches, 1F1B; `base` has 4 layers a stage and the whole vocabulary in the first and last
stage, `redis` layers moved away from these. The iteration's ms stand in column 21, and the us of F
and of B of the 8 stages in the first two cells of eight numbers.
"""

import csv
from pathlib import Path

import pytest

from hwmodel.systems.pipelines.named import scheduled
from hwmodel.systems.pipelines.timing import Passes, timed

ROWS = Path(__file__).resolve().parents[5] / "shared/data/vocab_parallel/exp_one_host.csv"

pytestmark = pytest.mark.skipif(not ROWS.is_file(), reason="needs ../shared/data/vocab_parallel")


def read() -> list[tuple[str, float, list[float], list[float]]]:
    """(name, seconds of an iteration, forward, backward seconds by stage) of base and redis."""
    found: list[tuple[str, float, list[float], list[float]]] = []
    with ROWS.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if "_base_" in row[0] or "_redis_" in row[0]:
                eights = [cell.split() for cell in row if len(cell.split()) == 8]
                forward, backward = ([int(us) * 1e-6 for us in cell] for cell in eights[:2])
                found.append((row[0], float(row[20]) * 1e-3, forward, backward))
    return found


def test_iterations_are_simulated_within_two_percent() -> None:
    rows = read()
    assert len(rows) == 16
    for name, measured_s, forward, backward in rows:
        passes = Passes(forward, backward, [0.0] * 8)
        ours = timed(scheduled("1f1b", 8, 128, passes), passes).makespan_s
        assert ours == pytest.approx(measured_s, rel=0.02), name
