"""Steps that verify drafts: tokens of a step by hand, what runs ahead, what both keep."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.quantity.errors import CoverageError, InputError

CHAIN = {"model": "qwen2.5-0.5b", "tokens": 4, "acceptance": 0.7}


def test_tokens_of_a_chain_and_of_a_tree() -> None:
    """0.7 with four drafts: 1 + .7 + .49 + .343 + .2401; four, then two branches: by hand."""
    chain = Drafts.of({"tokens": 4, "acceptance": 0.7})
    assert chain.tokens == pytest.approx(2.7731)
    assert (chain.queries, chain.rows) == (5, (1, 1, 1, 1))
    tree = Drafts.of("tree=4:2,acceptance=0.5")
    assert tree.tokens == pytest.approx(1 + 15 / 16 + 15 / 16 * 3 / 4)
    assert (tree.queries, tree.rows) == (1 + 4 + 8, (1, 4))
    assert tree == Drafts.of({"tree": [4, 2], "acceptance": 0.5})
    assert Drafts(0.0, (1, 1)).steps([7, 0, 1]) == [7, 0, 1]


def test_steps_are_drawn_with_the_mean_that_the_chances_have() -> None:
    chain = Drafts(0.6, (1, 1, 1))
    steps = np.array(chain.steps([5000] * 40, seed=2))
    assert 5000 / steps.mean() == pytest.approx(chain.tokens, rel=0.01)
    assert len(set(steps.tolist())) > 10
    assert chain.steps([50] * 9, seed=3) == chain.steps([50] * 9, seed=3)


def _rows(stack: Any, role: str) -> set[int]:
    """M of the products of a role."""
    found = (s.cascade.origin.arguments for s in stack.stages if s.role == role)
    return {each["M"] for each in found}


def test_a_step_verifies_five_tokens_of_each_sequence_on_one_cache() -> None:
    """Three sequences: products and logits of 15 rows, 5 queries a sequence on 1,000 keys."""
    made: Any = hw.model("llama-3.1-8b").decode(3, 1000, draft=CHAIN)
    assert _rows(made, "head") == {15}
    (scores,) = (s.cascade.origin.arguments for s in made.stages if s.role == "attention.scores")
    assert (scores["batch"], scores["queries"], scores["keys"]) == (3, 5, 1000)
    assert made.served.tokens == pytest.approx(3 * 2.7731)
    ((ahead, times),) = made.ahead
    assert (ahead.name, times) == ("qwen2.5-0.5b decode", 4)
    assert _rows(ahead, "head") == {3}


def test_a_tree_is_drafted_level_by_level_and_prompts_are_read_by_both() -> None:
    tree = "model=qwen2.5-0.5b,tree=4:2:1,acceptance=0.7"
    llama = hw.model("llama-3.1-8b")
    made: Any = llama.mixed(2, 1000, prompt=300, prompts=1, draft=tree)
    assert _rows(made, "head") == {2 * 21 + 1}
    assert [(_rows(ahead, "head"), times) for ahead, times in made.ahead] == [
        ({1}, 1),  # the prompt
        ({2}, 1),
        ({2 * 4}, 1),
        ({2 * 8}, 1),
    ]
    read: Any = llama.prefill(1, 300, draft=tree)
    assert [(ahead.name, times) for ahead, times in read.ahead] == [("qwen2.5-0.5b prefill", 1)]


def test_each_group_of_the_drafts_devices_keeps_its_weights_and_cache() -> None:
    """On four devices a draft of two is there twice; what takes no time keeps nothing."""
    llama, small = hw.model("llama-3.1-8b"), hw.model("qwen2.5-0.5b")
    alone: Any = llama.decode(1, 1000, tp=4)
    both: Any = llama.decode(1, 1000, tp=4, draft={**CHAIN, "tp": 2})
    more = both.served.weights_bytes - alone.served.weights_bytes
    assert more == pytest.approx(2 * small.weight_bytes, rel=1e-3)
    kept = both.served.kv_bytes_per_token - alone.served.kv_bytes_per_token
    assert kept == pytest.approx(2 * small.kv_bytes_per_token)
    free: Any = llama.decode(1, 1000, tp=4, draft={"tokens": 4, "acceptance": 0.7})
    assert free.served.weights_bytes == alone.served.weights_bytes
    assert free.ahead == ()


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ({"model": "qwen2.5-0.5b", "tokens": 4}, "acceptance: expected a chance"),
        ({"model": "qwen2.5-0.5b", "acceptance": 0.5}, "tokens .* or a tree"),
        ("tree=4:x,acceptance=0.5", "branches by level, such as 4:2:1"),
        ({"tokens": 4, "acceptance": 1.5}, "below 1"),
        ({"drafts": 4, "acceptance": 0.5}, "unknown field 'drafts'"),
        ({**CHAIN, "tp": 3}, "expected a divisor of tp=4, found 3"),
        ({"tokens": 2000, "acceptance": 0.5}, "expected at least the 2001 tokens"),
    ],
)
def test_what_makes_no_sense_of_drafts_is_refused(draft: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        hw.model("llama-3.1-8b").decode(1, 1000, tp=4, draft=draft)


def test_models_that_cannot_verify_are_refused() -> None:
    """States of a recurrence go on with every token; a pipeline's draft has no place."""
    with pytest.raises(CoverageError, match="states of recurrences are not rolled back"):
        hw.model("mamba2-2.7b").decode(1, 1000, draft=CHAIN)
    with pytest.raises(CoverageError, match="tp, dp and ep alone"):
        hw.model("llama-3.1-8b").decode(4, 1000, parallel={"pp": 2}, draft=CHAIN)


def test_a_models_own_module_drafts_with_the_ends_that_it_shares() -> None:
    """DeepSeek-V3's: a layer of 256 experts and a product of twice the width, on all 8 devices."""
    deepseek = hw.model("deepseek-v3")
    parallel = {"tp": 8, "ep": 8}
    given: dict[str, Any] = {"parallel": parallel, "draft": "model=mtp,tokens=2,acceptance=0.8"}
    made: Any = deepseek.decode(16, 2048, **given)
    ((ahead, times),) = made.ahead
    assert times == 2
    assert made.served.tokens == pytest.approx(16 * (1 + 0.8 + 0.64))
    plain: Any = deepseek.decode(16, 2048, parallel=parallel)
    split = 257 * 3 * 7168 * 2048 + 1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168
    whole = 7168 * (1536 + 576)  # the latents, on each device; so are the product of both, and
    wide = 2 * (2 * 7168**2 + 256 * 7168)  # the router, in bf16
    more = made.served.weights_bytes - plain.served.weights_bytes
    assert more == pytest.approx(split + 8 * (whole + wide), rel=0.002)
    layers = plain.served.kv_bytes_per_token / 61
    assert made.served.kv_bytes_per_token - plain.served.kv_bytes_per_token == layers
    assert {stage.name for stage in ahead.stages} >= {"embedding norm", "hidden norm", "head"}
    on = hw.device("h200") * 8
    seconds = [float(hw.predict(each, on=on).time_s) for each in (plain, made)]
    assert 1 < seconds[1] / seconds[0] < 1.6
    with pytest.raises(CoverageError, match="a module that predicts a further token"):
        hw.model("llama-3.1-8b").decode(3, 1000, draft="model=mtp,tokens=1,acceptance=0.5")
