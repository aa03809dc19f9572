"""Streams of which every request was recorded: how they queue, with one linear step a run."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler
from tests.hwmodel.systems.serving.clocks import Fitted

SYSTEMS = Path(__file__).resolve().parents[5] / "shared" / "data" / "systems"
RECORDED = SYSTEMS / "vllm_request_traces_llmservingsim" / "requests.csv"


@pytest.mark.skipif(not RECORDED.exists(), reason="no shared data")
@pytest.mark.parametrize(
    ("gpu", "clock", "rules", "replicas"),
    [
        # A cache of 2,588 blocks, as the run's configuration tells, which is full all along.
        (
            "RTX4090",
            Fitted(41_408, 0.015876, 8.989e-5, 1.4375e-7, 9.7e-10),
            Scheduler(max_batch=256),
            1,
        ),
        (
            "RTXPRO6000",
            Fitted(300_000, 0.025195, 6.882e-5, 7.413e-8, 8.4e-10),
            Scheduler(max_batch=128),
            2,
        ),
    ],
)
def test_requests_queue_as_they_did(
    gpu: str, clock: Fitted, rules: Scheduler, replicas: int
) -> None:
    with RECORDED.open() as file:
        rows = [row for row in csv.DictReader(file) if row["gpu"] == gpu]
    rows.sort(key=lambda row: float(row["arrival_s"]))
    came = [
        Request(float(r["arrival_s"]), int(r["input_tokens"]), int(r["output_tokens"]))
        for r in rows
    ]
    found = run(came, clock, rules, replicas=replicas, routing="least-work")
    last = np.array([float(r["last_token_s"]) - float(r["arrival_s"]) for r in rows])
    first = np.array([float(r["scheduled_s"]) - float(r["arrival_s"]) for r in rows])
    mine = np.array([s.last_s - s.request.arrival_s for s in found.stays])
    waits = np.array([s.scheduled_s - s.request.arrival_s for s in found.stays])
    assert mine.mean() == pytest.approx(last.mean(), rel=0.03)
    assert np.median(np.abs(mine / last - 1)) < 0.03
    assert waits.mean() == pytest.approx(first.mean(), rel=0.15)


STREAMS = SYSTEMS / "blis_validation" / "measured.csv"
PROMPTS, FRONTEND = 44, "10 ms"
"""Of the load generator: 11 groups of 4 users, each with one prompt; what its client waits besides
(from this and another stream)."""


@pytest.mark.skipif(not STREAMS.exists(), reason="no shared data")
@pytest.mark.parametrize(("stage", "rate_per_s"), [("0", 5), ("1", 10)])
def test_a_published_stream_of_a_divided_model_waits_as_it_did(stage: str, rate_per_s: int) -> None:
    """Llama-3.1-70B on four H100, vLLM 0.15.1, at two rates; of the first its prompts are said."""
    with STREAMS.open() as file:
        rows = [r for r in csv.DictReader(file) if r["exp_id"] == "61.0"]
    told = {r["metric_name"]: float(r["actual"]) / 1e3 for r in rows if r["stage_index"] == stage}
    asked: dict[str, Any] = {
        **{"input": 566, "output": 247, "rate_per_s": rate_per_s, "duration_s": 600},
        **{"max_batch_tokens": 2048, "max_batch": 128, "tp": 4},
    }
    first = stage == "0"
    asked |= {"prompts": PROMPTS, "frontend": FRONTEND} if first else {}
    found: Any = hw.predict(hw.model("llama-3.1-70b").serving(**asked), on="h100")
    assert found.tpot_s == pytest.approx(told["itl_mean"], rel=0.08)
    assert found.latency_s == pytest.approx(told["e2e_mean"], rel=0.06)
    for figure in ("mean", "p90", "p99") if first else ("mean",):
        ours = getattr(found, f"ttft_{figure}_s".replace("mean_", ""))
        assert ours == pytest.approx(told[f"ttft_{figure}"], rel=0.07)
