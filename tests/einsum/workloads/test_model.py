"""Whole models: parameters as published, bytes, and the two phases."""

from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.counts import cascade_counts, footprint_bytes
from hwmodel.einsum.network import Stack
from hwmodel.einsum.space import region
from hwmodel.einsum.workloads.model import llm, model
from hwmodel.quantity.errors import InputError, UnknownNameError

PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "mistral-7b-v0.1": 7_241_732_096,
    "mistral-7b-v0.3": 7_248_023_552,
    "mixtral-8x7b": 46_702_792_704,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
}
"""Totals that the checkpoints' safetensors indices state."""


def _matrix_flops(stack: Stack) -> Any:
    """Operations of all products, attention's included: what model FLOP counts speak of."""
    return sum(
        stage.times * count
        for stage in stack.stages
        for (kind, dtype), count in cascade_counts(stage.cascade).items()
        if kind in ("multiply", "add") and dtype == "bf16" and _is_product(stage.cascade.name)
    )


def _is_product(name: str) -> bool:
    return name in ("qkv", "attention output", "gate-up", "down", "head")


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_parameters_equal_the_published_total(name: str, total: int) -> None:
    assert model(name).parameters == total


def test_bytes_of_llama_8b() -> None:
    llama = model("llama-3.1-8b")
    assert llama.weight_bytes == 2 * 8_030_261_248
    # 2 (K and V) * 32 layers * 8 heads * 128 * 2 bytes
    assert llama.kv_bytes_per_token == 131_072
    assert llama.kv_bytes(4, 1000) == 4 * 1000 * 131_072


def test_active_parameters_leave_out_idle_experts() -> None:
    # Mixtral: 32 layers * 6 idle experts * 3 matrices of 4096 x 14336
    assert model("mixtral-8x7b").active_parameters == 46_702_792_704 - 32 * 6 * 3 * 4096 * 14336
    assert model("llama-3.1-8b").active_parameters == 8_030_261_248


def test_a_windowed_cache_stops_growing() -> None:
    mistral = model("mistral-7b-v0.1")
    assert mistral.kv_bytes(1, 4096) == mistral.kv_bytes(1, 10_000) == 4096 * 131_072
    assert mistral.kv_bytes(1, 100) == 100 * 131_072


def test_products_of_decode_take_two_flop_per_weight_and_token() -> None:
    llama = model("llama-3.1-8b")
    weights = llama.parameters - 128256 * 4096 - (2 * 32 + 1) * 4096  # no embedding, no norms
    assert _matrix_flops(llama.decode(7, 100)) == 2 * 7 * weights


def test_prefill_computes_logits_of_the_last_token_only() -> None:
    llama = model("llama-3.1-8b")
    head = 128256 * 4096
    weights = llama.parameters - 2 * head - (2 * 32 + 1) * 4096
    assert _matrix_flops(llama.prefill(3, 50)) == 2 * 3 * (50 * weights + head)


def test_every_weight_is_read_once_in_a_step_of_a_dense_model() -> None:
    llama = model("llama-3.1-8b")
    stack = llama.decode(1, 10)
    read = sum(
        stage.times * footprint_bytes(name, stage.cascade)
        for stage in stack.stages
        for name, tensor in stage.cascade.tensors.items()
        if tensor.role == "weight" and stage.name != "embedding"
    )
    assert read == llama.weight_bytes - 2 * 128256 * 4096


def test_the_cache_is_read_once_in_a_step() -> None:
    llama = model("llama-3.1-8b")
    attention = next(s for s in llama.decode(4, 1000).stages if s.name == "attention")
    read = sum(footprint_bytes(tensor, attention.cascade) for tensor in ("K", "V"))
    assert attention.times * read == llama.kv_bytes(4, 1000)


def test_a_window_bounds_the_keys_of_decode_and_masks_prefill() -> None:
    mistral = model("mistral-7b-v0.1")
    decode = next(s for s in mistral.decode(1, 10_000).stages if s.name.startswith("attention,"))
    assert decode.cascade.ranks["m"].size == 4096
    prefill = next(s for s in mistral.prefill(1, 10_000).stages if s.name.startswith("attention,"))
    assert prefill.cascade.ranks["m"].size == 10_000
    assert prefill.cascade.einsums[0].bands[-1].low is not None


def test_arrays_of_batches_and_contexts_broadcast() -> None:
    batches, contexts = np.array([1, 4]), np.array([[100], [2000], [30000]])
    stack = model("qwen3-30b-a3b").decode(batches, contexts)
    attention = next(s for s in stack.stages if s.name == "attention")
    read = footprint_bytes("K", attention.cascade)
    for i, j in ((0, 0), (1, 2)):
        one = model("qwen3-30b-a3b").decode(int(batches[i]), int(contexts[j, 0]))
        alone = next(s for s in one.stages if s.name == "attention")
        assert np.broadcast_to(read, (3, 2))[j, i] == footprint_bytes("K", alone.cascade)


def test_llm_is_the_model_and_its_phase_in_one_call() -> None:
    assert llm("qwen3-0.6b", "decode", 2, context=64) == model("qwen3-0.6b").decode(2, 64)
    assert llm("qwen3-0.6b", "prefill", 2, prompt=64) == model("qwen3-0.6b").prefill(2, 64)


