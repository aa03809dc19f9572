"""gpt-oss: published totals, bytes of its experts, windows, and the kernels of its layers."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model

GPT_OSS_20B: dict[str, Any] = {
    # openai/gpt-oss-20b, config.json
    **{"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880},
    **{"num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8},
    **{"head_dim": 64, "vocab_size": 201088, "num_local_experts": 32, "num_experts_per_tok": 4},
    **{"sliding_window": 128, "attention_bias": True, "torch_dtype": "bfloat16"},
    **{"swiglu_limit": 7.0, "rope_theta": 150000, "experts_per_token": 4},
}
MXFP4 = {"quantization_config": {"quant_method": "mxfp4"}}


def test_totals_are_those_of_the_model_card() -> None:
    # OpenAI, gpt-oss model card, table 1: 20.91 and 116.83 billion, 3.61 and 5.13 active; active
    # parameters leave out the embedding
    small = model(GPT_OSS_20B)
    large = model(GPT_OSS_20B | {"num_hidden_layers": 36, "num_local_experts": 128})
    assert small.parameters == 20_914_757_184
    assert large.parameters == 116_829_156_672
    embedding = 201088 * 2880
    assert (small.active_parameters - embedding) / 1e9 == pytest.approx(3.61, abs=0.01)
    assert (large.active_parameters - embedding) / 1e9 == pytest.approx(5.13, abs=0.01)


def test_experts_are_held_in_mxfp4_and_all_else_in_bf16() -> None:
    found = model(GPT_OSS_20B | MXFP4)
    experts = 24 * 32 * 3 * 2880 * 2880
    rest = 20_914_757_184 - experts
    assert found.weight_bytes == experts // 32 * 17 + 2 * rest
    products = {s.role: s.cascade for s in found.decode(1, 8).stages}
    weight = products["mixture.experts gate-up"].tensors["W"].dtype
    assert (weight, products["attention.qkv"].tensors["W"].dtype) == ("mxfp4", "bf16")


def test_every_second_layer_keeps_a_window_alone() -> None:
    found = model(GPT_OSS_20B)
    # K and V, 12 layers of each kind, 8 heads of 64 in bf16
    assert found.kv_bytes_per_token == 2 * 24 * 512 * 2
    assert found.kv_bytes(3, 1000) == 3 * 2 * 12 * 512 * 2 * (1000 + 128)
    scores = [s for s in found.decode(1, 1000).stages if s.role == "attention.scores"]
    assert [(s.times, s.cascade.sizes()["m"], s.layers[0]) for s in scores] == [
        (12, 128, 0),
        (12, 1000, 1),
    ]


def test_routers_take_the_softmax_of_the_chosen() -> None:
    names = [stage.name for stage in model(GPT_OSS_20B).decode(4, 100).stages]
    router = names[names.index("router") : names.index("argsort")]
    assert router == ["router", "router top-k", "router softmax", "weights cast"]
    sizes = {s.name: s.cascade.sizes() for s in model(GPT_OSS_20B).decode(4, 100).stages}
    assert sizes["router softmax"] == {"r": 4, "c": 4}
    assert sizes["router top-k"]["c"] == 32


def test_a_step_of_it_has_a_time() -> None:
    step = model(GPT_OSS_20B | MXFP4).decode(8, 2048)
    found = hw.predict(step, "h200")
    assert found.bound_s is not None
    assert found.time_s > found.bound_s > 0
