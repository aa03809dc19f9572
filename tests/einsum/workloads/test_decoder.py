"""The kernel list of a decoder: which kernels, how often, and where collectives stand."""

from collections import Counter

import pytest

from hwmodel.einsum.cascade import Collective
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError


def _kernels(stack: Stack) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stage in stack.stages:
        counts[stage.name] += int(stage.times)
    return counts


def test_a_dense_layer_is_the_plain_unfused_list() -> None:
    counts = _kernels(model("llama-3.2-1b").decode(1, 100))
    per_layer = {name: times // 16 for name, times in counts.items() if times >= 16}
    rotary = {"multiply": 4, "subtract": 1, "add": 1, "concatenate": 1}
    assert per_layer == {
        "attention norm": 1,
        "qkv": 1,
        **{f"rotary {side} {name}": times for side in "qk" for name, times in rotary.items()},
        "kv write": 2,
        "attention": 1,
        "attention output": 1,
        "attention residual": 1,
        "mlp norm": 1,
        "gate-up": 1,
        "silu": 1,
        "multiply": 1,
        "down": 1,
        "mlp residual": 1,
    }
    assert {name for name, times in counts.items() if times == 1} == {
        *("embedding", "final norm", "head")
    }


def test_qwen3_norms_q_and_k_by_head() -> None:
    stack = model("qwen3-0.6b").decode(5, 100)
    norms = {s.name: s.cascade.sizes() for s in stack.stages if s.name in ("q norm", "k norm")}
    assert norms == {"q norm": {"r": 5 * 16, "c": 128}, "k norm": {"r": 5 * 8, "c": 128}}


def test_qwen2_adds_a_bias_to_qkv_only() -> None:
    stack = model("qwen2.5-0.5b").decode(1, 100)
    biased = [s.name for s in stack.stages if "BIAS" in s.cascade.tensors]
    assert biased == ["qkv"]


def test_a_mixture_layer_routes_computes_and_combines() -> None:
    stack = model("qwen3-30b-a3b").decode(4, 100)
    names = [stage.name for stage in stack.stages]
    mixture = names[names.index("mlp norm") + 1 : names.index("mlp residual")]
    assert mixture == [
        *("router", "router softmax", "router top-k", "weights sum", "weights divide"),
        *("weights cast", "argsort", "experts range", "experts gather", "experts search"),
        *("rows divide", "rows gather", "experts gate-up", "experts silu", "experts multiply"),
        *("experts down", "weights gather", "weights multiply", "tokens zero", "index_add"),
    ]
    assert "gate-up" not in names


def test_dense_and_sparse_layers_share_a_model() -> None:
    config = {
        **{"model_type": "qwen3_moe", "hidden_size": 64, "intermediate_size": 128},
        **{"num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2},
        **{"vocab_size": 100, "num_experts": 8, "num_experts_per_tok": 2},
        **{"moe_intermediate_size": 32, "decoder_sparse_step": 3, "torch_dtype": "bfloat16"},
    }
    counts = _kernels(model(config).decode(1, 10))
    assert (counts["gate-up"], counts["experts gate-up"]) == (4, 2)
    assert counts["mlp norm"] == 6


def test_layers_with_and_without_a_window_are_stages_apart() -> None:
    config = {
        **{"model_type": "qwen2", "hidden_size": 64, "intermediate_size": 128, "vocab_size": 100},
        **{"num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2},
        **{"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 3},
    }
    counts = _kernels(model(config).decode(1, 100))
    assert (counts["attention"], counts["attention, window 32"]) == (3, 2)


def test_one_device_has_no_collective() -> None:
    assert all(s.collective is None for s in model("llama-3.1-8b").decode(2, 100).stages)


def test_tensor_parallel_stages_end_in_their_collectives() -> None:
    stack = model("llama-3.1-8b").prefill(2, 100, tp=4)
    found = {s.name: s.collective for s in stack.stages if s.collective is not None}
    states = Collective("all_reduce", 2 * 100 * 4096 * 2, 4)
    logits = Collective("all_gather", 2 * 128256 * 2, 4)
    assert found == {
        **{"embedding": states, "attention output": states, "down": states, "head": logits}
    }


def test_tensor_parallel_devices_divide_the_products() -> None:
    llama = model("llama-3.1-8b")
    sizes = {s.name: s.cascade.sizes() for s in llama.decode(3, 100, tp=8).stages}
    assert sizes["qkv"] == {"m": 3, "n": (4 + 2) * 128, "k": 4096}
    assert sizes["attention output"] == {"m": 3, "n": 4096, "k": 4 * 128}
    assert sizes["gate-up"]["n"] == 2 * 14336 // 8
    assert sizes["down"]["k"] == 14336 // 8
    assert sizes["head"]["n"] == 128256 // 8
    assert sizes["attention"]["h"] == 1
    assert sizes["attention"]["g"] == 4


def test_sizes_that_do_not_divide_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"divisor of num_attention_heads \(28\), found 8"):
        model("qwen2.5-7b").decode(1, 100, tp=8)
    with pytest.raises(InputError, match=r"tp: expected a whole number, found 1.5"):
        model("qwen2.5-7b").decode(1, 100, tp=1.5)  # pyright: ignore[reportArgumentType]
