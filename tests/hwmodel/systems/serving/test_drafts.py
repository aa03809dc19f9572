"""Drafts that are verified: tokens of a step by hand, steps drawn, and what they save."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.drafts import Drafts, Verifying, restored, stepped
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler


def test_tokens_of_a_chain_and_of_a_tree() -> None:
    """0.7 with four drafts: 1 + .7 + .49 + .343 + .2401; four, then two branches: by hand."""
    chain = Drafts.of({"tokens": 4, "acceptance": 0.7})
    assert chain.tokens == pytest.approx(2.7731)
    assert (chain.queries, chain.rows) == (5, (1, 1, 1, 1))
    tree = Drafts.of({"tree": [4, 2], "acceptance": 0.5})
    assert tree.tokens == pytest.approx(1 + 15 / 16 + 15 / 16 * 3 / 4)
    assert (tree.queries, tree.rows) == (1 + 4 + 8, (1, 4))
    assert Drafts(0.0, (1, 1)).steps([7, 0, 1]) == [7, 0, 1]


def test_steps_are_drawn_with_the_mean_that_the_chances_have() -> None:
    chain = Drafts(0.6, (1, 1, 1))
    steps = np.array(chain.steps([5000] * 40, seed=2))
    assert 5000 / steps.mean() == pytest.approx(chain.tokens, rel=0.01)
    assert len(set(steps.tolist())) > 10
    assert chain.steps([50] * 9, seed=3) == chain.steps([50] * 9, seed=3)


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
    clock = Verifying(large, small, drafts, later, 10_000)
    ran = restored(run(told, clock, Scheduler(in_flight=1, queries=drafts.queries)), asked)
    (stay,) = ran.stays
    assert (stay.first_s, stay.last_s) == (11.0, 11.0 + 2 * 12.0)
    assert stay.request.output == 7
    verified = [batch for batch in large.asked if batch.decodes]
    assert {batch.queries for batch in verified} == {3}
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


def test_a_lone_request_is_as_much_quicker_as_its_steps_say() -> None:
    """E T(1) over T(5 tokens on one cache) and four of the draft's, less what the host takes."""
    large, draft = hw.model("llama-3.1-8b"), {"model": "qwen2.5-0.5b", "tokens": 4}
    alone: Any = hw.predict(large.serving(**ASKED), on="h200")
    found: Any = hw.predict(large.serving(**ASKED, draft={**draft, "acceptance": 0.8}), on="h200")

    def step_s(work: Any) -> float:
        return float(hw.predict(work, on="h200", engine="vllm").sustained_time_s)

    small = hw.model("qwen2.5-0.5b").decode(1, 1060)
    kernels = hw.predict(small, on="h200", engine="vllm").parts
    drafting = 4 * sum(float(p.times * p.sustained_s) for p in kernels if not p.host)
    verified = step_s(large.mixed(4, 1060, prompts=1, prompt=1060, cached=1059))
    tokens = 1 + 0.8 + 0.8**2 + 0.8**3 + 0.8**4
    wanted = (verified + drafting) / tokens
    assert found.tpot_s == pytest.approx(wanted, rel=0.12)
    assert found.tpot_s < 0.7 * alone.tpot_s
    assert found.kv_tokens < alone.kv_tokens
    assert any("3.36 tokens a step" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ({"model": "qwen2.5-0.5b", "tokens": 4}, "acceptance"),
        ({"model": "qwen2.5-0.5b", "acceptance": 0.5}, "tokens .* or a tree"),
        ({"tokens": 4, "acceptance": 0.5}, "expected a model"),
        ({"model": "qwen2.5-0.5b", "tokens": 4, "acceptance": 1.5}, "below 1"),
        ({"model": "qwen2.5-0.5b", "drafts": 4, "acceptance": 0.5}, "unknown field 'drafts'"),
    ],
)
def test_what_makes_no_sense_of_drafts_is_refused(draft: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        hw.predict(hw.model("qwen3-0.6b").serving(**ASKED, draft=draft), on="h200")
