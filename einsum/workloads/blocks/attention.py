"""Attention of a decoder: heads in groups that share keys and values, with what models vary.

Fused q, k and v product; norms of q and of k by head where the model has them; rotary of q and of
k; two cache writes; attention, where a sliding window lets a token see its last keys only; output
product. Between devices query heads are divided, and key heads until one is left, which is then
repeated (Shoeybi et al., arXiv 1909.08053, section 3).
"""

from dataclasses import dataclass
from typing import Literal

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.norm import WEIGHTS, Kind
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import copy, layernorm, rmsnorm
from hwmodel.einsum.workloads.transformer import kv_write, rotary
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class HeadNorm:
    """How q and k are normalised: each head alone, or all heads of a token together (`whole`).

    `gains`: one for each element of a head, which all heads share; one for each head's elements
    (of whole norms they are the same); or none.
    """

    whole: bool = False
    gains: Literal["shared", "each", "none"] = "shared"
    kind: Kind = "rms"
    names: tuple[str, str] = ("q_norm", "k_norm")


@dataclass(frozen=True)
class Attention:
    """Sizes of one layer's attention; `window`: keys that a token sees, itself included.

    `names` are the modules of q, k, v and the output below `path`; fused ones have one name.
    `head_norm` says how q and k are normalised, if `qk_norm`; `rotated` how many elements of a head
    are turned by rotary embedding (None: all); `clipped` that q, k and v are clipped. Biases by
    distance (ALiBi) and `sinks`, a learned logit of each head in the softmax's sum, are added
    inside of the attention kernel.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: bool = False
    head_norm: HeadNorm = HeadNorm()
    rotated: int | None = None
    clipped: bool = False
    sinks: bool = False
    path: str = "model.layers.{layer}.self_attn"
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj")

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return f"{self.heads} for queries, {self.kv_heads} for keys and values"

    @property
    def query_split(self) -> Split:
        """Query heads by device."""
        return Split("num_attention_heads", self.heads)

    @property
    def key_split(self) -> Split:
        """Key heads by device."""
        return Split("num_key_value_heads", self.kv_heads, repeated=True)

    def products(self) -> tuple[Weight, ...]:
        """Weights of the q, k and v products."""
        heads, dim = (self.heads, self.kv_heads, self.kv_heads), self.head_dim
        splits = (self.query_split, self.key_split, self.key_split)
        return tuple(
            Weight(f"{self.path}.{name}", (n * dim, self.hidden), "linear", "attention", split)
            for name, n, split in zip(self.names, heads, splits, strict=False)
        )

    def output(self) -> Weight:
        """Weight of the output product."""
        return Weight(
            *(f"{self.path}.{self.names[3]}", (self.hidden, self.heads * self.head_dim)),
            *("linear", "attention", self.query_split, 1),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products, biases and norms."""
        biased = self.products() if self.qkv_bias else ()
        made = [
            *(*self.products(), self.output()),
            *(Weight(w.path, w.shape[:1], "bias", "biases", w.split) for w in biased),
        ]
        if self.output_bias:
            made.append(Weight(self.output().path, (self.hidden,), "bias", "biases"))
        if self.qk_norm:
            made += self._gains()
        if self.sinks:
            path, split = f"{self.path}.sinks", self.query_split
            made.append(Weight(path, (self.heads,), "other", "attention", split))
        return tuple(made)

    def _gains(self) -> list[Weight]:
        """Weights of the norms of q and k."""
        how, made = self.head_norm, list[Weight]()
        for name, split in zip(how.names, (self.query_split, self.key_split), strict=True):
            each = how.whole or how.gains == "each"
            size = self.head_dim * (split.pieces if each else 1)
            gain = Weight(f"{self.path}.{name}", (size,), "norm", "norms", split if each else None)
            made += [gain] * (0 if how.gains == "none" else WEIGHTS.get(how.kind, 0))
        return made

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states, on one device's heads."""
        heads, kv_heads, dim = share.of(self.query_split), share.of(self.key_split), self.head_dim
        batch, queries, tokens, kind = step.batch, step.queries, step.tokens, share.activation
        norms = self._norms(tokens, (heads, kv_heads), kind) if self.qk_norm else ()
        columns = (heads + 2 * kv_heads) * dim
        clip = (share.stage(copy(tokens, columns, kind, "qkv clip"), "attention.clip"),)
        write = kv_write(batch, queries, kv_heads, dim, kind, share.precision.kv, name="kv write")
        out = share.product(
            *("attention output", "attention.output", tokens, (self.output(),)),
            bias=self.output_bias,
        )
        return (
            *share.product("qkv", "attention.qkv", tokens, self.products(), bias=self.qkv_bias),
            *(clip if self.clipped else ()),
            *(share.stage(norm, f"attention.{norm.name}") for norm in norms),
            *self._turned(step, share, heads, "rotary q"),
            *self._turned(step, share, kv_heads, "rotary k"),
            share.stage(write, "attention.kv write", runs=2),
            share.stage(self._scores(step, share, heads, kv_heads), "attention.scores"),
            *share.reduced(out, tokens, self.hidden),
        )

    def _norms(self, tokens: Amount, heads: tuple[int, int], kind: str) -> tuple[Cascade, ...]:
        """Norms of q and of k."""
        function = rmsnorm if self.head_norm.kind == "rms" else layernorm
        names, dim = ("q norm", "k norm"), self.head_dim
        sizes = [(1, n * dim) if self.head_norm.whole else (n, dim) for n in heads]
        return tuple(
            function(tokens * rows, size, kind, name=name)
            for name, (rows, size) in zip(names, sizes, strict=True)
        )

    def _turned(self, step: Step, share: Share, heads: int, name: str) -> Stages:
        """Rotary embedding of so many heads; elements that are not turned are copied beside."""
        turned = self.head_dim if self.rotated is None else self.rotated
        if not turned:
            return ()
        kernels = rotary(
            *(step.batch, step.queries, heads, turned, share.activation, name, share.times)
        )
        left = self.head_dim - turned
        rest = copy(step.tokens * heads, left, share.activation, f"{name} rest") if left else None
        beside = () if rest is None else (share.stage(rest, f"attention.{name} rest"),)
        return (*share.ours(kernels, "attention"), *beside)

    def _scores(self, step: Step, share: Share, heads: int, kv_heads: int) -> Cascade:
        """Attention itself."""
        return attention(
            batch=step.batch,
            heads=heads,
            kv_heads=kv_heads,
            queries=step.queries,
            keys=step.seen(self.window),
            head_dim=self.head_dim,
            causal=not step.decoding,
            window=None if step.decoding else self.window,
            dtype=share.activation,
            kv_dtype=share.precision.kv,
            out_dtype=share.activation,
            name="attention" if self.window is None else f"attention, window {self.window}",
        )

    def cache(self) -> Cache | None:
        """Keys and values."""
        return Cache(2 * self.kv_heads * self.head_dim, self.key_split, self.window)
