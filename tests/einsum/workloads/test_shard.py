"""One device's share of a model."""

import pytest

from hwmodel.einsum.workloads.blocks.block import seen
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError


def test_shares_add_up_to_the_model_but_for_what_every_device_has() -> None:
    llama = model("llama-3.1-8b")
    share, whole = llama.shard(8), llama.parameters_by_part
    for part in ("embedding", "head", "attention", "mlp"):
        assert 8 * share.parameters_by_part[part] == whole[part]
    assert share.parameters_by_part["norms"] == whole["norms"]


def test_kv_heads_are_divided_until_one_is_left_then_repeated() -> None:
    qwen = model("qwen3-30b-a3b")  # 4 KV heads
    assert [qwen.shard(tp).pieces("num_key_value_heads") for tp in (1, 2, 4, 8)] == [4, 2, 1, 1]
    per_token = [qwen.shard(tp).kv_bytes_per_token for tp in (1, 4, 8)]
    assert per_token == [98304, 98304 // 4, 98304 // 4]


def test_kv_heads_that_cannot_be_repeated_alike_are_refused() -> None:
    config = {
        **{"model_type": "llama", "hidden_size": 96, "intermediate_size": 96, "vocab_size": 96},
        **{"num_hidden_layers": 1, "num_attention_heads": 12, "num_key_value_heads": 3},
        **{"torch_dtype": "bfloat16"},
    }
    assert model(config).shard(6).pieces("num_key_value_heads") == 1
    with pytest.raises(InputError, match=r"multiple of the 3 KV heads .* found 4"):
        model(config).shard(4).pieces("num_key_value_heads")


def test_tied_embeddings_count_once_and_cost_no_head() -> None:
    parts = model("llama-3.2-1b").parameters_by_part
    assert parts["head"] == 0
    assert parts["embedding"] == 128256 * 2048


def test_biases_of_llama_follow_its_keys() -> None:
    config = {
        **{"model_type": "llama", "hidden_size": 64, "intermediate_size": 100, "vocab_size": 10},
        **{"num_hidden_layers": 2, "num_attention_heads": 4, "torch_dtype": "bfloat16"},
    }
    plain = model(config)
    attention = model(config | {"attention_bias": True})
    assert attention.parameters - plain.parameters == 2 * (3 * 64 + 64)
    assert model(config | {"mlp_bias": True}).parameters - plain.parameters == 2 * (200 + 64)
    assert plain.parameters_by_part["biases"] == 0


def test_a_window_limits_the_keys_seen() -> None:
    assert [seen(tokens, 10) for tokens in (3, 10, 30)] == [3, 10, 10]
    assert seen(30, None) == 30


def test_a_vocabulary_that_devices_do_not_divide_is_padded() -> None:
    """50,257 rows of 768 on two devices: 25,129 each; positions are whole on both."""
    whole, half = (model("gpt2").shard(n).parameters_by_part["embedding"] for n in (1, 2))
    assert whole == (50257 + 1024) * 768
    assert half == (25129 + 1024) * 768
    logits = [s for s in model("gpt2").decode(4, 64, tp=2).stages if s.name == "head"]
    assert logits[0].collective is not None
    assert logits[0].collective.bytes == 4 * 2 * 25129 * 2
