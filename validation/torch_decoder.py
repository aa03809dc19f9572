"""The plain decoder stack that `kernel: torch` means: one forward step, unfused, graph-capturable.

Kernels of one layer, in order: rms_norm; fused QKV linear (with bias where the model has one);
rms_norm of q and of k where the model has them; rotary on the two halves of q and of k (four
multiplies, a subtraction, an addition, a concatenation each); two copies into the static cache;
SDPA by the FLASH backend, causal in prefill, GQA by `enable_gqa`; output linear; residual add;
rms_norm; fused gate-up linear; SiLU; multiply; down linear; residual add. With experts the MLP is:
router linear, softmax (float32), top-k, cast, argsort, searchsorted, gather of rows, grouped
gate-up product, SiLU, multiply, grouped down product, gather and multiply of the routing weights,
index_add into zeros. Before the layers the embedding; after them the rows of each last token,
rms_norm and the language-model head. No sampling, no host. Weights and tokens are random.

Shapes: hidden states `[batch, tokens, hidden]`, cache `[batch, kv_heads, context, head_dim]`.
"""

# pyright: basic, reportMissingImports=false

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

WEIGHT_SCALE = 0.02


@dataclass(frozen=True)
class StackShape:
    """The sizes that a Hugging Face config gives."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    experts: int
    top_k: int
    qkv_bias: bool
    qk_norm: bool
    normalise_top_k: bool
    rms_eps: float
    rope_theta: float


def read_config(config: Mapping[str, Any]) -> StackShape:
    """Sizes of a config whose layers are alike, with the blocks that this stack computes."""
    network = model(config).network
    blocks = network.layers[0].blocks
    attention = next((block for block in blocks if isinstance(block, Attention)), None)
    inner = next((block for block in blocks if isinstance(block, (Mlp, Mixture))), None)
    known = {Attention, Mlp, Mixture, Norm, Residual}
    others = sorted({type(block).__name__ for block in blocks} - {kind.__name__ for kind in known})
    if len(network.layers) > 1 or others or attention is None or inner is None:
        found = ", ".join(others) or "layers that differ"
        raise InputError(
            f"model_type {config['model_type']!r}: the decoder stack has equal layers of attention"
            f" and an MLP or experts; found {found}"
        )
    mixture = inner if isinstance(inner, Mixture) else None
    return StackShape(
        layers=network.depth,
        hidden=network.hidden,
        intermediate=inner.intermediate,
        heads=attention.heads,
        kv_heads=attention.kv_heads,
        head_dim=attention.head_dim,
        vocabulary=config["vocab_size"],
        experts=mixture.experts if mixture else 0,
        top_k=mixture.picks if mixture else 0,
        qkv_bias=attention.qkv_bias,
        qk_norm=attention.qk_norm,
        normalise_top_k=mixture is not None and mixture.normalised,
        rms_eps=config.get("rms_norm_eps", 1e-6),
        rope_theta=config.get("rope_theta", 10000.0),
    )


@dataclass(frozen=True)
class Layer:
    """Weights of one layer; a linear layer stores `[out, in]`, experts `[experts, out, in]`."""

    attention_norm: torch.Tensor
    qkv: torch.Tensor
    qkv_bias: torch.Tensor | None
    q_norm: torch.Tensor | None
    k_norm: torch.Tensor | None
    out: torch.Tensor
    mlp_norm: torch.Tensor
    router: torch.Tensor | None
    gate_up: torch.Tensor
    down: torch.Tensor


@dataclass(frozen=True)
class Stack:
    """All weights of a model."""

    shape: StackShape
    embedding: torch.Tensor
    layers: tuple[Layer, ...]
    final_norm: torch.Tensor
    head: torch.Tensor


def random_stack(
    shape: StackShape, *, device: str = "cuda", dtype: torch.dtype = torch.bfloat16
) -> Stack:
    """A model with normal weights of 0.02; the head is a matrix of its own, tied or not.

    Embeddings are normal of 1, and what leaves attention is scaled by a tenth, so that tokens stay
    apart: random attention averages over a prompt, and what it adds is much the same for all its
    tokens. Left to grow from layer to layer, it would make a random router send them all to the
    same few experts, which a trained one does not.
    """

    def weight(*size: int) -> torch.Tensor:
        return torch.empty(size, device=device, dtype=dtype).normal_(0.0, WEIGHT_SCALE)

    def norm(size: int) -> torch.Tensor:
        return torch.ones(size, device=device, dtype=dtype) + weight(size)

    s = shape
    copies = (s.experts,) if s.experts else ()
    qkv_size = (s.heads + 2 * s.kv_heads) * s.head_dim

    def layer() -> Layer:
        return Layer(
            attention_norm=norm(s.hidden),
            qkv=weight(qkv_size, s.hidden),
            qkv_bias=weight(qkv_size) if s.qkv_bias else None,
            q_norm=norm(s.head_dim) if s.qk_norm else None,
            k_norm=norm(s.head_dim) if s.qk_norm else None,
            out=weight(s.hidden, s.heads * s.head_dim) * 0.1,
            mlp_norm=norm(s.hidden),
            router=weight(s.experts, s.hidden) if s.experts else None,
            gate_up=weight(*copies, 2 * s.intermediate, s.hidden),
            down=weight(*copies, s.hidden, s.intermediate),
        )

    return Stack(
        shape=s,
        embedding=torch.empty(s.vocabulary, s.hidden, device=device, dtype=dtype).normal_(),
        layers=tuple(layer() for _ in range(s.layers)),
        final_norm=norm(s.hidden),
        head=weight(s.vocabulary, s.hidden),
    )


def rotary_tables(
    shape: StackShape, first: int, count: int, device: str, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines `[count, head_dim / 2]` of positions first, first + 1, ..."""
    half = shape.head_dim // 2
    inverse = shape.rope_theta ** (-torch.arange(half, device=device, dtype=torch.float64) / half)
    angle = (
        torch.arange(first, first + count, device=device, dtype=torch.float64)[:, None] * inverse
    )
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotary embedding on the two halves of the last dimension."""
    low, high = x.chunk(2, -1)
    return torch.cat((low * cosine - high * sine, high * cosine + low * sine), -1)


Routed = Callable[[torch.Tensor], None]
"""Hears the experts `[rows, top_k]` that a layer's router chose."""


