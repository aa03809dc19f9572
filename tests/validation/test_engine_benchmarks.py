"""vLLM's benchmark files, written by hand from the fields that it writes, as runs of steps."""

import json
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.machines.gpu.engines.step import finished, step_of
from hwmodel.machines.gpu.engines.vllm import ENGINE
from hwmodel.quantity.errors import InputError
from hwmodel.validation.engine_benchmarks import Benchmark, keep, read_benchmarks
from hwmodel.validation.engine_fit import rested
from hwmodel.validation.engine_plan import calibrate_engine

LATENCY: dict[str, Any] = {
    "avg_latency": 2.25,
    "std_latency": 0.01,
    "latencies": [2.24, 2.25, 2.26],
    "percentiles": {"10": 2.24, "50": 2.25, "99": 2.26},
}
SERVED: dict[str, Any] = {
    "date": "20261129-010000", "endpoint_type": "vllm", "backend": "vllm", "label": None,
    "model_id": "meta-llama/Llama-3.1-8B-Instruct", "tokenizer_id": "meta-llama/Llama-3.1-8B",
    "num_prompts": 192, "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 64,
    "duration": 7.37, "completed": 192, "failed": 0, "total_input_tokens": 196608,
    "total_output_tokens": 24576, "request_throughput": 26.05, "output_throughput": 3334.6,
    "total_token_throughput": 30011.4, "mean_ttft_ms": 300.0, "mean_tpot_ms": 16.0,
}  # fmt: skip
LINE = {"file": "a.json", "model": "qwen2.5-1.5b", "batch": 8, "input": 512, "output": 128}


def written(folder: Path, name: str, record: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(record))
    return path


def test_a_latency_takes_its_sizes_from_a_line_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "a.json", LATENCY)
    (tmp_path / "benchmarks.jsonl").write_text(json.dumps(LINE) + "\n")
    (found,) = read_benchmarks([tmp_path])
    assert found == Benchmark("a.json", "qwen2.5-1.5b", 8, 512, 128, 2.25)


def test_a_latency_takes_its_sizes_from_the_arguments_that_vllm_wrote(tmp_path: Path) -> None:
    arguments = {
        **{"model": "Qwen/Qwen2.5-1.5B", "batch_size": 16, "input_len": 256, "output_len": 32},
        "tensor_parallel_size": 2,
    }
    record = [{"benchmark": {"name": "vLLM benchmark", "extra_info": {"args": arguments}}}]
    path = written(tmp_path, "b.json", LATENCY)
    written(tmp_path, "b.pytorch.json", record)
    (found,) = read_benchmarks([path])
    assert (found.batch, found.prompt, found.outputs, found.tp) == (16, 256, 32, 2)
    assert found.name == "qwen2.5-1.5b"


def test_a_closed_loop_is_rounds_of_its_users(tmp_path: Path) -> None:
    """192 requests of 1,024 tokens in and 128 out, 64 at a time: three rounds."""
    (found,) = read_benchmarks([written(tmp_path, "s.json", SERVED)])
    assert (found.batch, found.prompt, found.outputs, found.rounds) == (64, 1024, 128, 3)
    (reads, rounds), (decodes, steps) = found.workloads()
    assert (rounds, steps) == (3, 3 * 127)
    assert decodes.served is not None
    assert decodes.served.context == 1024 + 64
    assert reads.served is not None
    assert reads.served.tokens == 64 * 1024


