"""The kernels of a decoder-only transformer, in order: what `kernel: torch` means for a model.

A plain, unfused stack: embedding; per layer rms_norm, fused QKV linear, norms of q and k where the
model has them, rotary of q and of k, two cache writes, attention, output linear, residual add,
rms_norm, and either the fused gate-up linear, SiLU, multiply and down linear, or the router, the
experts and their combination; residual add; after the layers rms_norm and the head, on each
sequence's last token only. No sampling, no host.

With several devices the embedding, the output linear and the last kernel of the MLP end in an
all-reduce of the hidden states, and the head in an all-gather of the logits.
"""

from dataclasses import replace
from typing import Any, TypeAlias

from hwmodel.einsum.cascade import Cascade, Collective, Stage
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe_layer import layer_kernels
from hwmodel.einsum.workloads.rows import gate_silu, residual, rmsnorm, up_multiply
from hwmodel.einsum.workloads.shard import Shard, seen
from hwmodel.einsum.workloads.transformer import embedding, kv_write, rotary
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount

Stages: TypeAlias = tuple[Stage, ...]


def stages(
    shard: Shard,
    *,
    batch: Amount,
    queries: Amount,
    context: Amount,
    decoding: bool,
    routing: str = "uniform",
    exponent: float | None = None,
) -> Stages:
    """The stages of one step: `queries` new tokens per sequence at the end of `context` keys.

    Prefill has queries = context = prompt; decode (`decoding`) has queries = 1.
    """
    config, formats = shard.config, shard.precision
    hidden, activation = config.hidden_size, formats.activation
    tokens = batch * queries
    layers = config.num_hidden_layers
    rows: dict[str, Any] = {"rows": tokens, "cols": hidden, "dtype": activation}
    lookup = embedding(tokens, shard.vocabulary, hidden, activation, formats.unquantised)
    mixture = _mixture(shard, tokens, routing, exponent) if shard.sparse_layers else ()
    return (
        _reduced(Stage(lookup), shard, tokens),
        Stage(rmsnorm(**rows, name="attention norm"), layers),
        *_attention(shard, batch, queries, context, decoding),
        Stage(residual(**rows, name="attention residual"), layers),
        Stage(rmsnorm(**rows, name="mlp norm"), layers),
        *(_dense(shard, tokens) if shard.dense_layers else ()),
        *mixture,
        Stage(residual(**rows, name="mlp residual"), layers),
        Stage(rmsnorm(batch, hidden, activation, name="final norm")),
        _head(shard, batch),
    )


def _attention(
    shard: Shard, batch: Amount, queries: Amount, context: Amount, decoding: bool
) -> Stages:
    layers, dim = shard.config.num_hidden_layers, shard.head_dim
    heads, kv_heads, formats = shard.heads, shard.kv_heads, shard.precision
    activation, tokens, hidden = formats.activation, batch * queries, shard.config.hidden_size
    qkv = _linears(
        shard, layers, "qkv", tokens, (heads + 2 * kv_heads) * dim, hidden, shard.qkv_bias
    )
    norms = (
        Stage(rmsnorm(tokens * heads, dim, activation, name="q norm"), layers),
        Stage(rmsnorm(tokens * kv_heads, dim, activation, name="k norm"), layers),
    )
    write = kv_write(batch, queries, kv_heads, dim, activation, formats.kv, name="kv write")
    out = _linears(shard, layers, "output", tokens, hidden, heads * dim, shard.output_bias)
    return (
        *qkv,
        *(norms if shard.qk_norm else ()),
        *rotary(batch, queries, heads, dim, activation, name="rotary q", times=layers),
        *rotary(batch, queries, kv_heads, dim, activation, name="rotary k", times=layers),
        Stage(write, 2 * layers),
        *_scores(shard, batch, queries, context, decoding),
        *(_reduced(stage, shard, tokens) for stage in out),
    )


def _scores(
    shard: Shard, batch: Amount, queries: Amount, context: Amount, decoding: bool
) -> Stages:
    """Attention itself: one stage for each sliding window that layers have."""
    formats = shard.precision
    return tuple(
        Stage(
            attention(
                batch=batch,
                heads=shard.heads,
                kv_heads=shard.kv_heads,
                queries=queries,
                keys=seen(context, window) if decoding else context,
                head_dim=shard.head_dim,
                causal=not decoding,
                window=None if decoding else window,
                dtype=formats.activation,
                kv_dtype=formats.kv,
                out_dtype=formats.activation,
                name="attention" if window is None else f"attention, window {window}",
            ),
            layers,
        )
        for window, layers in shard.windows.items()
    )


