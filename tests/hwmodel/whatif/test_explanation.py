"""Explanations: they name what binds, and take the distance from the roofline apart exactly."""

import json
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import InputError
from hwmodel.whatif.explanation import explain, reasons_s

H200 = device("h200")
GEMM = hw.workloads.gemm(M=4096, N=4096, K=4096)
CASES: dict[str, tuple[Any, Any]] = {
    "gemm": (GEMM, H200),
    "decode": (hw.model("llama-3.1-8b").decode(batch=32, context=2048), H200),
    "eight": (hw.model("llama-3.1-70b").decode(batch=8, context=2048), H200 * 8),
    "rows": (hw.workloads.softmax(rows=4096, cols=4096), H200),
    "array": (
        hw.workloads.attention(batch=1, heads=4, queries=1024, keys=1024, head_dim=64),
        device("fusemax"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_sentence_names_the_bottleneck(name: str) -> None:
    estimate = hw.predict(*CASES[name])
    assert explain(estimate).sentences[0].startswith(f"{estimate.bottleneck} binds")


@pytest.mark.parametrize("name", CASES)
def test_reasons_sum_to_the_distance_from_the_roofline(name: str) -> None:
    estimate = hw.predict(*CASES[name])
    apart = float(estimate.time_s) - float(estimate.bound_s)
    assert sum(reasons_s(estimate).values()) == pytest.approx(apart, rel=1e-9)


def test_a_launch_is_latency_and_not_a_rate_below_its_peak() -> None:
    tiny = hw.predict(hw.workloads.copy(rows=16, cols=16), H200)
    latency = reasons_s(tiny)["latency, tails and imperfect overlap"]
    assert latency > 0.95 * float(tiny.time_s)


def test_padding_is_told_with_its_factor() -> None:
    """One query of four heads a group: 4 of the 64 or more rows of a tile are asked for."""
    decode = hw.workloads.attention(
        batch=16, heads=32, kv_heads=8, queries=1, keys=8192, head_dim=128
    )
    (told,) = [s for s in explain(decode, H200).sentences if s.startswith("Padding")]
    factor = float(told.split("attention ")[1].split(" times")[0])
    assert factor >= 64 / 4 * 0.9


def test_idle_slots_are_told() -> None:
    """133 tiles of 128 x 256 would need two rounds on 132 processors."""
    workload = hw.workloads.gemm(M=200, N=256, K=4096)
    assert any("slots idle" in sentence for sentence in explain(workload, H200).sentences)


def test_what_would_help_most_is_the_widest_swing_for_the_better() -> None:
    found = explain(GEMM, H200)
    assert found.sensitivity is not None
    gains = {
        e.number.path: 1 - min(e.time_low_s, e.time_high_s) / found.sensitivity.time_s
        for e in found.sensitivity.effects
    }
    best = max(gains, key=lambda path: gains[path])
    last = next(s for s in found.sentences if s.startswith("What would help most"))
    assert best in last.split(",")[1]
    assert f"{gains[best]:.1%}" in last


def test_warnings_are_passed_on() -> None:
    found = explain(GEMM, "mi300x")
    assert any("uncalibrated" in sentence for sentence in found.sentences)


def test_text_json_and_html_hold_the_sentences() -> None:
    found = explain(GEMM, "h200")
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["sentences"] == list(found.sentences)
    html = getattr(found, "_repr_html_")()  # noqa: B009
    assert html.count("<li>") == len(found.sentences)
    assert str(found).count("\n- ") == len(found.sentences)


def test_a_workload_without_a_machine_and_a_sweep_are_refused() -> None:
    with pytest.raises(InputError, match="expected a machine with a workload"):
        explain(GEMM)
    sizes = hw.workloads.gemm(M=hw.logspace(1, 8), N=64, K=64)
    with pytest.raises(InputError, match="expected one point"):
        explain(hw.predict(sizes, H200))


def test_an_engines_host_is_a_reason_of_its_own() -> None:
    """Qwen2.5-0.5B of one user on vLLM waits for its host: more than the GPU is busy."""
    work = hw.model("qwen2.5-0.5b").decode(batch=1, context=1024)
    told = explain(work, H200, engine="vllm")
    waits = told.reasons_s["the host, which kernels do not hide"]
    made: Any = told.estimate
    assert waits == pytest.approx(float(made.time_s) - float(made.busy_time_s))
    assert waits > 0.3 * float(made.time_s)
    apart = float(made.time_s) - float(made.bound_s)
    assert sum(told.reasons_s.values()) == pytest.approx(apart, rel=1e-9)
    assert told.sentences[0].startswith("host binds")


@pytest.mark.thorough
def test_no_number_of_the_gpu_shortens_what_waits_for_its_host() -> None:
    """Twice as many kernels' worth of launches as work: a prompt of 512 tokens on a small model."""
    work = hw.model("qwen2.5-1.5b").prefill(batch=1, prompt=512)
    told = explain(work, H200, engine="vllm").sentences
    assert "No single number of the machine shortens it." in told


@pytest.mark.thorough
def test_a_step_of_training_says_what_it_is_due_to_with_its_machine_or_without() -> None:
    work: Any = hw.model("llama-3.1-8b").training(2048, 16, pp=4, micro_batch=2)
    found = hw.predict(work, "h100")
    told = explain(found)
    assert told.sensitivity is None
    assert told.reasons_s["waiting for other ranks of the pipeline"] > 0
    whole = explain(work, device("h100"))
    assert dict(whole.reasons_s) == dict(told.reasons_s)
    assert set(told.sentences) < set(whole.sentences)
    assert whole.sensitivity is not None
    # Products are at the peak or wait: a faster clock shortens the step, but not as 1 / clock.
    assert -1 < whole.sensitivity.effect("clock").time_up < -0.1
    assert whole.record()["time_s"] == found.step_time_s  # pyright: ignore