def expert_layer(
    layer: Layer, shape: StackShape, x: torch.Tensor, routed: Routed | None = None
) -> torch.Tensor:
    """The sparse MLP on `[rows, hidden]`."""
    assert layer.router is not None
    scores = torch.softmax(F.linear(x, layer.router), -1, dtype=torch.float32)
    weights, chosen = scores.topk(shape.top_k, -1)
    if routed is not None:
        routed(chosen)
    if shape.normalise_top_k:
        weights = weights / weights.sum(-1, keepdim=True)
    weights = weights.to(x.dtype).flatten()
    flat = chosen.flatten()
    order = torch.argsort(flat)
    every = torch.arange(shape.experts, device=x.device)
    ends = torch.searchsorted(flat[order], every, right=True, out_int32=True)
    rows = order // shape.top_k
    h = torch._grouped_mm(x[rows], layer.gate_up.transpose(-2, -1), offs=ends)
    h = F.silu(h[:, : shape.intermediate]) * h[:, shape.intermediate :]
    h = torch._grouped_mm(h, layer.down.transpose(-2, -1), offs=ends)
    return torch.zeros_like(x).index_add_(0, rows, h * weights[order][:, None])


def dense_layer(
    layer: Layer, shape: StackShape, x: torch.Tensor, routed: Routed | None = None
) -> torch.Tensor:
    """The gated MLP; it routes nothing."""
    h = F.linear(x, layer.gate_up)
    return F.linear(F.silu(h[..., : shape.intermediate]) * h[..., shape.intermediate :], layer.down)


