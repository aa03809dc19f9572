"""Steps of several groups of sequences: what must hold of any model, and of one counted by hand."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.network import Stack
from hwmodel.einsum.space import region
from hwmodel.einsum.workloads.model import llm, model
from hwmodel.quantity.errors import InputError

OF_EACH_KIND = (
    *("llama-3.1-8b", "gemma-3-1b", "gpt-oss-20b", "deepseek-v2-lite", "deepseek-v3.2"),
    "llama-4-scout",
    *("qwen3-next-80b-a3b", "mamba-2.8b", "mamba2-2.7b", "falcon-h1-7b", "jamba-v0.1", "lfm2-1.2b"),
    *("nemotron-3-nano-30b-a3b", "t5-base", "whisper-large-v3"),
)  # fmt: skip
"""A shipped model of every kind of block that looks at sequences."""


def operations(stack: Stack) -> float:
    return float(
        sum(
            stage.times * count
            for stage in stack.stages
            for count in cascade_counts(stage.cascade).values()
        )
    )


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_operations_of_a_mixed_step_are_those_of_its_groups(name: str) -> None:
    """But for the choice among a mixture's rows, a sort, which costs a little more for all."""
    read = model(name)
    alone = operations(read.decode(24, 4096)) + operations(read.prefill(3, 3072, cached=2048))
    mixed = operations(read.mixed(24, 4096, prompt=3072, prompts=3, cached=2048))
    assert mixed == pytest.approx(alone, rel=1e-7)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "deepseek-v3.2", "nemotron-3-nano-30b-a3b"])
def test_a_group_of_no_sequences_is_none(name: str) -> None:
    read = model(name)
    decode, prefill = read.decode(8, 1000), read.prefill(2, 512, cached=128)
    assert read.mixed(8, 1000, prompts=0).stages == decode.stages
    assert read.mixed(0, prompt=512, prompts=2, cached=128).stages == prefill.stages
    for made, same in (
        (read.mixed(8, 1000, prompts=0), decode),
        (read.mixed(0, prompt=512, prompts=2, cached=128), prefill),
    ):
        assert made.served == same.served or vars(made.served) == vars(same.served)


def test_products_run_over_all_tokens_and_attention_over_each_group() -> None:
    made = model("llama-3.1-8b").mixed(24, 4096, prompt=3072, prompts=3, cached=2048)
    sizes = {stage.name: stage.cascade.sizes() for stage in made.stages}
    assert sizes["gate-up"]["m"] == 24 + 3 * 1024
    assert sizes["head"]["m"] == 27
    scores = [stage.cascade for stage in made.stages if stage.role == "attention.scores"]
    pairs = [region(each.einsums[0], each, ("p", "m1", "m0")) for each in scores]
    assert pairs == [4096, 1024 * 2048 + 1024 * 1025 // 2]
    assert [each.sizes()["b"] for each in scores] == [24, 3]


def test_the_cache_of_a_mixed_step_is_that_of_its_groups() -> None:
    read = model("gemma-3-1b")
    served = read.mixed(24, 4096, prompt=3072, prompts=3, cached=2048).served
    assert served is not None
    held = served.batch * served.context * served.kv_bytes_per_token
    assert held == pytest.approx(read.kv_bytes(24, 4096) + read.kv_bytes(3, 3072), rel=1e-12)
    assert (served.tokens, served.batch, served.longest) == (24 + 3 * 1024, 27, 4096)


def test_sizes_of_a_mixed_step_may_be_arrays() -> None:
    read, prompts = model("qwen3-0.6b"), np.array([256.0, 512.0, 1024.0])
    every = hw.predict(read.mixed(16, 2048, prompt=prompts, cached=128), on="h200")
    for place, prompt in enumerate(prompts):
        one = hw.predict(read.mixed(16, 2048, prompt=int(prompt), cached=128), on="h200")
        assert every.time_s[place] == pytest.approx(one.time_s, rel=1e-9)


def test_a_mixed_step_takes_less_than_its_groups_one_after_the_other() -> None:
    """Weights are read once."""
    read = model("llama-3.1-8b")
    alone = [read.decode(32, 2048), read.prefill(1, 256)]
    both = read.mixed(32, 2048, prompt=256)
    times = [hw.predict(each, on="h200").time_s for each in (*alone, both)]
    assert max(times[:2]) < times[2] < 0.8 * sum(times[:2])


def test_a_mixed_step_is_asked_for_in_words() -> None:
    line: dict[str, Any] = {"config": "qwen3-0.6b", "phase": "mixed", "batch": 8, "context": 512}
    line |= {"prompt": 256, "prompts": 2, "cached": 64, "on": "h200"}
    asked = hw.ask("predict", workload="llm", **line)
    made = hw.predict(model("qwen3-0.6b").mixed(8, 512, 256, 2, 64), on="h200")
    assert asked.time_s == made.time_s
    alone = hw.ask("predict", workload="llm", **{**line, "batch": 0, "context": None})
    prefill = model("qwen3-0.6b").prefill(2, 256, cached=64)
    assert alone.time_s == hw.predict(prefill, on="h200").time_s


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"batch": 0, "prompts": 0}, "mixed: expected sequences"),
        ({"batch": 8, "prompts": 0}, "expected 'context' with batch=8, found none"),
        ({"batch": 8, "context": 100}, "expected 'prompt' with prompts=1, found none"),
        ({"batch": -1, "prompt": 100}, "mixed: batch: expected"),
        ({"batch": [0, 8], "context": 100}, "found both in one array"),
        ({"batch": 8, "context": 100, "prompt": 64, "cached": 64}, "mixed: cached: expected fewer"),
    ],
)
def test_what_no_mixed_step_has_is_refused(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        model("qwen3-0.6b").mixed(**sizes)


def test_an_encoder_has_no_mixed_step_and_other_phases_no_prompts() -> None:
    with pytest.raises(InputError, match="bert-base: mixed: expected a model that makes tokens"):
        model("bert-base").mixed(8, 100, 100)
    with pytest.raises(InputError, match="decode: prompts: expected none"):
        llm("qwen3-0.6b", "decode", 8, context=100, prompts=2)
    with pytest.raises(InputError, match="llm: batch: expected a number above 0, found 0"):
        hw.ask(
            "predict", workload="llm", config="gpt2", phase="decode", batch=0, context=9, on="h200"
        )
