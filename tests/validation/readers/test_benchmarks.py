"""Results of serving benchmarks, as vLLM and SGLang write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.validation.readers.benchmarks import AT_ONCE, is_benchmark, runs_of

VLLM: dict[str, Any] = {
    **{
        "date": "20261128-101500",
        "backend": "vllm",
        "model_id": "meta-llama/Llama-3.2-1B-Instruct",
    },
    **{"num_prompts": 40, "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 8},
    **{"duration": 2.5, "completed": 40, "total_input_tokens": 20480, "total_output_tokens": 2560},
    **{"request_throughput": 16.0, "output_throughput": 1024.0, "total_token_throughput": 9216.0},
    **{"mean_ttft_ms": 25.0, "median_ttft_ms": 22.0, "std_ttft_ms": 3.0, "p99_ttft_ms": 60.0},
    **{"mean_tpot_ms": 2.5, "median_tpot_ms": 2.4, "p99_tpot_ms": 3.0, "mean_e2el_ms": 180.0},
    **{"mean_itl_ms": 2.5},
}
SGLANG: dict[str, Any] = {
    **{"backend": "sglang", "dataset_name": "random", "request_rate": 4.0, "max_concurrency": None},
    **{"server_info": {"model_path": "Qwen/Qwen2.5-7B-Instruct", "tp_size": 2}, "duration": 5.0},
    **{"completed": 4, "total_input_tokens": 400, "total_output_tokens": 80},
    **{"total_output_tokens_retokenized": 80, "output_throughput": 16.0, "total_throughput": 96.0},
    **{"mean_e2e_latency_ms": 300.0, "p95_ttft_ms": 40.0, "input_lens": [50, 150, 50, 150]},
    **{"output_lens": [20, 20, 20, 20]},
}


def written(folder: Path, *records: Any, name: str = "result.json") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(each) for each in records), encoding="utf-8")
    return path


def test_a_closed_loop_of_vllm(tmp_path: Path) -> None:
    (run,) = runs_of(written(tmp_path, VLLM))
    assert (run.engine, run.model, run.tp) == ("vllm", "meta-llama/Llama-3.2-1B-Instruct", 1)
    assert run.asked == {"requests": 40, "tp": 1, "input": 512, "output": 64, "concurrency": 8}
    assert run.measured == pytest.approx(
        {
            **{"requests_per_s": 16, "output_tokens_per_s": 1024, "total_tokens_per_s": 9216},
            **{"ttft_s": 0.025, "ttft_p50_s": 0.022, "ttft_p99_s": 0.06, "latency_s": 0.18},
            **{"tpot_s": 0.0025, "tpot_p50_s": 0.0024, "tpot_p99_s": 0.003},
        }
    )


def test_a_rate_of_sglang_with_the_lengths_of_each_request_a_line_a_run(tmp_path: Path) -> None:
    first, second = runs_of(written(tmp_path, SGLANG, {**SGLANG, "request_rate": "inf"}))
    assert (first.engine, first.model, first.tp) == ("sglang", "Qwen/Qwen2.5-7B-Instruct", 2)
    assert first.inputs == pytest.approx({"mean": 100, "cv": 0.5})
    assert first.outputs == pytest.approx({"mean": 20, "cv": 0})
    assert (first.asked["rate_per_s"], second.asked["rate_per_s"]) == (4.0, AT_ONCE)
    assert first.measured == pytest.approx(
        {
            **{"output_tokens_per_s": 16, "total_tokens_per_s": 96},
            **{"latency_s": 0.3, "ttft_p95_s": 0.04},
        }
    )


def test_a_few_that_failed_are_left_out_of_lengths_and_counts(tmp_path: Path) -> None:
    """Three of four are read: 60 and 90 tokens in, and twice 60, whose mean is 70."""
    lengths = {"input_lens": [60, 500, 60, 90], "output_lens": [20, 0, 20, 20]}
    counts = {"completed": 3, "num_prompts": 3, "total_input_tokens": 210}
    one = {**SGLANG, **lengths, **counts, "total_output_tokens": 60}
    (run,) = runs_of(written(tmp_path, one))
    assert (run.requests, run.failed) == (3, 0)
    assert run.inputs == pytest.approx({"mean": 70, "cv": 200**0.5 / 70})
    (run,) = runs_of(written(tmp_path, {**VLLM, "completed": 38}))
    assert (run.asked["requests"], run.failed, run.asked["input"]) == (38, 2, round(20480 / 38))


@pytest.mark.parametrize("lengths", [[50, "x", 50, 150], [50, 150], [0, 0, 0, 0], "abcd"])
def test_lengths_that_are_none_leave_their_mean(tmp_path: Path, lengths: Any) -> None:
    (run,) = runs_of(written(tmp_path, {**SGLANG, "input_lens": lengths}))
    assert run.inputs == {"mean": 100}


def test_bursts_are_gaps_of_a_gamma_of_their_spread(tmp_path: Path) -> None:
    """VLLM draws gaps of shape `burstiness`, whose spread over their mean is its root's inverse."""
    bursts = {**VLLM, "request_rate": 2.0, "burstiness": 0.25}
    (run,) = runs_of(written(tmp_path, bursts))
    assert (run.asked["arrivals"], run.asked["arrival_cv"]) == ("gamma", 2.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"completed": 35}, "run 1: expected 90% of its requests completed, found 35 of 40"),
        ({"request_rate": "trace"}, "arrivals of a trace are not in the file"),
        ({"request_rate": -1}, "request_rate: expected a number above 0, found -1"),
        ({"total_input_tokens": None}, "total_input_tokens: expected a number above 0, found None"),
        ({"max_concurrency": "x"}, "max_concurrency: expected a number above 0, found 'x'"),
        ({"server_info": {"tp_size": -1}}, "tp_size: expected a number above 0, found -1"),
        ({"duration": 1, "completed": "x"}, "completed: expected a number above 0, found 'x'"),
    ],
)
def test_what_is_missing_or_odd_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        runs_of(written(tmp_path, {**VLLM, **change}))


