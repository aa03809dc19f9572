"""Steps of an engine are sorted into rows: runs of decodes, and windows that carry prompts."""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwmodel.validation.measure import vllm_engine
from hwmodel.validation.measure.vllm_engine import MOST_TOKENS, RUN, Run

STEP_S, DECODE_S, PROMPT_S = 1e-3, 1e-4, 1e-6
"""Seconds of a step of the engine below: of itself, for each decode, for each prompt token."""


class Board:
    """A board that always draws 300 W."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine

    def energy_j(self) -> float:
        """Joules so far."""
        return 300.0 * self.engine.now_s


class Engine:
    """Admits prompts in order within a budget of tokens a step, decodes running ones first."""

    def __init__(self, run: Run) -> None:
        self.run, self.now_s = run, 0.0
        self.requests: list[dict[str, int]] = []

    def seconds(self) -> float:
        """Its clock."""
        return self.now_s

    def add(self, tokens: int, outputs: int) -> None:
        """A request."""
        self.requests.append({"prompt": tokens, "outputs": outputs, "seen": 0, "made": 0})

    def has_unfinished_requests(self) -> bool:
        """Whether any is left."""
        return any(r["made"] < r["outputs"] for r in self.requests)

    def profile(self, about: dict[str, Any]) -> None:
        """The last step ran under a profiler, which is no timed row."""
        self.run.log[-1] |= about | {"profiled": 1}

    def step(self) -> None:
        """One step, logged as the scheduler's calls are."""
        names = ("decodes", "decode_keys", "prompts", "prompt_tokens", "prompt_keys")
        step: dict[str, Any] = dict.fromkeys(names, 0) | {"t": self.now_s}
        budget = MOST_TOKENS
        for r in self.requests:
            if r["made"] >= r["outputs"] or not budget:
                continue
            if r["seen"] < r["prompt"]:
                taken = min(budget, r["prompt"] - r["seen"])
                r["seen"] += taken
                r["made"] += r["seen"] == r["prompt"]
                step["prompts"] += 1
                step["prompt_tokens"] += taken
                step["prompt_keys"] += r["seen"]
            else:
                taken = 1
                r["seen"] += 1
                r["made"] += 1
                step["decodes"] += 1
                step["decode_keys"] += r["seen"]
            budget -= taken
        self.now_s += STEP_S + DECODE_S * step["decodes"] + PROMPT_S * step["prompt_tokens"]
        self.run.log.append(step)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Rows of one series: 64 requests of 2,048 tokens."""
    options = argparse.Namespace(
        model="llama-3.1-8b", out=tmp_path, quantization=None, tensor_parallel=1, seed=1, seconds=9
    )
    run: Any = Run(options)
    run.engine = Engine(run)
    run.board, run.longest = Board(run.engine), 17000
    clock = SimpleNamespace(perf_counter=run.engine.seconds)
    monkeypatch.setattr(vllm_engine, "time", clock)
    monkeypatch.setattr(run, "add", run.engine.add)
    monkeypatch.setattr(run, "profile_steps", run.engine.profile)
    run.decode_series(2048, 64)
    run.close()
    lines = (tmp_path / "llama-3.1-8b.steps.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_one_prefill_serves_every_batch(rows: list[dict[str, Any]]) -> None:
    decoded = [row for row in rows if row["phase"] == "decode"]
    assert [row["batch"] for row in decoded] == [64, 32, 16, 8, 4, 2, 1]
    for row in decoded:
        assert row["time_s"] == pytest.approx(STEP_S + DECODE_S * row["batch"])
        assert RUN / 2 < row["steps"] < RUN


def test_contexts_grow_by_a_key_a_step(rows: list[dict[str, Any]]) -> None:
    contexts = [row["context"] for row in rows if row["phase"] == "decode"]
    assert 2048 < contexts[0] < 2048 + RUN
    for before, after in pairwise(contexts):
        assert after - before == pytest.approx(RUN, abs=12)


def test_joules_are_the_boards_over_a_step(rows: list[dict[str, Any]]) -> None:
    drawn = [row for row in rows if "energy_j" in row]
    assert drawn  # batch 64 lasts over half a second
    for row in drawn:
        assert row["power_w"] == pytest.approx(300)
        assert row["energy_j"] == pytest.approx(300 * row["time_s"])


def test_steps_with_prompts_are_windows_of_four(rows: list[dict[str, Any]]) -> None:
    mixed = [row for row in rows if row["phase"] == "mixed"]
    assert mixed
    for row in mixed:
        spent = STEP_S + DECODE_S * row["decodes"] + PROMPT_S * row["prompt_tokens"]
        assert row["time_s"] == pytest.approx(spent)
        assert row["prompt_tokens"] + row["decodes"] == pytest.approx(MOST_TOKENS)
