"""Decoders that read an encoder: which tokens a block runs on, and attention to the source's.

A prompt is the source. Prefill runs the encoder on it, makes keys and values of it for every layer
of the decoder, and runs the decoder on its start token; decode runs the decoder alone, on one token
whose `context` are targets (Vaswani et al., arXiv 1706.03762).
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step, together
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import rmsnorm
from hwmodel.einsum.workloads.transformer import kv_write
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class OfSource:
    """A block of the encoder: it runs in prefill alone."""

    block: Block

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block on the prompt."""
        return step.each(lambda one: () if one.decoding else self.block.stages(one, share))

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class OfTarget:
    """A block of the decoder: a prompt is none of its tokens."""

    block: Block

    @property
    def parts(self) -> tuple[Block, ...]:
        """The block, which may keep something."""
        return (self.block,)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block on one token."""
        return self.block.stages(together(*map(started, step.alike)), share)

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None


@dataclass(frozen=True)
class CrossAttention:
    """Attention of a decoder's token to all tokens of a source; in decode these are `source`.

    `heads` are its sizes. Keys and values are made in prefill and kept as long as the sequence. A
    source that is `given` (an image) is none of the prompt's tokens, all of which attend to it.
    """

    heads: Attention
    source: int
    given: bool = False

    @property
    def words(self) -> str:
        """Its heads and what they read, for people."""
        return f"{self.heads.heads} on a source of {self.source}"

    def weights(self) -> tuple[Weight, ...]:
        """Products and biases."""
        return self.heads.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        inner = self.heads
        query, *keys = inner.products()
        tokens = sum(one.tokens if one.decoding or self.given else one.batch for one in step.alike)
        norms = step.each(lambda one: self._normed(one, share))
        out = share.product(
            *("cross attention output", "cross.output", tokens, (inner.output(),)),
            bias=inner.output_bias,
        )
        return (
            *step.each(lambda one: () if one.decoding else self._kept(one, share, tuple(keys))),
            *share.product("cross q", "cross.q", tokens, (query,), bias=inner.qkv_bias),
            *(norms if inner.qk_norm else ()),
            *step.each(lambda one: (share.stage(self._scores(one, share), "cross.scores"),)),
            *share.reduced(out, tokens, inner.hidden),
        )

    def _normed(self, step: Step, share: Share) -> Stages:
        """Norms of queries, and in prefill of the source's keys."""
        inner, kind = self.heads, share.activation
        query = rmsnorm(
            step.tokens * share.of(inner.query_split), inner.head_dim, kind, name="cross q norm"
        )
        rows = step.batch * self.source * share.of(inner.key_split)
        key = rmsnorm(rows, inner.head_dim, kind, name="cross k norm")
        every = (query,) if step.decoding else (query, key)
        return tuple(share.stage(each, f"cross.{each.name}") for each in every)

    def _kept(self, step: Step, share: Share, keys: tuple[Weight, ...]) -> Stages:
        """Keys and values of the source, made and written."""
        inner = self.heads
        read: Amount = self.source if self.given else step.queries
        sizes = (step.batch, read, share.of(inner.key_split), inner.head_dim)
        write = kv_write(*sizes, share.activation, share.precision.kv, name="cross kv write")
        return (
            *share.product("cross kv", "cross.kv", step.batch * read, keys, bias=inner.qkv_bias),
            share.stage(write, "cross.kv write", runs=2),
        )

    def _scores(self, step: Step, share: Share) -> Cascade:
        prompt = not step.decoding and not self.given
        keys: Amount = step.queries if prompt else self.source
        return attention(
            batch=step.batch,
            heads=share.of(self.heads.query_split),
            kv_heads=share.of(self.heads.key_split),
            queries=1 if prompt else step.queries,
            keys=keys,
            head_dim=self.heads.head_dim,
            dtype=share.activation,
            kv_dtype=share.precision.kv,
            out_dtype=share.activation,
            name="cross attention",
        )

    def cache(self) -> Cache | None:
        """Keys and values of the source, in the cache's format."""
        size = 2 * self.heads.kv_heads * self.heads.head_dim * self.source
        return Cache(state=size, state_split=self.heads.key_split, state_format="cache")


@dataclass(frozen=True)
class Gated:
    """A block whose results, and those of what follows, are weighed by `gates` single numbers.

    Kernels of engines apply them in residual additions; they are weights, and cost nothing else.
    """

    block: CrossAttention
    gates: int
    path: str

    @property
    def parts(self) -> tuple[Block, ...]:
        """The block, which keeps something."""
        return (self.block,)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block, and the gates."""
        gate = Weight(f"{self.path}.cross_attn_gate", (1,), "other", "attention")
        return (*self.block.weights(), *((gate,) * self.gates))

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block."""
        return self.block.stages(step, share)

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None


@dataclass(frozen=True)
class RelativeBias:
    """A table of biases by distance, added to scores inside of attention (T5)."""

    buckets: int
    heads: int
    path: str

    def weights(self) -> tuple[Weight, ...]:
        """The table."""
        return (Weight(self.path, (self.buckets, self.heads), "other", "attention"),)

    def stages(self, step: Step, share: Share) -> Stages:
        """None of its own."""
        return ()

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


def started(step: Step) -> Step:
    """The step of a decoder's start token; decode goes on as it is."""
    return step if step.decoding else replace(step, queries=1, context=1, decoding=True)
