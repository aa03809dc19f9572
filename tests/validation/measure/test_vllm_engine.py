"""Steps of an engine are sorted into rows: runs of decodes, and windows that carry prompts."""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwmodel.validation.measure import vllm_engine, vllm_streams
from hwmodel.validation.measure.vllm_engine import MOST_TOKENS, RUN, Run, halves
from hwmodel.validation.measure.vllm_streams import closed

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

    def add(self, tokens: int, outputs: int) -> str:
        """A request."""
        self.requests.append({"prompt": tokens, "outputs": outputs, "seen": 0, "made": 0})
        return f"r{len(self.requests)}"

    def has_unfinished_requests(self) -> bool:
        """Whether any is left."""
        return any(r["made"] < r["outputs"] for r in self.requests)

    def profile(self, about: dict[str, Any]) -> None:
        """The last step ran under a profiler, which is no timed row."""
        self.run.log[-1] |= about | {"profiled": 1}

    def step(self) -> list[SimpleNamespace]:
        """One step, logged as the scheduler's calls are; answers those who got a token."""
        answers: list[SimpleNamespace] = []
        names = ("decodes", "decode_keys", "prompts", "prompt_tokens", "prompt_keys")
        step: dict[str, Any] = dict.fromkeys(names, 0) | {"t": self.now_s}
        budget = MOST_TOKENS
        for number, r in enumerate(self.requests, 1):
            made = r["made"]
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
            if r["made"] > made:
                finished = r["made"] >= r["outputs"]
                answers.append(SimpleNamespace(request_id=f"r{number}", finished=finished))
        self.now_s += STEP_S + DECODE_S * step["decodes"] + PROMPT_S * step["prompt_tokens"]
        self.run.log.append(step)
        return answers


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run of that engine; call it with a method's name and arguments for the rows of it."""
    options = argparse.Namespace(
        model="llama-3.1-8b", out=tmp_path, quantization=None, cache_dtype="auto",
        tensor_parallel=1, seed=1, layers=None, seconds=9,
    )  # fmt: skip
    run: Any = Run(options)
    run.engine = Engine(run)
    run.boards, run.longest, run.capacity = [Board(run.engine)], 17000, 10**6
    clock = SimpleNamespace(perf_counter=run.engine.seconds)

    def ask(ids: list[int], outputs: int) -> str:
        return run.engine.add(len(ids), outputs)

    monkeypatch.setattr(vllm_engine, "time", clock)
    monkeypatch.setattr(vllm_streams, "time", clock)
    monkeypatch.setattr(run, "add", run.engine.add)
    monkeypatch.setattr(run, "ask", ask)
    monkeypatch.setattr(run, "profile_steps", run.engine.profile)

    def rows_from(name: str, *arguments: Any) -> list[dict[str, Any]]:
        before = len((tmp_path / "llama-3.1-8b.steps.jsonl").read_text().splitlines())
        getattr(run, name)(*arguments)
        lines = (tmp_path / "llama-3.1-8b.steps.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines[before:]]

    yield rows_from
    run.close()


@pytest.fixture
def rows(measured: Any) -> list[dict[str, Any]]:
    """Rows of one series: 64 requests of 2,048 tokens."""
    return measured("decode_series", 2048, halves(64), RUN)


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


def test_loaded_steps_carry_one_prompt_beside_every_decode(measured: Any) -> None:
    (row,) = measured("loaded", 64, 512)
    assert (row["prompts"], row["prompt_tokens"], row["decodes"]) == (1, 512, 64)
    assert row["time_s"] == pytest.approx(STEP_S + DECODE_S * 64 + PROMPT_S * 512)


def test_a_held_batch_lasts_for_seconds(measured: Any) -> None:
    measured("decode_series", 512, halves(64), RUN)
    decoded = [row for row in measured("held", 64, 1024) if row["phase"] == "decode"]
    (row,) = decoded
    assert row["batch"] == 64
    assert row["steps"] * row["time_s"] == pytest.approx(vllm_engine.HELD_S, rel=0.1)
    assert row["energy_j"] == pytest.approx(300 * row["time_s"])


def test_a_stream_keeps_its_users_busy(measured: Any) -> None:
    (row,) = measured("stream", closed(4, 100, 11, 12))
    # Three rounds of four users: one step with four prompts, then ten steps of four decodes.
    first, token = STEP_S + 400 * PROMPT_S, STEP_S + 4 * DECODE_S
    assert row["repeats"] == 12
    assert row["time_s"] == pytest.approx(3 * (first + 10 * token))
    assert row["first_token_s"] == pytest.approx(first)
    assert row["per_token_s"] == pytest.approx(token)
    assert row["outputs"] == 11


def test_prefill_draws_the_boards_joules(measured: Any) -> None:
    (row,) = measured("prefill", 3, 100_000)  # cut to the longest request
    assert row["prompt"] == 17000 - 8
    seconds = 3 * 16992 * PROMPT_S + 7 * STEP_S
    assert row["time_s"] == pytest.approx(seconds, rel=0.01)
    assert row["low_s"] <= row["time_s"] <= row["high_s"]


def test_halves_end_at_one() -> None:
    assert halves(226) == [226, 113, 56, 28, 14, 7, 3, 1]
    assert halves(0) == []