def attention_layer(
    layer: Layer,
    shape: StackShape,
    x: torch.Tensor,
    cache: tuple[torch.Tensor, torch.Tensor],
    tables: tuple[torch.Tensor, torch.Tensor],
    first: int,
) -> torch.Tensor:
    """Attention over the cache, into which the new keys and values are copied first."""
    batch, count, _ = x.shape
    s = shape
    qkv = F.linear(x, layer.qkv, layer.qkv_bias).view(batch, count, -1, s.head_dim)
    q, k, v = qkv.split((s.heads, s.kv_heads, s.kv_heads), dim=2)
    if layer.q_norm is not None and layer.k_norm is not None:
        q = F.rms_norm(q, (s.head_dim,), layer.q_norm, s.rms_eps)
        k = F.rms_norm(k, (s.head_dim,), layer.k_norm, s.rms_eps)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    q, k = rotate(q, *tables), rotate(k, *tables)
    keys, values = cache
    keys[:, :, first : first + count].copy_(k)
    values[:, :, first : first + count].copy_(v)
    out = F.scaled_dot_product_attention(
        q,
        keys[:, :, : first + count],
        values[:, :, : first + count],
        is_causal=count > 1,
        enable_gqa=s.heads != s.kv_heads,
    )
    return F.linear(out.transpose(1, 2).reshape(batch, count, -1), layer.out)


class Step(Protocol):
    """One step; `routed` hears the choices of every router."""

    def __call__(self, routed: Routed | None = None) -> torch.Tensor:
        """The logits."""
        ...


def forward_step(stack: Stack, *, batch: int, count: int, first: int) -> Step:
    """A step over `count` new tokens at positions first ...; count > 1 needs first = 0.

    Prefill is count = prompt, first = 0; decode is count = 1, first = context - 1. The answer is
    the logits `[batch, vocabulary]` of each last token.
    """
    if count > 1 and first > 0:
        raise InputError(
            f"first = {first} with count = {count}: a step of several tokens starts an empty "
            "cache; use first = 0"
        )
    s, device, dtype = stack.shape, str(stack.embedding.device), stack.embedding.dtype
    tokens = torch.randint(s.vocabulary, (batch, count), device=device)
    tables = rotary_tables(s, first, count, device, dtype)
    size = (batch, s.kv_heads, first + count, s.head_dim)
    caches = [
        (
            torch.empty(size, device=device, dtype=dtype).normal_(),
            torch.empty(size, device=device, dtype=dtype).normal_(),
        )
        for _ in stack.layers
    ]
    mlp = expert_layer if s.experts else dense_layer

    def step(routed: Routed | None = None) -> torch.Tensor:
        x = F.embedding(tokens, stack.embedding)
        for layer, cache in zip(stack.layers, caches, strict=True):
            h = F.rms_norm(x, (s.hidden,), layer.attention_norm, s.rms_eps)
            x = x + attention_layer(layer, s, h, cache, tables, first)
            h = F.rms_norm(x, (s.hidden,), layer.mlp_norm, s.rms_eps)
            x = x + mlp(layer, s, h.view(-1, s.hidden), routed).view(x.shape)
        last = F.rms_norm(x[:, -1], (s.hidden,), stack.final_norm, s.rms_eps)
        return F.linear(last, stack.head)

    return step


def use_flash() -> None:
    """Leaves SDPA its FLASH backend alone, as the convention says."""
    torch.backends.cuda.enable_math_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.enable_flash_sdp(True)


def stack_bytes(shape: StackShape, item_bytes: int = 2) -> int:
    """Bytes of all weights."""
    s = shape
    attention = s.hidden * s.head_dim * (2 * s.heads + 2 * s.kv_heads)
    mlp = max(s.experts, 1) * 3 * s.hidden * s.intermediate + s.experts * s.hidden
    return item_bytes * (s.layers * (attention + mlp) + 2 * s.vocabulary * s.hidden)


def cache_bytes(shape: StackShape, batch: int, context: int, item_bytes: int = 2) -> int:
    """Bytes of keys and values of all layers."""
    return 2 * item_bytes * shape.layers * batch * shape.kv_heads * shape.head_dim * context
