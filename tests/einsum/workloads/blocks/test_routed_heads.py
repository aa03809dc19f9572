"""Experts of attention: JetMoE, counted by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

SIZES: dict[str, Any] = {
    **{"model_type": "jetmoe", "vocab_size": 320, "hidden_size": 96, "num_hidden_layers": 3},
    **{"intermediate_size": 136, "num_attention_heads": 6, "num_key_value_heads": 3},
    **{"kv_channels": 16, "num_local_experts": 8, "num_experts_per_tok": 2},
}


def test_a_token_s_queries_are_made_by_its_experts_and_keys_are_shared_by_their_sets() -> None:
    made = {stage.name: stage for stage in model(SIZES).decode(4, 100).stages}
    queries, scores = made["experts q"].cascade.sizes(), made["attention"].cascade.sizes()
    assert (queries["n"], queries["k"]) == (3 * 16, 96)
    assert (scores["h"], scores["g"]) == (3, 2)
    assert made["kv"].cascade.sizes()["n"] == 2 * 3 * 16
    assert "qkv" not in made
    assert "attention output" not in made


def test_what_is_kept_and_what_a_token_uses() -> None:
    read = model(SIZES)
    assert read.kv_bytes_per_token == 3 * 2 * 3 * 16 * 2
    idle = 3 * 6 * (2 * 48 * 96 + 3 * 136 * 96)  # six of eight experts of attention and MLP
    assert read.active_parameters == read.parameters - idle


def test_a_step_is_predicted_with_and_without_an_engine() -> None:
    step = model(SIZES).decode(4, 100)
    assert hw.predict(step, on="h200").time_s > 0
    assert hw.predict(step, on="h200", engine="vllm").time_s > 0


def test_heads_are_as_many_sets_as_experts_of_a_token() -> None:
    with pytest.raises(InputError, match="num_attention_heads: expected num_key_value_heads times"):
        model({**SIZES, "num_attention_heads": 9})
