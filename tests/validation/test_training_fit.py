"""Published steps of training: how they are read, and how far predictions are from them."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.systems.training.efficiency import INTERVALS
from hwmodel.validation.training_fit import Published, covered, intervals, published
from hwmodel.verbs.cases import predict_lines

TABLES = Path(__file__).resolve().parents[3] / "shared/data/systems"

MODELS = {
    **{"llama31_405b": "llama-3.1-405b", "llama31_8b": "llama-3.1-8b"},
    **{"LLAMA3_70B": "llama-3.1-70b", "LLAMA3.1_405B": "llama-3.1-405b"},
    **{"DeepSeekV3": "deepseek-v3", "GPT OSS 120B": "gpt-oss-120b", "Kimi_K2": "kimi-k2"},
    **{"Qwen3_30B_a3B": "qwen3-30b-a3b", "Qwen3_235B_a22B": "qwen3-235b-a22b"},
    "Nemotron_3_Nano": "nemotron-3-nano-30b-a3b",
}
DEVICES = ("gb300", "gb200", "b300", "b200", "h200", "h100", "mi355x", "mi350x", "mi325x", "mi300x")
WORDS = {
    **{"n_gpus": "devices", "global_batch_size": "global_batch", "gbs": "global_batch"},
    **{"mbs": "micro_batch", "max_seq": "sequence", "seq": "sequence", "precision": "dtype"},
    **{name: name for name in ("tp", "pp", "vp", "cp", "ep")},
}
"""Columns -> fields."""
SAMPLED = 5
"""One row in so many is asked."""

pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason="needs ../shared/data/systems")


@cache
def rows() -> tuple[Published, ...]:
    return tuple(published(TABLES))


def test_rows_are_read_as_steps_with_their_execution() -> None:
    """The first row of MPT: 70b, 2,048 tokens, 256 H100, 8 x 1 x 256 sequences, all recomputed."""
    first = next(row for row in rows() if row.table == "llm-foundry")
    assert (first.on, first.tokens_per_s) == ("h100", 1035)
    assert first.work.model.config.num_hidden_layers == 80  # pyright: ignore
    assert first.work.parallel["global_batch"] == 2048
    assert (first.work.parallel["zero"], first.work.parallel["recompute"]) == (3, "full")
    assert {row.table for row in rows()} == {
        *("llm-foundry", "torchtitan", "megatron-bridge", "mlperf", "mlperf adapters"),
    }
    assert len(rows()) > 200


@pytest.mark.parametrize(
    ("table", "every", "mean"),
    # Means of all rows here: 5, 8, 7, 7 and 4 %.
    [
        ("llm-foundry", 6, 0.10),
        ("torchtitan", 1, 0.12),
        ("megatron-bridge", 6, 0.12),
        ("mlperf", 2, 0.12),
        ("mlperf adapters", 3, 0.10),
    ],
)
def test_predictions_stand_near_what_was_published(table: str, every: int, mean: float) -> None:
    mine = [row for row in rows() if row.table == table][::every]
    found = [row.predicted().tokens_per_s_per_device / row.tokens_per_s for row in mine]
    assert float(np.mean(np.abs(np.array(found) - 1))) < mean


def test_conditions_of_a_release_are_those_of_its_recipe() -> None:
    """Qwen3 30B on GB200, release 26.08: one graph, tokens beside kernels; 26.02: neither."""
    found = {
        (row.on, row.work.precision, row.work.parallel["micro_batch"]): (
            row.work.parallel["overlap"], row.work.graphs, row.work.parallel["dispatch"],
        )
        for row in rows()
        if row.table == "megatron-bridge" and row.work.model.name == "qwen3-30b-a3b"
    }  # fmt: skip
    assert found["gb200", "fp8", 4] == ("two-batch", True, "once")
    assert found["b300", "fp8", 8] == ("none", None, "once")
    copied = {row.on for row in rows() if row.work.parallel.get("dispatch") == "all-to-all"}
    assert copied == {"h100", "b200", "b300", "gb200", "gb300"}


def test_a_ratio_on_the_curve_is_that_of_the_step() -> None:
    row = next(row for row in rows() if row.table == "mlperf")
    exact = row.predicted(0.72).tokens_per_s_per_device / row.tokens_per_s
    assert row.ratio(0.72) == pytest.approx(exact, rel=0.01)


def test_a_configuration_is_in_one_fold_whatever_the_run() -> None:
    assert {row.fold for row in rows()} == set(range(5))
    again = {row.work.devices: row.fold for row in published(TABLES) if row.table == "mlperf"}
    assert again == {row.work.devices: row.fold for row in rows() if row.table == "mlperf"}


@pytest.mark.thorough
def test_intervals_hold_nine_of_ten_published_steps() -> None:
    """Of every third row, 70 of them, whose share has a standard deviation of 3.6 %."""
    inside: list[bool] = []
    for row in rows()[::3]:
        found = row.predicted()
        seconds = found.step_time_s * found.tokens_per_s_per_device / row.tokens_per_s
        inside.append(found.step_time_low_s <= seconds <= found.step_time_high_s)
    assert 0.83 <= float(np.mean(inside)) <= 0.97


def test_an_interval_is_that_of_rows_of_other_folds() -> None:
    """Ratios of 1 to 21 by row: a tenth lies outside 2 and 20, whatever the fold."""
    mine = [row for row in rows() if row.key[0] == "fsdp"][:21]
    found = list(zip(mine, np.arange(1.0, 22.0).tolist(), strict=True))
    assert intervals(found) == {"fsdp": (2.0, 20.0)}
    assert 0.7 <= covered(found) <= 0.95
    assert set(INTERVALS) == {"fsdp", "megatron"}


def test_memory_of_torchtitans_steps_is_within_a_tenth_but_for_pipelines() -> None:
    """Peaks over ranks, of torch's allocator (H100 of 96 GB, 2024-12; H200, 2025-06)."""
    measured = [row for row in rows() if row.memory_bytes is not None]
    off = {
        (row.work.name, row.on): row.predicted().memory_bytes / row.memory_bytes - 1
        for row in measured
        if row.memory_bytes is not None and row.work.parallel.get("pp", 1) == 1
    }
    assert len(measured) == 5
    assert max(map(abs, off.values())) < 0.10
    (piped,) = (row for row in measured if row.work.parallel.get("pp", 1) > 1)
    assert -0.19 < piped.predicted().memory_bytes / (piped.memory_bytes or 1) - 1 < 0


