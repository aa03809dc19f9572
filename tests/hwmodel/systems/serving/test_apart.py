"""Prompts on one pool and tokens on another, by every door of the workload `serving`."""

import json
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.served import Served
from hwmodel.verbs.cases import predict_lines

ASKED: dict[str, Any] = {
    **{"config": "llama-3.1-8b", "input": 2000, "output": 60, "max_batch_tokens": 4096},
    **{"max_batch": 32, "requests": 40, "rate_per_s": 0.4},
}


def served(**given: Any) -> Served:
    return hw.predict(hw.workloads.serving(**{**ASKED, **given}), on="h100")  # pyright: ignore


@pytest.mark.thorough
def test_a_cache_that_is_sent_after_its_prompt_delays_the_second_token() -> None:
    """2,000 tokens of 131,072 bytes over 10 GB/s are 26.2 ms, and the 32nd part by layers.

    By layers all but the last is on its way while the prompt, of more than 26.2 ms, is read.
    """
    whole = served(prefill="tp=1", link="10 GB/s", by_layer=False)
    layers = served(prefill="tp=1", link="10 GB/s")
    free = served(prefill="tp=1", link="1000 TB/s")
    wire_s = 2000 * 131_072 / 10e9
    assert whole.latency_s - free.latency_s == pytest.approx(wire_s, rel=0.01)
    assert layers.latency_s - free.latency_s == pytest.approx(wire_s / 32, rel=0.03)
    assert whole.ttft_s == pytest.approx(free.ttft_s)
    prompt = hw.predict(hw.model("llama-3.1-8b").prefill(1, 2000), on="h100", engine="vllm")
    assert free.ttft_s == pytest.approx(float(prompt.sustained_time_s), rel=0.15)
    step = hw.predict(hw.model("llama-3.1-8b").decode(1, 2030), on="h100", engine="vllm")
    assert free.tpot_s == pytest.approx(float(step.sustained_time_s), rel=0.05)


def test_tokens_are_not_kept_waiting_by_prompts_that_another_pool_reads() -> None:
    """Of one stream: twice the engines that do both wait longer between tokens than two pools."""
    both = served(rate_per_s=10, requests=200, dp=2)
    apart = served(rate_per_s=10, requests=200, prefill={"dp": 1})
    assert apart.devices == both.devices == 2
    assert apart.usd_per_hour == both.usd_per_hour
    assert apart.tpot_p95_s < both.tpot_p95_s
    assert apart.preemptions == 0
    of = apart.requests
    assert (of["scheduled_s"] >= of["arrival_s"]).all()
    assert (of["last_s"] > of["first_s"]).all()
    assert of["output"].tolist() == [60] * 200


def test_pools_of_two_devices_are_said_in_a_case() -> None:
    case = {**ASKED, "workload": "serving", "on": "h100", "prefill": "on=h200,dp=2", "tp": 2}
    (answer,) = predict_lines([json.dumps(case)])
    rents = [float(hw.device(n).price.rent_usd_per_hour or 0) for n in ("h100", "h200")]
    assert answer["usd_per_hour"] == pytest.approx(2 * sum(rents))
    assert answer["parallel"] == {"prefill dp": 2, "tp": 2, "dp": 1}
    assert any("network card" in text for text in answer["warnings"])
    assert answer["energy_j"] > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prefill": "rank=2"}, "unknown field 'rank'"),
        ({"prefill": "tp=0"}, "prefill: tp"),
        ({"prefill": "tp=1", "link": "10 GB"}, "link"),
        ({"prefill": "tp=1", "rate_per_s": None, "concurrency": 2}, "found 2 clients"),
    ],
)
def test_what_makes_no_sense_of_pools_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        served(**given)


@pytest.mark.thorough
def test_a_cap_of_power_slows_the_pool_that_computes() -> None:
    """Of four H100 at 350 instead of 700 W: tokens wait for the DRAM, prompts for the clock."""
    asked: dict[str, Any] = {
        **{"input": 1500, "output": 40, "rate_per_s": 1, "requests": 30, "tp": 4},
        **{"price_per_hour": 3.0},
    }
    llama = hw.model("llama-3.1-70b")

    def served(tokens_w: str, prompts_w: str) -> Any:
        apart = {"tp": 4, "power_limit": prompts_w, "price_per_hour": 1.0}
        return hw.predict(llama.serving(**asked, power_limit=tokens_w, prefill=apart), on="h100")

    whole, tokens = served("700 W", "700 W"), served("350 W", "700 W")
    prompts = served("700 W", "350 W")
    assert tokens.tpot_s == pytest.approx(whole.tpot_s, rel=0.05)
    assert tokens.ttft_s == pytest.approx(whole.ttft_s, rel=1e-6)
    assert prompts.ttft_s > 1.2 * whole.ttft_s
    assert [each.provisioned_w for each in (whole, tokens, prompts)] == [5600, 4200, 4200]
    assert tokens.power_w < whole.power_w
    assert whole.usd_per_hour == 4 * 3 + 4 * 1
    with pytest.raises(InputError, match=r"power_limit: expected watts from \d+ \(idle\) to 700"):
        served("800 W", "700 W")