def test_other_files_are_none_of_these(tmp_path: Path) -> None:
    assert is_benchmark(json.dumps(VLLM))
    for other in ("[]", "{}", "text", '{"traceEvents": []}', '{"mean": 1}', ""):
        assert not is_benchmark(other)
    with pytest.raises(InputError, match="a benchmark of vLLM or SGLang, found fields a"):
        runs_of(written(tmp_path, {"a": 1}))


FILES = Path(__file__).parent / "files"


def test_results_that_vllm_wrote_are_streams_and_figures() -> None:
    """Of vLLM 0.22.1 on an H200 (`test_operators.py` says more)."""
    (users,) = runs_of(FILES / "vllm_serve_users.json")
    assert users.asked == {"requests": 48, "tp": 1, "input": 512, "output": 128, "concurrency": 8}
    (rate,) = runs_of(FILES / "vllm_serve_rate.json")
    assert (rate.rate_per_s, rate.requests, rate.model) == (10, 60, "Qwen/Qwen3-0.6B")
    assert rate.asked["input"]["cv"] > 0.2
    assert rate.measured["latency_p90_s"] == pytest.approx(0.5555, rel=1e-3)
    told = {"input": 512, "output": 64, "requests": 8}
    (latency,) = runs_of(FILES / "vllm_latency.json", told)
    assert latency.measured == {"latency_p99_s": pytest.approx(0.1561, rel=1e-3)}
    (whole,) = runs_of(FILES / "vllm_throughput.json", {"input": 1024, "output": 128})
    assert whole.measured["requests_per_s"] == pytest.approx(76.24, rel=1e-3)
    with pytest.raises(InputError, match="expected --input, the tokens of a prompt"):
        runs_of(FILES / "vllm_throughput.json")
