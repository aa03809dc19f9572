"""Drafts that are verified in a stream: steps by hand, and what they save."""

from dataclasses import dataclass, field
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.drafts import Verifying, restored, stepped
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler


@dataclass(eq=False)
class Told:
    """Every step takes as long as is said; what was asked is kept."""

    step_s: float
    kv_tokens: int = 10_000
    asked: list[Batch] = field(default_factory=list[Batch])

    def seconds(self, batch: Batch) -> float:
        self.asked.append(batch)
        return self.step_s

    def joules(self, batch: Batch) -> float:
        return self.step_s


def test_two_drafts_that_are_always_right_make_three_tokens_a_step() -> None:
    """Of seven tokens the first is the prompt's, after 10 + 1 s, and two steps of 10 + 2 x 1 s."""
    drafts, asked = Drafts(1 - 1e-12, (1, 1)), [Request(0.0, 32, 7)]
    told, later, share = stepped(asked, drafts, 0)
    assert (told[0].output, later, share) == (3, 2.0, pytest.approx(33.5 / 35.5))
    large, small = Told(10.0), Told(1.0)
    clock = Verifying(large, {1: small}, drafts, later, 10_000)
    ran = restored(run(told, clock, Scheduler(in_flight=1, queries=drafts.queries)), asked)
    (stay,) = ran.stays
    assert (stay.first_s, stay.last_s) == (11.0, 11.0 + 2 * 12.0)
    assert stay.request.output == 7
    verified = [batch for batch in large.asked if batch.decodes]
    assert [b.keys for b in small.asked if b.decodes] == [35, 35, 36, 36]
    assert [batch.keys for batch in verified] == [35, 36]  # 33 and 34, and two keys more


def test_a_budget_holds_what_is_verified() -> None:
    """Two that decode take 2 x 5 of 16 tokens: 6 of the third's 9 are read beside them."""
    drafts = Drafts(0.5, (1, 1, 1, 1))
    clock = Told(1.0)
    rules = Scheduler(max_batch_tokens=16, in_flight=1, queries=drafts.queries)
    run([Request(0.0, 8, 9), Request(0.0, 8, 9), Request(0.5, 9, 2)], clock, rules)
    assert [(b.decodes, b.new) for b in clock.asked[:3]] == [(0, 16), (2, 6), (2, 3)]


ASKED: dict[str, Any] = {
    **{"input": 1000, "output": 120, "requests": 40, "rate_per_s": 0.2},
    **{"max_batch_tokens": 2048, "max_batch": 32},
}


def test_a_lone_request_waits_for_the_steps_that_predict_has() -> None:
    """A token takes a step's seconds over its 3.36 tokens, and answers end within a step."""
    draft = {"model": "qwen2.5-0.5b", "tokens": 4, "acceptance": 0.8}
    large = hw.model("llama-3.1-8b")
    alone: Any = hw.predict(large.serving(**ASKED), on="h200")
    found: Any = hw.predict(large.serving(**ASKED, draft=draft), on="h200")
    step: Any = hw.predict(large.decode(1, 1060, draft=draft), on="h200", engine="vllm")
    assert 1 < found.tpot_s / step.time_per_token_s < 1 + 2 / (119 / 3.36)
    assert found.tpot_s < 0.7 * alone.tpot_s
    kept, more = 128 * 1024, 12 * 1024  # bytes of a token: 2 x 32 x 1024 x 2 and 2 x 24 x 128 x 2
    assert found.kv_tokens / alone.kv_tokens == pytest.approx(kept / (kept + more), rel=0.01)
    assert any("3.36 tokens a step" in text for text in found.warnings)


@pytest.mark.thorough
def test_prompts_that_are_read_apart_send_both_caches() -> None:
    """7/1024 of Llama's bytes a token ride along, and the first token does not wait for drafts."""
    asked = {**ASKED, "link": "1 GB/s", "by_layer": False, "prefill": "tp=1"}
    large, draft = hw.model("llama-3.1-8b"), {"model": "qwen2.5-0.5b", "tokens": 4}
    found: Any = hw.predict(large.serving(**asked, draft={**draft, "acceptance": 0.8}), on="h200")
    plain: Any = hw.predict(large.serving(**asked), on="h200")
    later_s = (found.waits["latency"] - found.waits["ttft"]).mean() - 119 * found_step_s(large)
    shipped_s = 1000 * (128 + 12) * 1024 / 1e9
    assert later_s == pytest.approx(shipped_s, rel=0.25)
    assert plain.latency_s - plain.ttft_s > 0.128 * 1.024
    assert found.devices == 2


def found_step_s(large: Any) -> float:
    """Seconds a token of a lone request's steps."""
    draft = {"model": "qwen2.5-0.5b", "tokens": 4, "acceptance": 0.8}
    step: Any = hw.predict(large.decode(1, 1060, draft=draft), on="h200", engine="vllm")
    return step.time_per_token_s


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ({"model": "qwen2.5-0.5b", "tokens": 4}, "acceptance"),
        ({"model": "qwen2.5-0.5b", "acceptance": 0.5}, "tokens .* or a tree"),
        ({"model": "qwen2.5-0.5b", "tokens": 4, "acceptance": 1.5}, "below 1"),
        ({"model": "qwen2.5-0.5b", "drafts": 4, "acceptance": 0.5}, "unknown field 'drafts'"),
    ],
)
def test_what_makes_no_sense_of_drafts_is_refused(draft: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        hw.predict(hw.model("qwen3-0.6b").serving(**ASKED, draft=draft), on="h200")
