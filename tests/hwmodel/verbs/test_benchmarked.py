"""Benchmarks of engines through `profile`: the same stream, simulated, beside what was measured."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import hwmodel as hw
from hwmodel.cli import app
from hwmodel.quantity.errors import InputError
from tests.validation.readers.test_benchmarks import SGLANG, VLLM, written
from tests.validation.readers.test_offline import THROUGHPUT


def test_figures_stand_beside_those_of_the_same_stream(tmp_path: Path) -> None:
    found: Any = hw.profile(written(tmp_path, VLLM), on="h200")
    stream = hw.model("llama-3.2-1b").serving(input=512, output=64, concurrency=8, requests=40)
    same: Any = hw.predict(stream, on="h200", engine="vllm")
    by_name = {each.figure: each for each in found.figures}
    assert by_name["ttft_s"].measured == 0.025
    for figure in ("ttft_s", "tpot_p99_s", "output_tokens_per_s", "latency_s"):
        assert by_name[figure].predicted == pytest.approx(getattr(same, figure))
    assert "40 requests, 8 users who wait, 512 tokens in, 64 out" in str(found)
    assert found.table.columns == ["run", "figure", "measured", "predicted", "of_predicted"]


def test_an_offline_benchmark_is_a_stream_that_is_there_at_once(tmp_path: Path) -> None:
    words: dict[str, Any] = {"config": "llama-3.2-1b", "input": 1024, "dp": 2}
    few = {**THROUGHPUT, "num_requests": 20, "total_num_tokens": 23040}
    found: Any = hw.profile(written(tmp_path, few), on="h200", **words)
    arguments: dict[str, Any] = {"input": 1024, "output": 128, "requests": 20, "dp": 2}
    stream = hw.model("llama-3.2-1b").serving(rate_per_s=1e6, **arguments)
    same: Any = hw.predict(stream, on="h200", engine="vllm")
    told = {each.figure: each.predicted for each in found.figures}
    names = ("requests_per_s", "total_tokens_per_s")
    assert told == pytest.approx({name: getattr(same, name) for name in names})
    assert "all at once, 1,024 tokens in, 128 out, all of their mean lengths; tp=1, dp=2" in str(
        found
    )


def test_the_command_answers_for_another_config_and_engine(tmp_path: Path) -> None:
    path = str(written(tmp_path, SGLANG, name="runs.jsonl"))
    words = ["profile", path, "--on", "h200", "--config", "llama-3.2-1b", "--tp", "1", "--json"]
    own, other = (
        json.loads(CliRunner().invoke(app, [*words, *more]).stdout)
        for more in ([], ["--engine", "vllm"])
    )
    assert (own["engine"], other["engine"]) == ("sglang", "vllm")
    assert all(each["predicted"] > 0 for told in (own, other) for each in told["figures"])


def test_a_run_that_is_refused_stands_with_its_reason_beside_those_that_are_not(
    tmp_path: Path,
) -> None:
    other = {**VLLM, "model_id": "nobody/Unknown-1B"}
    found: Any = hw.profile(written(tmp_path, VLLM, other, name="runs.jsonl"), on="h200")
    told = {each.run: each.predicted is not None for each in found.figures}
    assert told == {"1": True, "2": False}
    assert "run 2: no prediction:" in str(found)
    with pytest.raises(InputError, match="serving: tp: expected"):
        hw.profile(written(tmp_path, VLLM), on="h200", tp=0)


def test_what_is_not_said_is_asked_for(tmp_path: Path) -> None:
    nameless = {name: value for name, value in VLLM.items() if name != "model_id"}
    unknown = {**VLLM, "model_id": "./My-Own-1B", "completed": 39}
    with pytest.raises(InputError, match="name one in --config"):
        hw.profile(written(tmp_path, unknown), on="h200")
    few: Any = hw.profile(written(tmp_path, unknown), on="h200", config="llama-3.2-1b")
    assert "run 1: 1 more failed, and left out" in str(few)
    with pytest.raises(InputError, match="run 1: model: expected its name in the file"):
        hw.profile(written(tmp_path, nameless), on="h200")
    trace = tmp_path / "trace.json"
    trace.write_text('{"traceEvents": []}')
    with pytest.raises(InputError, match="tp: expected with results of a benchmark of an engine"):
        hw.profile(trace, on="h200", tp=2)