def test_one_token_out_is_a_prompt_alone(tmp_path: Path) -> None:
    written(tmp_path, "a.json", LATENCY)
    (tmp_path / "benchmarks.jsonl").write_text(json.dumps(LINE | {"output": 1}))
    (found,) = read_benchmarks([tmp_path])
    assert found.phase == "prefill"
    assert len(found.workloads()) == 1


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"mean": 1.0}, "expected what vllm bench latency"),
        (LATENCY, r"expected model, batch, input, output in a line of benchmarks\.jsonl"),
        (SERVED | {"request_rate": 4.0}, "expected request_rate inf, a closed loop, found 4"),
        (SERVED | {"completed": 100}, "expected all requests completed, found 100"),
        (SERVED | {"model_id": "me/my-own-model"}, "expected the path of a config or a shipped"),
        ([1], "expected a JSON object"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, record: Any, told: str) -> None:
    path = written(tmp_path, "x.json", record)
    with pytest.raises(InputError, match=rf"x\.json: .*{told}"):
        read_benchmarks([path])


def test_an_unknown_field_of_a_line_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "a.json", LATENCY)
    (tmp_path / "benchmarks.jsonl").write_text(json.dumps(LINE | {"prompt": 512}))
    with pytest.raises(InputError, match="line 1: unknown field 'prompt'"):
        read_benchmarks([tmp_path])


def test_runs_are_kept_the_later_of_a_file(tmp_path: Path) -> None:
    first, second = (Benchmark("a.json", "qwen3-4b", 1, 128, 8, t) for t in (1.0, 2.0))
    other = Benchmark("b.json", "qwen3-4b", 1, 128, 8, 3.0)
    keep(tmp_path, [first, other])
    assert keep(tmp_path, [second]) == (second, other)
    assert keep(tmp_path, ()) == (second, other)


PLANTED: dict[str, float] = {"step": 0.005, "request": 0.00005, "alone": 0.008}
SIZES = ((1, 128, 64), (1, 512, 1), (1, 1024, 1), (1, 256, 1), (8, 512, 64), (32, 256, 128),
         (64, 128, 64), (128, 128, 32), (4, 64, 16))  # fmt: skip


def seconds(run: Benchmark) -> float:
    """The model's own time of a run on the planted host."""
    gpu, costs = hw.device("h200"), {**ENGINE.host.values, **PLANTED}
    return sum(
        times * sum(float(part.times * part.time_s) for part in timed)
        for work, times in run.workloads()
        for timed in (finished(step_of(work, gpu, ENGINE), rested(work, gpu, ENGINE), gpu, costs),)
    )


@pytest.mark.thorough
def test_a_host_that_was_planted_comes_back_from_benchmarks_alone(tmp_path: Path) -> None:
    """No GPU is there: the device is named, and nothing is measured."""
    lines: list[str] = []
    for number, (batch, prompt, outputs) in enumerate(SIZES):
        run = Benchmark(f"{number}.json", "qwen2.5-0.5b", batch, prompt, outputs, 0.0)
        written(tmp_path, run.file, LATENCY | {"avg_latency": seconds(run)})
        lines.append(json.dumps({"file": run.file, "model": run.name, "batch": batch,
                                 "input": prompt, "output": outputs}))  # fmt: skip
    (tmp_path / "benchmarks.jsonl").write_text("\n".join(lines))
    found = calibrate_engine(tmp_path / "gpu", device="h200", benchmarks=[tmp_path])
    entry, best = found.families[ENGINE.family]
    assert best.mean_error < 0.01
    for name in ("step", "request"):
        assert entry.values[name] == pytest.approx(PLANTED[name], rel=0.05)
    reads = Benchmark("", "qwen2.5-0.5b", 1, 640, 1, 0.0)
    made = hw.predict(reads.config.prefill(1, 640), on=found.folder, engine="vllm")
    assert float(made.time_s) == pytest.approx(seconds(reads), rel=0.05)
    again = calibrate_engine(tmp_path / "gpu", device="h200", benchmarks=[tmp_path / "0.json"])
    assert again.families[ENGINE.family][0].rows == len(SIZES)


def test_few_runs_are_refused_with_how_many_it_takes(tmp_path: Path) -> None:
    path = written(tmp_path, "s.json", SERVED)
    with pytest.raises(InputError, match="expected 6 runs or steps"):
        calibrate_engine(tmp_path / "gpu", device="h200", benchmarks=[path])
