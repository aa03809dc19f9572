"""Streams of requests: who is let in when, and what is recorded, with an engine of our own."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from hwmodel.validation.measure import vllm_streams
from hwmodel.validation.measure.vllm_streams import Stream, closed, serve


class Engine:
    """Answers one token a step to each request; the clock moves 10 ms a step."""

    def __init__(self, clock: list[float]) -> None:
        self.clock, self.left, self.most = clock, dict[str, int](), 0

    def step(self) -> list[Any]:
        self.clock[0] += 0.01
        self.most = max(self.most, len(self.left))
        self.left = {name: tokens - 1 for name, tokens in self.left.items()}
        done = [SimpleNamespace(request_id=n, finished=t == 0) for n, t in self.left.items()]
        self.left = {name: tokens for name, tokens in self.left.items() if tokens}
        return done


class Asked:
    """What `serve` asks of a run."""

    def __init__(self, clock: list[float]) -> None:
        self.engine, self.options, self.rows = Engine(clock), SimpleNamespace(seed=3), list[Any]()

    def tokens(self, count: int) -> list[int]:
        return [1] * count

    def ask(self, ids: list[int], outputs: int) -> str:
        name = f"r{len(self.rows)}.{random.random()}"
        self.engine.left[name] = outputs
        return name

    def energy_j(self) -> float:
        return 0.0

    def write(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Asked:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    fake = SimpleNamespace(perf_counter=lambda: clock[0], sleep=sleep)
    monkeypatch.setattr(vllm_streams, "time", fake)
    return Asked(clock)


def test_a_closed_loop_holds_as_many_requests_as_it_has_users(run: Any) -> None:
    records = serve(run, closed(4, 16, 5, 10))
    assert run.engine.most == 4
    assert len(records) == 10
    (row,) = run.rows
    assert row["time_s"] == pytest.approx(3 * 5 * 0.01)  # three rounds of five steps
    assert row["first_token_s"] == pytest.approx(0.01)
    assert row["per_token_s"] == pytest.approx(0.01)


def test_poisson_requests_come_at_their_rate_and_wait_for_the_step_that_runs(run: Any) -> None:
    records = serve(run, Stream(64, 8, 400, rate_per_s=50.0))
    assert run.rows[0]["time_s"] == pytest.approx(8.0, rel=0.1)
    waits = [r["first_token_s"] - r["arrival_s"] for r in records]
    assert 0.00999 <= min(waits)
    assert max(waits) <= 0.0201
    assert sum(waits) / len(waits) == pytest.approx(0.015, rel=0.1)  # half a step, and one
    assert {r["prompt"] for r in records} <= set(range(16, 113))
    assert len({r["outputs"] for r in records}) > 5


def test_a_stream_takes_no_request_after_its_seconds(run: Any) -> None:
    records = serve(run, Stream(64, 8, 400, rate_per_s=50.0), seconds=2.0)
    assert max(r["arrival_s"] for r in records) <= 2.0
    assert 60 < len(records) < 140
