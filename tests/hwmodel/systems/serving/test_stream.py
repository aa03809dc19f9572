"""Streams of requests, by every way of asking: what is predicted, printed, written and refused."""

import json
from html import unescape
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.systems.serving.served import Served
from hwmodel.verbs.cases import predict_lines
from tests.hwmodel.test_cli import run

SMALL: dict[str, Any] = {
    **{"config": "qwen3-0.6b", "input": 200, "output": 50},
    **{"max_batch_tokens": 1024, "max_batch": 32, "requests": 100},
}


def served(on: str = "h200", **given: Any) -> Served:
    return hw.predict(hw.workloads.serving(**{**SMALL, **given}), on=on)  # pyright: ignore


def test_a_lone_client_waits_for_its_steps_and_nothing_else() -> None:
    alone = served(concurrency=1, requests=5, max_batch=256, input=1000)
    model = hw.model("qwen3-0.6b")
    prompt = hw.predict(model.prefill(1, 1000), on="h200", engine="vllm").sustained_time_s
    step = hw.predict(model.decode(1, 1025), on="h200", engine="vllm").sustained_time_s
    assert step < alone.ttft_s == pytest.approx(prompt, rel=0.06)
    # A step by itself was measured in one process; a stream's engine has one of its own.
    assert step - 0.6e-3 < alone.tpot_s < step - 0.4e-3
    assert alone.queue_s == 0
    assert alone.latency_s == pytest.approx(alone.ttft_s + 49 * alone.tpot_s)
    assert alone.output_tokens_per_s == pytest.approx(50 / alone.latency_s)
    assert alone.concurrency == pytest.approx(1)


def test_prompts_that_come_again_are_found_but_for_what_is_always_read() -> None:
    plain = served(rate_per_s=1, input=566)
    again = served(rate_per_s=1, input=566, prompts=10, frontend="7 ms")
    assert plain.prefix_hit_rate == 0
    assert again.prefix_hit_rate == pytest.approx(90 * 560 / (100 * 566))  # 35 blocks of 16
    alike = served(rate_per_s=1, input=566, prompts=10)
    assert again.ttft_s == pytest.approx(alike.ttft_s + 0.007)
    assert again.latency_s == pytest.approx(alike.latency_s + 0.007)
    assert again.tpot_s == pytest.approx(alike.tpot_s)
    assert alike.ttft_s < plain.ttft_s
    assert not any("tokens of context" in text for text in plain.warnings)


def test_more_load_means_more_tokens_a_joule_and_longer_waits() -> None:
    calm, full = served(rate_per_s=2), served(rate_per_s=200)
    assert full.output_tokens_per_s > 5 * calm.output_tokens_per_s
    assert full.energy_j_per_token < calm.energy_j_per_token / 3
    assert full.ttft_s > calm.ttft_s
    assert full.tpot_s > calm.tpot_s
    assert calm.busy < 0.9 < full.busy
    assert full.ttft_p50_s <= full.ttft_p90_s <= full.ttft_p95_s <= full.ttft_p99_s


def test_replicas_share_the_stream_and_the_price() -> None:
    one = served(rate_per_s=50)
    four = served(rate_per_s=50, devices=4)
    assert four.parallel["dp"] == four.devices == 4
    assert four.tpot_s < one.tpot_s
    assert one.price_per_million_tokens is not None
    rent = hw.device("h200").price.rent_usd_per_hour
    assert one.price_per_million_tokens == pytest.approx(
        float(rent or 0) / 3600 * one.duration_s / one.output_tokens * 1e6
    )
    given = served(rate_per_s=50, price_per_hour=7.0)
    assert given.price_per_million_tokens == pytest.approx(2 * one.price_per_million_tokens)


def test_a_common_beginning_is_read_once() -> None:
    plain = served(rate_per_s=20, input=1000)
    shared = served(rate_per_s=20, input=1000, prefix=800)
    assert shared.prefix_hit_rate == pytest.approx(0.8 * 99 / 100)
    assert plain.prefix_hit_rate == 0
    assert shared.ttft_s < plain.ttft_s


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    given: dict[str, Any] = {"rate_per_s": 30, "input": {"mean": 200, "cv": 1.0}}
    first, again, other = (served(**given, seed=seed) for seed in (1, 1, 2))
    assert json.dumps(first.record()) == json.dumps(again.record())
    assert first.ttft_s != other.ttft_s


def test_a_case_and_words_say_the_same_as_python() -> None:
    case = {**SMALL, "workload": "serving", "on": "h100", "tp": 2, "rate_per_s": 20}
    case |= {"engine": "vllm", "output": {"mean": 50, "cv": 0.4}}
    (answer,) = predict_lines([json.dumps(case)])
    words = {n: v for n, v in case.items() if n not in ("workload", "on", "engine")}
    found = served("h100", **words)
    wanted = found.record()
    assert {name: answer[name] for name in wanted} == wanted
    assert found.devices == 2
    assert str(found).startswith("qwen3-0.6b serving on 2 x NVIDIA H100")
    assert repr(found).startswith("<Served: qwen3-0.6b serving on 2 x NVIDIA H100")
    shown = found._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert "first token (TTFT)" in shown
    assert "op/s" not in shown
    assert all(unescape(shown).count(told) == 1 for told in (*found.assumptions, *found.warnings))
    work = hw.model("qwen3-0.6b").serving(input=9, output=9, concurrency=3, tp=2)
    assert str(work) == "qwen3-0.6b serving: 3 clients, 9 tokens in, 9 out\n\ntp=2"


