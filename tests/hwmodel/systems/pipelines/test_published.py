"""Iterations of 8 A100 that were measured, from the seconds of each stage's passes.

sail-sg/VocabularyParallelism (arXiv 2411.05288), exp_one_host.csv: GPT of 32 layers, 8 stages, 128
micro-batches, 1F1B; `base` has 4 layers a stage and the whole vocabulary in the first and last
stage, `redis` layers moved away from these; of others each stage has a part of the vocabulary. The
iteration's ms stand in column 21, and the us of F, of B and of the vocabulary's passes of the 8
stages in cells of eight numbers.
"""

import csv
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.systems.pipelines.named import scheduled
from hwmodel.systems.pipelines.schedule import Passes
from hwmodel.systems.pipelines.timing import timed

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


def test_flops_of_a_step_are_those_of_the_rows_to_the_digit() -> None:
    """Eight cells are FLOPs of the stages' forward passes, the next eight of the backward ones.

    One stage of one row has lost digits to a spreadsheet (1.40518E+15).
    """
    whole = 0
    with ROWS.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if row[0].split("_")[1] not in ("base", "redis"):
                continue
            sequence, width, vocabulary, layers, inner, heads = (int(row[n]) for n in range(2, 8))
            sizes = {"n_positions": sequence, "n_embd": width, "n_inner": inner}
            sizes |= {"vocab_size": vocabulary, "n_layer": layers, "n_head": heads}
            config = {"model_type": "gpt2", **sizes}
            step = hw.model(config).training(sequence, int(row[1]), pp=8)
            found: Any = hw.predict(step, on="a100")
            ours = found.model_flops
            cells = [c for c in row if (c.isdigit() and len(c) == 15) or "E+15" in c]
            forward = cells[:8]
            theirs = 3 * sum(int(float(cell)) for cell in forward)
            if all(cell.isdigit() for cell in forward):
                assert ours == theirs, row[0]
                whole += 1
            else:
                assert ours == pytest.approx(theirs, rel=1e-6), row[0]
    assert whole == 15
