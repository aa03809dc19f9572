"""Tokens attended to elsewhere: a step by hand, a host whose caches are full, devices apart."""

from dataclasses import replace
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.systems.serving.attended import Attended, Elsewhere
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler

HOST = Elsewhere(None, 0, memory_bytes=1600.0, rate_bytes_per_s=10.0, link_bytes_per_s=5.0)
STEPS = Attended(HOST, (1, 9), (1.0, 9.0), (2.0, 18.0), 0.5, 1.0, 3.0, 0.25, 0.0, idle_w=7.0)
"""A token is a second of products and a byte of cache; a sequence sends three bytes."""
ASK: dict[str, Any] = {"input": 300, "output": 20, "concurrency": 8, "requests": 16}


def test_a_step_takes_the_longest_of_what_goes_on_at_once() -> None:
    assert STEPS.kv_tokens == 1600
    # 4 s of products; 400 bytes are read in 40 s; 12 bytes are sent in 2.4 s.
    assert STEPS.seconds(Batch(4, 400)) == 40.0
    # 4 s, 4 s and 2.4 s one after the other for each half, and a message's way.
    assert STEPS.seconds(Batch(4, 40)) == pytest.approx((4 + 4 + 2.4) / 2 + 0.25)
    assert STEPS.seconds(Batch(0, 0, 1, 8, 36)) == 8 + 36 * 0.5
    assert replace(STEPS, streams_s=99.0).seconds(Batch(4, 400)) == 99.0
    assert STEPS.seconds(Batch()) == 0.0
    assert STEPS.joules(Batch(4, 400)) == 8.0 + 7.0 * 36.0


def test_full_caches_bound_the_tokens_of_a_pass_over_weights() -> None:
    """MoE-Lens: of prompts of 96 and 32 tokens out a token of room holds 0.036 of them a step.

    (p + g) / sum over j to g of (p + j), here in blocks of 16; little but what gives way is lost.
    """
    host = Elsewhere(None, 0, 131072.0 * 53_400, 1e15, 1e15)
    quick = replace(STEPS, elsewhere=host, products_s=(0.0, 0.0), pair_s=0.0, kv_bytes=131072.0)
    rules = Scheduler(in_flight=1).but(max_batch_tokens=1900, max_batch=4096)
    asked = [Request(0.0, 96, 32)] * 3000
    ran = run(asked, replace(quick, streams_s=4.8), rules)
    ends = sorted(stay.last_s for stay in ran.stays)
    ours = 1000 * 128 / (ends[2000] - ends[1000])
    room = sum(16 * -(-(96 + each) // 16) for each in range(33))
    assert ours == pytest.approx(128 / room * 53_400 / 4.8, rel=0.08)


def test_devices_that_attend_hold_more_sequences_and_are_paid_for() -> None:
    llm = hw.model("llama-3.1-8b")
    away = {"on": "h20", "devices": 2, "price_per_hour": 4.0}
    work = llm.serving(**ASK, attention=away, price_per_hour=10.0)
    found: Any = hw.predict(work, on="h100")
    assert found.devices == 3
    assert found.usd_per_hour == 18.0
    assert found.kv_tokens == int(0.9 * 2 * 96e9 / float(llm.kv_bytes_per_token))
    assert "H20" in found.device
    assert found.intervals == {}
    slow: Any = hw.predict(work.but(attention={**away, "link": "0.1 GB/s"}), on="h100")
    assert slow.tpot_s > 2 * found.tpot_s


def test_weights_stream_to_devices_that_do_not_hold_them() -> None:
    host = "rate=150GB/s,memory=70GB,link=20GB/s"
    work = hw.model("mixtral-8x7b").serving(**ASK, attention=host)
    found: Any = hw.predict(work, on="a40", offload={"rate": "20 GB/s"})
    assert found.tpot_s == pytest.approx(model("mixtral-8x7b").weight_bytes / 20e9, rel=0.01)
    with pytest.raises(CapacityError, match="let them stream"):
        hw.predict(work, on="a40")


def test_what_is_not_modelled_beside_it_is_refused() -> None:
    llm = hw.model("qwen3-0.6b")
    host, draft = "rate=150GB/s,memory=70GB,link=20GB/s", {"tokens": 2, "acceptance": 0.5}
    with pytest.raises(InputError, match="no link"):
        hw.predict(llm.serving(**ASK, attention="rate=1GB/s,memory=1GB"), on="h100")
    with pytest.raises(InputError, match="attention: expected it without draft"):
        hw.predict(llm.serving(**ASK, attention=host, draft=draft), on="h100")
    with pytest.raises(CoverageError, match="weights at a rate"):
        hw.predict(llm.serving(**ASK, attention=host), "h100", offload={"what": "cache"})
    with pytest.raises(CoverageError, match="offload"):
        hw.predict(llm.serving(**ASK), on="h100", offload={"rate": "1 GB/s"})


def test_devices_that_multiply_draw_no_more_than_their_limit() -> None:
    asked = {**ASK, "tp": 4, "attention": "on=h20,devices=2"}
    found: Any = hw.predict(hw.model("llama-3.1-70b").serving(**asked), on="h100")
    assert 0 < found.power_w < 4 * float(hw.device("h100").power.limit_w)
