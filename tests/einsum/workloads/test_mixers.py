"""State models and hybrids: states by hand, patterns of layers, what does not grow."""

import json
from collections import Counter
from math import ceil
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.quantity.errors import CoverageError, HwmodelError, InputError
from hwmodel.quantity.units import Amount
from hwmodel.validation.rows import DATA

NEMOTRON = {
    # NVIDIA Nemotron 3 Nano: 23 mixers, 23 layers of experts, 6 of attention.
    **{"model_type": "nemotron_h", "hidden_size": 2688, "vocab_size": 131072},
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    **{"mamba_num_heads": 64, "mamba_head_dim": 64, "n_groups": 8, "ssm_state_size": 128},
    **{"num_attention_heads": 32, "num_key_value_heads": 2, "head_dim": 128},
    **{"n_routed_experts": 128, "num_experts_per_tok": 6, "moe_intermediate_size": 1856},
    **{"moe_shared_expert_intermediate_size": 3712, "mamba_ssm_cache_dtype": "float32"},
    **{"torch_dtype": "bfloat16", "conv_kernel": 4},
}
NEXT = {
    # Qwen3-Next-80B-A3B: three layers of four are gated delta networks.
    **{"model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48},
    **{"vocab_size": 151936, "torch_dtype": "bfloat16"},
}


def state_bytes(read: Model) -> Amount:
    return read.kv_bytes(1, 1) - read.kv_bytes_per_token


def test_states_of_a_hybrid_by_hand() -> None:
    read = model(NEMOTRON)
    mixer = 64 * 64 * 128 * 4 + 3 * (64 * 64 + 2 * 8 * 128) * 2  # heads in fp32, 3 inputs in bf16
    assert state_bytes(read) == 23 * mixer
    assert read.whole.kept_layers == (23, 6)
    assert read.kv_bytes_per_token == 6 * 2 * 2 * 128 * 2
    assert read.parameters == 31_577_937_344  # as transformers builds it


def test_states_of_gated_delta_networks_by_hand() -> None:
    read = model(NEXT)
    mixer = 32 * 128 * 128 * 2 + 3 * (2 * 16 * 128 + 32 * 128) * 2
    assert state_bytes(read) == 36 * mixer
    assert read.kv_bytes_per_token == 12 * 2 * 2 * 256 * 2
    assert read.kv_bytes(4, 10_000) == 4 * (36 * mixer + 10_000 * read.kv_bytes_per_token)
    assert read.parameters == 79_674_391_296


def test_a_page_of_a_real_engine_holds_the_states_of_a_layer() -> None:
    """A page of vLLM is padded to whole groups of 16 tokens of a layer that attends."""
    ran = json.loads((DATA / "h200/2026-11-29-aa/header.json").read_text())["engines"]
    pages = {group["page_bytes"] for group in ran["qwen3-next-80b-a3b.24layers"]["cache_groups"]}
    read, group_bytes = model(NEXT), 16 * 2 * 2 * 256 * 2
    assert pages == {ceil(state_bytes(read) / 36 / group_bytes) * group_bytes}


def test_a_model_of_states_alone_keeps_no_tokens() -> None:
    read = model({"model_type": "mamba2", "torch_dtype": "bfloat16"})
    mixer = 128 * 64 * 128 * 2 + 3 * (8192 + 2 * 8 * 128) * 2
    assert read.kv_bytes_per_token == 0
    assert read.kv_bytes(1, 10) == read.kv_bytes(1, 1_000_000) == 64 * mixer


def test_a_state_may_be_kept_in_half_the_bits() -> None:
    wide, narrow = (
        state_bytes(model({**NEMOTRON, "mamba_ssm_cache_dtype": kind}))
        for kind in ("float32", "bfloat16")
    )
    assert wide - narrow == 23 * 64 * 64 * 128 * 2


def test_a_pattern_says_what_each_layer_is() -> None:
    read = model(NEMOTRON)
    made = Counter[str]()
    for stage in read.decode(batch=1, context=64).stages:
        made[stage.name] += int(stage.times)
    assert made["linear recurrence"] == made["experts up"] == 23
    assert made["attention"] == 6
    assert made["experts down"] == made["up"] == 23  # routed experts, and the one beside them
    assert not any("rotary" in name for name in made)
    with pytest.raises(CoverageError, match="'X' is not modelled"):
        model({**NEMOTRON, "hybrid_override_pattern": "MX"})
    with pytest.raises(InputError, match="each of the 3 layers, found 2"):
        model({**NEMOTRON, "hybrid_override_pattern": "M*", "num_hidden_layers": 3})


def test_devices_divide_states_by_heads_and_repeat_few_groups() -> None:
    read = model({**NEMOTRON, "n_groups": 2})
    whole, part = read.whole, read.shard(4)
    assert part.state_bytes * 4 == whole.state_bytes
    (decode,) = (s for s in read.decode(2, 64, tp=4).stages if s.name == "linear recurrence")
    ranks = decode.cascade.ranks
    assert (ranks["g"].size, ranks["r"].size) == (1, 16)  # one of 2 groups, 16 of 64 heads
    with pytest.raises(HwmodelError, match="mamba heads"):
        read.decode(2, 64, tp=3)


def test_a_prompt_takes_one_call_and_a_token_another() -> None:
    read = model(NEXT)
    prompt, token = (
        next(s.cascade for s in run.stages if s.name == "delta recurrence")
        for run in (read.prefill(1, 4096), read.decode(1, 4096))
    )
    assert prompt.ranks["c"].size == 4096 // 64
    assert "c" not in token.ranks


SMALL = {"torch_dtype": "bfloat16", "vocab_size": 320, "hidden_size": 96, "num_hidden_layers": 4}
HEADS = {"num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 136}
STATES: dict[str, tuple[dict[str, Any], int, int]] = {
    # What a sequence keeps whatever its length: states in the model's format unless it says another
    # or its kernels keep fp32, and last inputs of convolutions; then the bytes of a token in layers
    # of attention.
    "mamba": ({"state_size": 16}, 4 * (192 * 16 * 2 + 192 * 3 * 2), 0),
    "jamba": (
        {**HEADS, "attn_layer_period": 4, "attn_layer_offset": 2},
        3 * (192 * 16 * 2 + 192 * 3 * 2),
        1 * 2 * 2 * 16 * 2,
    ),
    "bamba": (
        {**HEADS, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_state": 10},
        3 * (8 * 24 * 10 * 2 + (192 + 2 * 10) * 3 * 2),
        1 * 2 * 2 * 16 * 2,
    ),
    "falcon_h1": (
        {**HEADS, "mamba_d_ssm": 192, "mamba_n_heads": 8, "mamba_d_state": 10},
        4 * (8 * 24 * 10 * 2 + (192 + 2 * 10) * 3 * 2),
        4 * 2 * 2 * 16 * 2,  # beside the mixer in every layer
    ),
    "granitemoehybrid": (
        {
            **{**HEADS, "layer_types": ["mamba", "attention", "mamba", "mamba"]},
            **{"mamba_n_heads": 8, "mamba_d_state": 10, "mamba_n_groups": 2},
        },
        3 * (8 * 24 * 10 * 2 + (192 + 2 * 2 * 10) * 3 * 2),
        1 * 2 * 2 * 16 * 2,
    ),
    "lfm2": ({**HEADS, "full_attn_idxs": [3]}, 3 * 96 * 2 * 2, 1 * 2 * 2 * 16 * 2),
    "minimax": ({**HEADS, "head_dim": 24}, 2 * 6 * 24 * 24 * 2, 2 * 2 * 2 * 24 * 2),
    "olmo_hybrid": (
        {**HEADS, "linear_num_key_heads": 2, "linear_num_value_heads": 4}
        | {"linear_key_head_dim": 12, "linear_value_head_dim": 10},
        3 * (4 * 12 * 10 * 2 + (2 * 24 + 40) * 3 * 2),
        1 * 2 * 2 * 16 * 2,
    ),
    "recurrent_gemma": ({**HEADS}, 3 * (96 * 4 + 96 * 3 * 2), 1 * 2 * 2 * 16 * 2),
    "rwkv": ({}, 4 * (96 * 3 * 4 + 2 * 96 * 2), 0),
    "kimi_linear": (
        {
            **{**HEADS, "num_experts": 8, "num_experts_per_token": 2},
            "linear_attn_config": {"num_heads": 2, "head_dim": 12, "full_attn_layers": [4]},
        },
        3 * (2 * 12 * 12 * 4 + 3 * 24 * 3 * 2),
        1 * (512 + 64) * 2,  # one layer of latents
    ),
    "zamba": (
        {**HEADS, "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"]},
        4 * (192 * 16 * 2 + 192 * 3 * 2),
        2 * 2 * 2 * 32 * 2,  # heads of hidden states and the embedding side by side
    ),
    "zamba2": (
        {**HEADS, "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"]},
        4 * (8 * 24 * 64 * 2 + (192 + 2 * 64) * 3 * 2),
        2 * 2 * 2 * 32 * 2,
    ),
    "xlstm": ({"num_heads": 6}, 4 * 6 * 8 * (16 + 1) * 4, 0),
}


@pytest.mark.parametrize("model_type", STATES)
def test_states_and_caches_of_each_family_by_hand(model_type: str) -> None:
    keys, states, token = STATES[model_type]
    read = model({"model_type": model_type, **SMALL, **keys})
    assert read.whole.state_bytes == states
    assert read.kv_bytes_per_token == token


def test_attention_of_a_hybrid_may_see_a_window() -> None:
    read = model({"model_type": "recurrent_gemma", **SMALL, **HEADS, "attention_window_size": 64})
    assert read.kv_bytes(1, 10_000) == read.whole.state_bytes + 64 * 2 * 2 * 16 * 2


@pytest.mark.parametrize("model_type", STATES)
def test_each_family_is_predicted_in_both_phases(model_type: str) -> None:
    keys, *_ = STATES[model_type]
    read = model({"model_type": model_type, **SMALL, **keys})
    for run in (read.prefill(2, 300), read.decode(3, 500)):
        estimate = hw.predict(run, on="h200")
        assert estimate.time_s > estimate.bound_s > 0


def test_layers_that_share_a_transformer_hold_it_once_and_run_it_each() -> None:
    keys = {**HEADS, "layers_block_type": ["hybrid", "hybrid", "hybrid", "mamba"]}
    one, two = (
        model({"model_type": "zamba2", **SMALL, **keys, "num_mem_blocks": n}) for n in (1, 2)
    )
    attention = 192 * 192 + 2 * 64 * 192 + 96 * 192 + 192  # q, k and v, output, norm
    mlp = 3 * 96 * 136 + 96
    assert two.parameters - one.parameters == attention + mlp
    made = Counter[str]()
    for stage in one.decode(batch=1, context=64).stages:
        made[stage.name] += int(stage.times)
    assert made["attention"] == made["adapter up"] == made["shared output"] == 3
    assert made["linear recurrence"] == 4
