"""Results of offline benchmarks, as vLLM and SGLang write them: figures and sizes by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.validation.readers.benchmarks import AT_ONCE, is_benchmark, runs_of

THROUGHPUT: dict[str, Any] = {
    **{"elapsed_time": 4.0, "num_requests": 200, "total_num_tokens": 230400},
    **{"requests_per_second": 50.0, "tokens_per_second": 57600.0},
}
LATENCY: dict[str, Any] = {"avg_latency": 1.5, "latencies": [1.5], "percentiles": {"50": 1.5}}
SGLANG: dict[str, Any] = {
    **{"backend": "engine", "successful_requests": 10, "total_latency": 2.0},
    **{"total_input_tokens": 5120, "total_output_tokens": 320, "request_throughput": 5.0},
    **{"input_throughput": 2560.0, "output_throughput": 160.0, "total_throughput": 2720.0},
}
ARGUMENTS: dict[str, Any] = {
    **{"model": "Qwen/Qwen3-0.6B", "batch_size": 8, "input_len": 32, "output_len": 128},
    "tensor_parallel_size": 2,
}


def written(folder: Path, *records: Any) -> Path:
    path = folder / "result.json"
    path.write_text("\n".join(json.dumps(each) for each in records), encoding="utf-8")
    return path


@pytest.mark.parametrize("told", [{"input": 1024}, {"output": 128}])
def test_a_throughput_has_prompts_and_answers_together(
    tmp_path: Path, told: dict[str, int]
) -> None:
    """230,400 tokens of 200 requests are 1,152 of each: 1,024 in and 128 out."""
    (run,) = runs_of(written(tmp_path, THROUGHPUT), told)
    assert (run.engine, run.model, run.asked["rate_per_s"]) == ("vllm", "", AT_ONCE)
    assert (run.asked["input"], run.asked["output"], run.requests) == (1024, 128, 200)
    assert run.measured == {"requests_per_s": 50, "total_tokens_per_s": 57600}


def test_a_latency_is_the_seconds_until_the_last_of_its_batch(tmp_path: Path) -> None:
    (run,) = runs_of(written(tmp_path, LATENCY), {"input": 32, "output": 128, "requests": 8})
    assert (run.asked["input"], run.asked["output"], run.requests) == (32, 128, 8)
    assert run.measured == {"latency_p99_s": 1.5}


def test_lines_of_sglang_say_both_kinds_of_tokens(tmp_path: Path) -> None:
    first, second = runs_of(written(tmp_path, SGLANG, {**SGLANG, "successful_requests": 20}))
    assert (first.engine, first.asked["input"], first.asked["output"]) == ("sglang", 512, 32)
    assert (second.asked["input"], second.requests) == (256, 20)
    expected = {"requests_per_s": 5, "output_tokens_per_s": 160, "total_tokens_per_s": 2720}
    assert first.measured == expected


def test_arguments_that_vllm_wrote_beside_it_are_read_and_what_is_told_wins(
    tmp_path: Path,
) -> None:
    beside = [{"benchmark": {"extra_info": {"args": ARGUMENTS}}}]
    (tmp_path / "result.pytorch.json").write_text(json.dumps(beside))
    (run,) = runs_of(written(tmp_path, LATENCY), {"output": 64, "input": None})
    assert (run.model, run.tp, run.requests) == ("Qwen/Qwen3-0.6B", 2, 8)
    assert (run.asked["input"], run.asked["output"]) == (32, 64)
    for other in ("[]", "{}", '[{"benchmark": {"extra_info": {"args": "none"}}}]', "x"):
        (tmp_path / "result.pytorch.json").write_text(other)
        with pytest.raises(InputError, match="expected records of vLLM's benchmark"):
            runs_of(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("record", "told", "said"),
    [
        (THROUGHPUT, {}, "expected --input, the tokens of a prompt: .* a request has 1,152"),
        (THROUGHPUT, {"input": 1152}, "expected a prompt of 1 to 1,151 tokens, .* found 1,152"),
        (THROUGHPUT, {"output": 2000}, "expected a prompt of 1 to 1,151 tokens, .* found -848"),
        ({**THROUGHPUT, "num_requests": 0}, {"input": 1}, "num_requests: expected a number above"),
        (LATENCY, {"input": 32}, "expected --output, --requests, of which a latency's file"),
        ({**LATENCY, "avg_latency": True}, dict.fromkeys(("input", "output", "requests"), 1),
         "avg_latency: expected a number above 0, found True"),
        ({**SGLANG, "total_throughput": None}, {}, "total_throughput: expected a number"),
    ],
)  # fmt: skip
def test_what_is_missing_or_odd_is_named(
    tmp_path: Path, record: dict[str, Any], told: dict[str, int], said: str
) -> None:
    assert is_benchmark(json.dumps(record))
    with pytest.raises(InputError, match=said):
        runs_of(written(tmp_path, record), told)