def test_goodput_counts_requests_that_wait_no_longer_than_said() -> None:
    found = served(rate_per_s=50)
    median = found.ttft_p50_s
    assert found.goodput(ttft_s=median) == pytest.approx(found.requests_per_s / 2, rel=0.02)
    assert found.goodput(ttft_s=1e9, tpot_s=1e9) == pytest.approx(found.requests_per_s)
    assert found.goodput(ttft_s=1e9, tpot_s=0) == 0
    assert float(np.mean(found.waits["ttft"])) == found.ttft_s


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, InputError, r"expected rate_per_s .* found none"),
        ({"rate_per_s": 2, "concurrency": 2}, InputError, "found rate_per_s and concurrency"),
        ({"rate_per_s": 2, "input": None}, InputError, "'input' without a trace"),
        ({"rate_per_s": -2}, InputError, "rate_per_s: expected a number above 0"),
        ({"rate_per_s": 2, "arrivals": "gamma"}, InputError, "arrival_cv: expected with arrivals"),
        ({"rate_per_s": 2, "arrivals": "burst"}, InputError, "unknown arrivals 'burst'"),
        ({"rate_per_s": 2, "input": {"mean": 3}}, InputError, "input: expected a whole number"),
        ({"rate_per_s": 2, "scheduler": "orca"}, InputError, "unknown scheduler 'orca'"),
        ({"rate_per_s": 2, "tp": 2, "devices": 3}, InputError, "a multiple of tp x pp"),
        ({"concurrency": 2, "duration_s": 9.0}, InputError, "expected requests in a closed loop"),
        ({"rate_per_s": 2, "prompts": -1}, InputError, "serving: prompts: expected"),
        ({"rate_per_s": 2, "requests": 0}, InputError, "serving: requests: expected"),
        ({"rate_per_s": 2, "requests": 10**9}, InputError, "from 1 to 10000000"),
        ({"rate_per_s": 2, "requests": None, "duration_s": 1e12}, InputError, "at most 10,000,000"),
        ({"rate_per_s": 2, "max_batch": 0}, InputError, "serving: max_batch: expected"),
        ({"rate_per_s": 2, "seed": -1}, InputError, "serving: seed: expected"),
        ({"rate_per_s": 2, "prefix": -5}, InputError, "serving: prefix: expected"),
        ({"rate_per_s": 2, "prefix": 201}, InputError, "at most the 200 tokens of a prompt"),
        ({"rate_per_s": 2, "memory_fraction": 1.5}, InputError, "a share above 0 and up to 1"),
        ({"rate_per_s": 2, "link": "50 GB/s"}, InputError, "expected with prefill"),
        ({"rate_per_s": 2, "on": "xeon-8480"}, CoverageError, "runs on GPUs"),
        ({"rate_per_s": 2, "frontend": "-1 ms"}, InputError, "serving: frontend: expected"),
        ({"trace": "no.csv", "input": None, "output": None}, InputError, "no.csv"),
        ({"trace": "no.csv"}, InputError, "no argument 'input' beside a trace"),
        ({"rate_per_s": 2, "config": "llama-3.1-70b"}, CapacityError, "leave no cache"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        served(**{"on": "h100", **given})


def test_an_engine_brings_its_own_kernels() -> None:
    with pytest.raises(CoverageError, match="kernel: an engine's own"):
        hw.predict(hw.workloads.serving(**SMALL, rate_per_s=2), on="h200", kernel="cublas")  # pyright: ignore


def test_the_command_prints_a_stream_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "serving", "config=qwen3-0.6b", "rate_per_s=20", "requests=50"]
    words += ["input=100", "output=20", "max_batch=32", "--on", "h100", "--tp", "2"]
    words += ["power_limit=400 W", "frontend=10 ms"]
    assert run(monkeypatch, *words) == 0
    assert "first token (TTFT)" in capsys.readouterr().out


def test_steps_beyond_the_largest_graph_wait_for_the_host() -> None:
    """200 prompts of 1,024 tokens at once, 128 out, whose batches have no graph beyond 64.

    vLLM 0.22.1 offline on an H200 (`bench throughput`, 2026-11-30): 2.62 s, where no row of it was
    fitted to; with graphs of all batches 1.6 s are predicted.
    """
    asked: dict[str, Any] = {"input": 1024, "output": 128, "concurrency": 200, "requests": 200}
    asked |= {"max_batch": 1024, "max_batch_tokens": 16384}
    few, all_ = (served(**asked, max_graph_tokens=most) for most in (64, None))
    assert few.duration_s == pytest.approx(2.62, rel=0.1)
    assert all_.duration_s < 0.75 * few.duration_s


@pytest.mark.parametrize("budget", [{"max_batch": 1}, {"max_batch_tokens": 1}])
def test_the_smallest_budgets_are_answered(budget: dict[str, int]) -> None:
    work = hw.model("llama-3.2-1b").serving(input=20, output=4, concurrency=2, requests=4, **budget)
    found: Any = hw.predict(work, on="h100")
    assert found.output_tokens == 16
    assert 0 < found.tpot_s < found.latency_s


@pytest.mark.parametrize("tokens", [2.5, True, float("nan"), "512"])
def test_tokens_that_are_no_whole_number_are_refused(tokens: Any) -> None:
    work = hw.model("llama-3.2-1b").serving(input=tokens, output=4, rate_per_s=1, requests=4)
    with pytest.raises(InputError, match="input: expected a whole number of tokens"):
        hw.predict(work, on="h100")


def test_an_engine_that_schedules_nothing_is_refused_by_its_own_name() -> None:
    work = hw.model("llama-3.2-1b").serving(input=20, output=4, rate_per_s=1, requests=4)
    with pytest.raises(CoverageError, match="engine: found 'torch'"):
        hw.predict(work, on="h100", engine="torch")