def lines(table: str) -> Iterator[dict[str, Any]]:
    """What a table says of each step, cells that say nothing left out."""
    with (TABLES / table).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            model = MODELS.get(row.get("benchmark") or row.get("model", ""))
            machine = (row.get("gpu") or row.get("system", "")).lower()
            on = next((name for name in DEVICES if name in machine), None)
            if model is None or on is None or "Pre-Training" not in row.get("task", "Pre-Training"):
                continue
            said = {
                WORDS[n]: _cell(v) for n, v in row.items() if n in WORDS and v not in ("", "n/a")
            }
            yield {"workload": "training", "config": model, "on": on, "sp": True, **said}


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize(
    "table",
    ["mlperf_training_v5/llm_training.csv", "megatron_bridge_training/training_throughput.csv"],
)
def test_rows_answer_as_they_stand(table: str) -> None:
    """Lines that say what the tables say and no more, numbers with a point as they are read."""
    asked = list(lines(table))[::SAMPLED]
    assert len(asked) >= 6
    for line, answer in zip(
        asked, predict_lines([json.dumps(each) for each in asked]), strict=True
    ):
        assert "error" not in answer, (line, answer["error"])
        assert 0.02 < answer["mfu"] < 0.9
        assert answer["tokens_per_s_per_device"] > 0