def _dense(shard: Shard, tokens: Amount) -> Stages:
    layers, inner, hidden = shard.dense_layers, shard.intermediate, shard.config.hidden_size
    bias, activation = shard.config.mlp_bias, shard.precision.activation
    down = _linears(shard, layers, "down", tokens, hidden, inner, bias)
    return (
        *_linears(shard, layers, "gate-up", tokens, 2 * inner, hidden, bias),
        Stage(gate_silu(tokens, inner, activation), layers),
        Stage(up_multiply(tokens, inner, activation), layers),
        *(_reduced(stage, shard, tokens) for stage in down),
    )


def _mixture(shard: Shard, tokens: Amount, routing: str, exponent: float | None) -> Stages:
    formats = shard.precision
    kept = formats.kept_in("experts")
    if kept:
        wide = replace(formats, weight=formats.unquantised, linear=formats.activation, kept=())
        left = replace(formats, kept=())
        return (
            *_layers(replace(shard, precision=wide), tokens, routing, exponent, kept),
            *_layers(
                *(replace(shard, precision=left), tokens, routing, exponent),
                shard.sparse_layers - kept,
            ),
        )
    return _layers(shard, tokens, routing, exponent, shard.sparse_layers)


def _layers(
    shard: Shard, tokens: Amount, routing: str, exponent: float | None, times: int
) -> Stages:
    """The kernels of so many mixture layers, in one format."""
    config, formats = shard.config, shard.precision
    if not times:
        return ()
    kernels = layer_kernels(
        tokens=tokens,
        experts=config.experts or 1,
        top_k=config.num_experts_per_tok or 1,
        hidden=config.hidden_size,
        intermediate=shard.expert_intermediate,
        routing=routing,
        exponent=exponent,
        normalised=config.norm_topk_prob or config.model_type == "mixtral",
        dtype=formats.activation,
        linear_dtype=formats.linear,
        weight_dtype=formats.weight,
        router_dtype=formats.unquantised,
        times=times,
    )
    return (*kernels[:-1], _reduced(kernels[-1], shard, tokens))


def _head(shard: Shard, batch: Amount) -> Stage:
    formats = shard.precision
    cascade = gemm(
        *(batch, shard.vocabulary, shard.config.hidden_size),
        dtype=formats.linear if formats.head else formats.activation,
        weight_dtype=formats.weight if formats.head else formats.unquantised,
        out_dtype=formats.activation,
        name="head",
    )
    if shard.tp == 1:
        return Stage(cascade)
    logits = batch * (shard.vocabulary * shard.tp) * bytes_of(formats.activation)
    return Stage(cascade, collective=Collective("all_gather", logits, shard.tp))


NAMES = {"output": "attention output"}
"""Products whose stage is called otherwise."""


def _linears(
    shard: Shard, layers: int, product: str, rows: Amount, outputs: int, inputs: int, bias: bool
) -> Stages:
    """A linear product of all layers: those in which it is quantised, and those that keep it."""
    formats, name = shard.precision, NAMES.get(product, product)
    kept = formats.kept_in(product)
    kinds = (
        (name, layers - kept, formats.linear, formats.weight),
        (f"{name}, not quantised", kept, formats.activation, formats.unquantised),
    )

    def made(called: str, dtype: str, weight_dtype: str) -> Cascade:
        return gemm(
            *(rows, outputs, inputs),
            dtype=dtype,
            weight_dtype=weight_dtype,
            out_dtype=formats.activation,
            bias=bias,
            name=called,
        )

    return tuple(Stage(made(c, d, w), times) for c, times, d, w in kinds if times)


def _reduced(stage: Stage, shard: Shard, tokens: Amount) -> Stage:
    """The stage, followed by the all-reduce of its hidden states between several devices."""
    if shard.tp == 1:
        return stage
    size = tokens * (shard.config.hidden_size * bytes_of(shard.precision.activation))
    return replace(stage, collective=Collective("all_reduce", size, shard.tp))
