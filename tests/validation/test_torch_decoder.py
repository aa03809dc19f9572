"""The decoder stack computes what a plain transformer computes (torch on the CPU, float32)."""

# pyright: basic, reportMissingImports=false

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the decoder stack needs torch")

from hwmodel.validation.measure.models import CONFIGS  # noqa: E402
from hwmodel.validation.torch_decoder import (  # noqa: E402
    Stack,
    StackShape,
    cache_bytes,
    forward_step,
    random_stack,
    read_config,
    stack_bytes,
)

Tensor = Any
SMALL = {
    "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "vocab_size": 50,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
}  # fmt: skip


def small(name: str) -> StackShape:
    more = {"moe_intermediate_size": 24} if name == "qwen3-30b-a3b" else {}
    return read_config(CONFIGS[name] | SMALL | more)


def rms(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def turned(x: Tensor, theta: float) -> Tensor:
    """Rotary embedding as a product of complex numbers; x is [positions, head_dim]."""
    half = x.shape[-1] // 2
    rate = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[0], dtype=torch.float64)[:, None] * rate
    pairs = torch.complex(x[:, :half].double(), x[:, half:].double())
    pairs = pairs * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((pairs.real, pairs.imag), -1).to(x.dtype)


def plain_logits(stack: Stack, tokens: Tensor) -> Tensor:
    """One sequence, head by head, with an explicit mask."""
    s = stack.shape
    x = stack.embedding[tokens]
    mask = torch.ones(len(tokens), len(tokens)).tril().bool()
    for layer in stack.layers:
        h = rms(x, layer.attention_norm) @ layer.qkv.T
        h = h + layer.qkv_bias if layer.qkv_bias is not None else h
        heads = h.view(len(tokens), -1, s.head_dim).unbind(1)
        outputs: list[Tensor] = []
        for index in range(s.heads):
            group = index // (s.heads // s.kv_heads)
            q, k, v = heads[index], heads[s.heads + group], heads[s.heads + s.kv_heads + group]
            if layer.q_norm is not None and layer.k_norm is not None:
                q, k = rms(q, layer.q_norm), rms(k, layer.k_norm)
            q, k = turned(q, s.rope_theta), turned(k, s.rope_theta)
            score = (q @ k.T / s.head_dim**0.5).masked_fill(~mask, -torch.inf)
            outputs.append(score.softmax(-1) @ v)
        x = x + torch.cat(outputs, -1) @ layer.out.T
        gate, up = (rms(x, layer.mlp_norm) @ layer.gate_up.T).chunk(2, -1)
        x = x + (gate * gate.sigmoid() * up) @ layer.down.T
    return rms(x[-1], stack.final_norm) @ stack.head.T


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen2.5-7b", "qwen3-8b"])
def test_prefill_equals_a_plain_transformer(name: str) -> None:
    torch.manual_seed(1)
    stack = random_stack(small(name), device="cpu", dtype=torch.float32)
    torch.manual_seed(2)
    step = forward_step(stack, batch=2, count=6, first=0)
    torch.manual_seed(2)
    tokens = torch.randint(stack.shape.vocabulary, (2, 6))
    want = torch.stack([plain_logits(stack, row) for row in tokens])
    torch.testing.assert_close(step(), want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["mixtral-8x7b", "qwen3-30b-a3b"])
def test_one_expert_for_all_equals_the_dense_layer(name: str) -> None:
    """With equal experts and weights that sum to one, the routing must not matter."""
    shape = small(name)
    torch.manual_seed(3)
    stack = random_stack(shape, device="cpu", dtype=torch.bfloat16)
    for layer in stack.layers:
        for weight in (layer.gate_up, layer.down):
            weight.copy_(weight[:1].expand_as(weight).clone())
    torch.manual_seed(4)
    got = forward_step(stack, batch=1, count=6, first=0)()
    dense = [
        layer.__class__(**{**vars(layer), "gate_up": layer.gate_up[0], "down": layer.down[0]})
        for layer in stack.layers
    ]
    plain = Stack(shape, stack.embedding, tuple(dense), stack.final_norm, stack.head)
    torch.manual_seed(4)
    tokens = torch.randint(shape.vocabulary, (1, 6))
    want = plain_logits(plain, tokens[0])
    assert float((got[0] - want).norm() / want.norm()) < 3e-2  # bf16 rounding


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_decode_step_answers_one_row_of_logits_for_a_sequence(name: str) -> None:
    stack = random_stack(small(name), device="cpu", dtype=torch.bfloat16)
    logits = forward_step(stack, batch=3, count=1, first=9)()
    assert logits.shape == (3, 50)
    assert bool(logits.isfinite().all())


def test_a_chunk_on_a_filled_cache_is_refused() -> None:
    stack = random_stack(small("llama-3.1-8b"), device="cpu", dtype=torch.float32)
    with pytest.raises(ValueError, match="first = 4 with count = 2"):
        forward_step(stack, batch=1, count=2, first=4)


def test_layers_that_differ_are_refused() -> None:
    mixed = CONFIGS["qwen3-30b-a3b"] | {"mlp_only_layers": [0]}
    with pytest.raises(ValueError, match=r"'qwen3_moe': .* equal layers .*; found layers that"):
        read_config(mixed)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Checkpoint totals as published; a tied head counts twice here, norms and biases not.
        ("llama-3.1-8b", 8.030e9),
        ("llama-3.2-1b", 1.236e9 + 128256 * 2048),
        ("qwen3-8b", 8.191e9),
        ("mixtral-8x7b", 46.70e9),
        ("qwen3-30b-a3b", 30.53e9),
        ("mistral-7b-v0.3", 7.248e9),
    ],
)
def test_weights_add_up_to_the_published_totals(name: str, parameters: float) -> None:
    assert stack_bytes(read_config(CONFIGS[name])) / 2 == pytest.approx(parameters, rel=1e-3)


def test_llama_caches_128_kib_for_a_token() -> None:
    assert cache_bytes(read_config(CONFIGS["llama-3.1-8b"]), 1, 1) == 128 * 1024
