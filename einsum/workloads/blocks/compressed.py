"""Attention on a window and on compressed tokens, with one key that is the value (DeepSeek V4).

Queries are made of a latent and normalised by head; the one key of a token is its value too. A
query sees the last `window` keys, and beyond them entries that stand for `rate` tokens each: the
sum of their keys under a softmax along the tokens. In the sparse kind each entry overlaps the one
before, and an indexer with compressed keys of its own chooses `chosen` of them; in the other kind
all are read. Outputs are turned back, and leave by a product in groups of heads and one over all
(`DeepseekV4Attention` of transformers). Each query is counted on the keys that it sees, a window
and entries, as sparse kernels read them; the cache holds a window of keys and all entries.
"""

from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step, seen
from hwmodel.einsum.workloads.blocks.indexer import Indexer
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import copy, rmsnorm
from hwmodel.einsum.workloads.transformer import kv_write, rotary
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount

_COMPRESS = """
tensor BIAS[r, d]: weight
B[n, r, d] = G[n, r, d] + BIAS[r, d]
PEAK[n, d] = max(r) B[n, r, d]
NUM[n, r, d] = exp(B[n, r, d] - PEAK[n, d])
SUM[n, d] = sum(r) NUM[n, r, d]
Y[n, d] = sum(r) NUM[n, r, d] / SUM[n, d] * X[n, r, d]
"""