def test_llm_refuses_the_wrong_size_and_phase() -> None:
    with pytest.raises(InputError, match=r"decode: expected the size 'context' alone, found none"):
        llm("qwen3-0.6b", "decode", 2)
    with pytest.raises(InputError, match=r"expected the size 'prompt' alone, found context=3 too"):
        llm("qwen3-0.6b", "prefill", 2, prompt=3, context=3)
    with pytest.raises(
        UnknownNameError, match=r"unknown phase 'train'; known: decode, mixed, prefill"
    ):
        llm("qwen3-0.6b", "train", 2, prompt=3)


@pytest.mark.parametrize("size", [0, -1, 1.5, float("nan"), "8", True, [0, 1]])
def test_bad_sizes_are_refused_by_name(size: Any) -> None:
    with pytest.raises(InputError, match="decode: batch: expected"):
        model("qwen3-0.6b").decode(size, 100)
    with pytest.raises(InputError, match="prefill: prompt: expected"):
        model("qwen3-0.6b").prefill(1, size)


def test_warnings_travel_with_the_stack() -> None:
    config = {
        **{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "vocab_size": 10},
        **{"num_hidden_layers": 2, "num_attention_heads": 4, "odd": 1},
    }
    stack = model(config, ignore_keys=["odd"]).decode(1, 10)
    assert any("'odd'" in warning for warning in stack.warnings)
    assert any("no torch_dtype" in warning for warning in stack.warnings)


def test_a_trillion_parameter_model_counts_exactly() -> None:
    config = {
        **{"model_type": "llama", "hidden_size": 25600, "intermediate_size": 102400},
        **{"num_hidden_layers": 128, "num_attention_heads": 160, "vocab_size": 51200},
        **{"num_key_value_heads": 160, "torch_dtype": "bfloat16"},
    }
    large = model(config)
    assert large.parameters == 1_342_177_280_000 + 2_621_440_000 + 6_579_200  # layers, ends, norms
    # 1024 sequences of 8192: above 2^63 operations, exact nevertheless
    flops = _matrix_flops(large.prefill(1024, 8192))
    assert flops == 2 * 1024 * (8192 * 1_342_177_280_000 + 51200 * 25600)
    assert flops > 2**63


def test_but_changes_formats_and_config_keys() -> None:
    llama = model("llama-3.1-8b")
    layer = 32 * (4096 * 2 + 4096 * 6144 + 4096 * 4096 + 3 * 4096 * 14336)
    half = llama.but(num_hidden_layers=16)
    assert llama.parameters - half.parameters == layer // 2
    assert half.but(num_hidden_layers=32) == llama
    assert llama.but(kv_dtype="fp8").kv_bytes_per_token == llama.kv_bytes_per_token / 2


def test_but_refuses_unknown_keys_and_bad_values() -> None:
    with pytest.raises(UnknownNameError, match=r"modelled key of llama 'num_layers'"):
        model("llama-3.1-8b").but(num_layers=3)
    with pytest.raises(InputError, match=r"llama-3.1-8b: num_hidden_layers: .* found -1"):
        model("llama-3.1-8b").but(num_hidden_layers=-1)


def test_a_prompt_whose_first_tokens_are_cached_runs_the_rest_on_all_keys() -> None:
    llama = model("llama-3.1-8b")
    head = 128256 * 4096
    weights = llama.parameters - 2 * head - (2 * 32 + 1) * 4096
    rest = llama.prefill(3, 1000, cached=900)
    assert _matrix_flops(rest) == 2 * 3 * (100 * weights + head)
    (scores,) = (s.cascade for s in rest.stages if s.role == "attention.scores")
    assert (scores.sizes()["p"], scores.sizes()["m"]) == (100, 1000)
    pairs = region(scores.einsums[0], scores, ("p", "m1", "m0"))
    assert pairs == 100 * 900 + 100 * 101 // 2
    assert rest.served is not None
    assert rest.served.tokens == 300
    assert llama.prefill(3, 1000, cached=None) == llama.prefill(3, 1000)
    assert llama.prefill(3, 1000, cached=0).stages == llama.prefill(3, 1000).stages
    assert rest.but(cached=999).served.tokens == 3  # pyright: ignore[reportOptionalMemberAccess]


def test_chunks_of_a_prompt_do_the_work_of_the_whole_and_heads_alone_more() -> None:
    qwen = model("qwen3-0.6b")
    whole = _matrix_flops(qwen.prefill(1, 512))
    chunks = [qwen.prefill(1, end, cached=end - 128 or None) for end in (128, 256, 384, 512)]
    head = 2 * 151936 * 1024
    assert sum(_matrix_flops(chunk) for chunk in chunks) == whole + 3 * head


def test_a_window_bounds_the_keys_of_a_chunk() -> None:
    mistral = model("mistral-7b-v0.1")
    chunk = mistral.prefill(1, 20_000, cached=19_900)
    (scores,) = (s.cascade for s in chunk.stages if s.role == "attention.scores")
    assert scores.sizes()["m"] == 4096 + 99


@pytest.mark.parametrize("cached", [-1, 512, 600, 1.5, "8"])
def test_cached_tokens_are_fewer_than_the_prompts(cached: Any) -> None:
    with pytest.raises(InputError, match="prefill: cached: expected"):
        model("qwen3-0.6b").prefill(1, 512, cached=cached)
    with pytest.raises(InputError, match="decode: cached: expected none"):
        llm("qwen3-0.6b", "decode", 1, context=512, cached=cached)
