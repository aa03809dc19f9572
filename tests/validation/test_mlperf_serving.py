"""MLPerf's results: which are read, what of them is one engine, and throughput on other GPUs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.systems.serving.scheduler import scheduler
from hwmodel.validation import mlperf_serving
from hwmodel.validation.mlperf_serving import Row, alike, published
from tests.hwmodel.systems.serving.clocks import Linear

TABLES = Path(__file__).resolve().parents[3] / "shared/data/systems"
needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason="needs ../shared/data/systems")


def _row(**changes: Any) -> Row:
    rules = scheduler("trtllm").but(max_batch_tokens=4096, max_batch=64, in_flight=1)
    given: dict[str, Any] = {
        **{"gpu": "h200", "model": "llama-3.1-8b", "scenario": "Offline", "weights": "fp8"},
        **{"parallel": {"tp": 1}, "rules": rules, "share": 0.9, "output": 100.0},
        **{"tokens_per_s": 6000.0, "ttft_s": None, "tpot_s": None},
    }
    return Row(**{**given, **changes})


def test_a_full_batch_makes_a_token_a_sequence_in_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """64 sequences in steps of 10 ms are 6,400 tokens a second, but for what enters and leaves."""

    def steps(_: Row) -> Linear:
        return Linear(base_s=0.01)

    monkeypatch.setattr(mlperf_serving, "_clock", steps)
    assert _row().rate(50.0) == pytest.approx(6400, rel=0.04)
    (ratio,) = _row().ratios(50.0)
    assert ratio == pytest.approx(6400 / 6000, rel=0.04)
    waits = _row(scenario="Server", tokens_per_s=500.0, ttft_s=0.016, tpot_s=0.01).ratios(50.0)
    assert waits == (pytest.approx(1, abs=0.1), pytest.approx(1, rel=0.02))
    assert _row(scenario="Server").ratios(50.0) == ()


@needs_tables
def test_results_of_the_same_engine_are_one() -> None:
    """One replica of eight, of the first H200 result: 34,190 tokens a second on eight GPUs."""
    rows = list(published(TABLES))
    first = next(row for row in rows if row.gpu == "h200")
    assert (first.model, first.rules.max_batch_tokens) == ("llama-3.1-70b", 1536)
    assert first.parallel == {"tp": 1}
    assert 3000 < first.tokens_per_s < 5000
    joined = alike(rows)
    keys = [(r.gpu, r.model, r.scenario, r.rules.max_batch_tokens, str(r.parallel)) for r in joined]
    assert len(rows) > 2 * len(joined)
    assert {"mi300x", "mi325x"} <= {row.gpu for row in rows}
    assert ("b200", "llama-3.1-405b", "Offline", 1536, "{'tp': 2, 'pp': 2}") in keys


@needs_tables
def test_prompts_that_one_gpu_sets_hold_on_another() -> None:
    """Of 405B some 8,900 tokens on an H200; a B200 in nvfp4 is within 15 % of its result then."""
    rows = [row for row in alike(published(TABLES)) if row.offline]
    mine = [row for row in rows if row.model == "llama-3.1-405b" and row.gpu in ("h200", "b200")]
    set_by, judged = sorted(mine, key=lambda row: row.gpu, reverse=True)
    assert np.log(set_by.rate(8_900) / set_by.tokens_per_s) == pytest.approx(0, abs=0.05)
    assert judged.rate(8_900) / judged.tokens_per_s == pytest.approx(1, abs=0.15)