@dataclass(frozen=True)
class Compressor:
    """Entries of `dim` elements for `rate` tokens each; `overlapping` ones read as many again."""

    hidden: int
    dim: int
    rate: int
    overlapping: bool
    path: str
    name: str = "entries"

    @property
    def width(self) -> int:
        """Elements that a token gives: one half to its own entry, one to the next."""
        return self.dim * (2 if self.overlapping else 1)

    def products(self) -> tuple[Weight, ...]:
        """What makes keys and their weights of hidden states."""
        return tuple(
            Weight(f"{self.path}.{name}", (self.width, self.hidden), "linear", "attention")
            for name in ("kv_proj", "gate_proj")
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products, a shift for each place of a window, and a norm."""
        shift = Weight(f"{self.path}.position_bias", (self.rate, self.width), "other", "attention")
        return (
            *self.products(),
            shift,
            Weight(f"{self.path}.kv_norm", (self.dim,), "norm", "norms"),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """Entries of the new tokens, on average over steps; turned and cached."""
        made, kind = ceil_div(step.tokens, self.rate), share.activation
        norm = rmsnorm(made, self.dim, kind, name=f"{self.name} norm")
        write = kv_write(made, 1, 1, self.dim, kind, share.precision.kv, f"{self.name} write")
        role = f"attention.{self.name}"
        return (
            share.stage(self.compress(made, kind), "attention.compress"),
            share.stage(norm, f"{role} norm"),
            share.stage(write, f"{role} write"),
        )

    def cache(self) -> Cache | None:
        """A token's part of an entry, rounded up; tokens that are not yet one, with weights."""
        return Cache(-(-self.dim // self.rate), state=2 * self.rate * self.width)

    def compress(self, entries: Amount, kind: str) -> Cascade:
        """The softmax along the tokens of each entry, and their sum."""
        places = self.rate * (2 if self.overlapping else 1)
        sizes: dict[str, Amount] = {"n": entries, "r": places, "d": self.dim}
        inside = dict.fromkeys(("B", "PEAK", "NUM", "SUM"), "fp32")
        dtypes = {"*": kind, **inside}
        return parse(_COMPRESS, sizes=sizes, dtypes=dtypes, name=f"{self.name} compress")


@dataclass(frozen=True)
class Compressed:
    """Sizes of one layer's attention; no `compressor`: the window alone.

    `groups` of heads leave by `group_rank` elements each; `chosen` entries are read where an
    `indexer` chooses them, whose keys `index` compresses.
    """

    hidden: int
    heads: int
    head_dim: int
    turned: int
    query_rank: int
    groups: int
    group_rank: int
    window: int
    compressor: Compressor | None = None
    index: Compressor | None = None
    indexer: Indexer | None = None
    chosen: int | None = None
    path: str = "model.layers.{layer}.self_attn"

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return f"{self.heads} on one key of {self.head_dim}, which is the value"

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_attention_heads", self.heads)

    @property
    def group_split(self) -> Split:
        """Groups of heads by device."""
        return Split("o_groups", self.groups)

    def _linear(
        self, name: str, outputs: int, inputs: int, split: Split | None = None, axis: int = 0
    ) -> Weight:
        path = f"{self.path}.{name}"
        return Weight(path, (outputs, inputs), "linear", "attention", split, axis)

    @property
    def parts(self) -> tuple[Compressor, ...]:
        """What makes entries, and the indexer's."""
        return tuple(part for part in (self.compressor, self.index) if part is not None)

    def _index(self) -> tuple[Weight, ...]:
        """Queries of the indexer, and weights of its heads."""
        if self.index is None or self.indexer is None:
            return ()
        size, path = self.indexer.heads * self.indexer.dim, self.index.path
        return (
            Weight(f"{path}.q_b_proj", (size, self.query_rank), "linear", "attention"),
            Weight(
                *(f"{path}.scorer.weights_proj", (self.indexer.heads, self.hidden)),
                *("linear", "attention"),
            ),
        )

    def _latents(self) -> tuple[Weight, ...]:
        """All products of hidden states."""
        own = (
            self._linear("q_a_proj", self.query_rank, self.hidden),
            self._linear("kv_proj", self.head_dim, self.hidden),
        )
        entries = (weight for part in self.parts for weight in part.products())
        return (*own, *entries, *self._index()[1:])

    def _up(self) -> Weight:
        size = self.heads * self.head_dim
        return self._linear("q_b_proj", size, self.query_rank, self.split)

    def _grouped(self) -> Weight:
        inputs = self.heads * self.head_dim // self.groups
        return self._linear("o_a_proj", self.groups * self.group_rank, inputs, self.group_split)

    def _output(self) -> Weight:
        inputs = self.groups * self.group_rank
        return self._linear("o_b_proj", self.hidden, inputs, self.group_split, 1)

    def weights(self) -> tuple[Weight, ...]:
        """Products, norms, sinks; those of the compressors and the indexer."""
        norms = (("q_a_norm", self.query_rank), ("kv_norm", self.head_dim))
        entries = (weight for part in self.parts for weight in part.weights())
        own = (*self._latents()[:2], self._up(), self._grouped(), self._output())
        return (
            *own,
            *(Weight(f"{self.path}.{name}", (size,), "norm", "norms") for name, size in norms),
            Weight(f"{self.path}.sinks", (self.heads,), "other", "attention", self.split),
            *entries,
            *self._index(),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind, heads = step.tokens, share.activation, share.of(self.split)
        dim, latent = self.head_dim, rmsnorm(tokens, self.query_rank, kind, name="q latent norm")
        write = kv_write(step.batch, step.queries, 1, dim, kind, share.precision.kv, "key write")
        back = gemm(
            *(tokens, self.group_rank, self.heads * dim // self.groups, kind),
            batch=share.of(self.group_split),
            name="output groups",
        )
        out = share.product("attention output", "attention.output", tokens, (self._output(),))
        return (
            *share.product("latents", "attention.latents", tokens, self._latents()),
            share.stage(latent, "attention.q latent norm"),
            *share.product("q up", "attention.q up", tokens, (self._up(),)),
            share.stage(rmsnorm(tokens * heads, dim, kind, name="q norm"), "attention.q norm"),
            share.stage(rmsnorm(tokens, dim, kind, name="key norm"), "attention.key norm"),
            *self._turned(step, share, heads, "rotary q"),
            *self._turned(step, share, 1, "rotary k"),
            share.stage(write, "attention.key write"),
            *self._entries(step, share),
            *step.each(
                lambda one: (share.stage(self._scores(one, share, heads), "attention.scores"),)
            ),
            *self._turned(step, share, heads, "rotary output"),
            share.stage(back, "attention.output groups"),
            *share.reduced(out, tokens, self.hidden),
        )

    def _turned(self, step: Step, share: Share, heads: int, name: str) -> Stages:
        """Positions in the last elements of a head, which are joined with the rest."""
        kernels = rotary(
            *(step.batch, step.queries, heads, self.turned, share.activation, name, share.times)
        )
        rest = copy(step.tokens * heads, self.head_dim, share.activation, f"{name} join")
        return (*share.ours(kernels, "attention"), share.stage(rest, f"attention.{name} join"))

    def _entries(self, step: Step, share: Share) -> Stages:
        """New entries, and the choice among all."""
        made = () if self.compressor is None else self.compressor.stages(step, share)
        if self.index is None or self.indexer is None:
            return made
        indexer, rate = self.indexer, self.index.rate
        return (
            *made,
            *self.index.stages(step, share),
            *share.product("index q", "index.q", step.tokens, self._index()[:1]),
            *self.indexer.turn(step, share, self.indexer.heads, "index rotary q"),
            *step.each(lambda one: indexer.chosen(one, ceil_div(one.context, rate), share)),
        )

    def keys(self, step: Step) -> Amount:
        """Keys that a query sees: of a window, and entries; in a prompt those of the mean query."""
        behind = step.context - (step.queries - 1) // 2
        window = seen(behind, self.window)
        if self.compressor is None:
            return window
        entries = seen(behind // self.compressor.rate, self.chosen)
        return window + entries

    def _scores(self, step: Step, share: Share, heads: int) -> Cascade:
        """Attention of each query on the keys that it sees."""
        return attention(
            batch=step.tokens,
            heads=heads,
            kv_heads=1,
            queries=1,
            keys=self.keys(step),
            head_dim=self.head_dim,
            shared=True,
            dtype=share.activation,
            kv_dtype=share.precision.kv,
            out_dtype=share.activation,
            name="attention on entries" if self.compressor else "attention on a window",
        )

    def cache(self) -> Cache | None:
        """A window of keys; entries are kept by what makes them."""
        return Cache(self.head_dim, window=self.window)
