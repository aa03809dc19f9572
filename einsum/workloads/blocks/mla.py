"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434; V3, arXiv 2412.19437).

A token's keys and values are one latent of `rank` elements and one key of `turned` elements that
carries its position; these are cached, on every device, since all heads read them. Two forms give
the same result:

    expanded   keys and values of all heads are made of the latents (kv_b), then attention of heads
               of `plain` + `turned` elements with values of `value`; what prefill does
    absorbed   kv_b's halves move to queries and results, each head's own matrix: attention of all
               heads on one of `rank` + `turned` elements whose first `rank` are the values; what
               decode does, since latents are read as they are

With Q queries on C keys a sequence and head, the expanded form computes C rank (plain + value)
multiplications to expand and Q C (plain + turned + value) in attention, the absorbed one Q rank
(plain + value) and Q C (2 rank + turned): `crossover` is where they are equal.

Sparse attention (DeepSeek-V3.2) lets a query attend to the `chosen` tokens that an `indexer` finds;
layers without one take the choice of the layer before. It is computed absorbed, each query on the
latents that it chose, as FlashMLA's sparse kernel does; a prompt of no more tokens is dense.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step, seen
from hwmodel.einsum.workloads.blocks.contexts import Widths, balanced, merged
from hwmodel.einsum.workloads.blocks.indexer import Indexer
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import copy, rmsnorm
from hwmodel.einsum.workloads.transformer import kv_write, rotary
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount

Form: TypeAlias = Literal["phase", "expanded", "absorbed"]
"""How latent attention is computed; "phase": expanded in prefill, absorbed in decode."""


@dataclass(frozen=True)
class Mla:
    """Sizes of one layer's latent attention; `query_rank`: of the queries' latent, if any.

    `bias` is of the products that make latents, and of the output. `names` are the modules of the
    query (one, or down and up), of the latent, of keys and values, and of the output.
    """

    hidden: int
    heads: int
    rank: int
    plain: int
    turned: int
    value: int
    query_rank: int | None = None
    form: Form = "phase"
    bias: bool = False
    chosen: int | None = None
    indexer: Indexer | None = None
    path: str = "model.layers.{layer}.self_attn"

    over_contexts: ClassVar[bool] = True
    """Whether devices may divide the tokens of a sequence."""

    @property
    def words(self) -> str:
        """Its heads and what they read, for people."""
        return f"{self.heads} on a latent of {self.rank} and a key of {self.turned}"

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_attention_heads", self.heads)

    def crossover(self, keys: Amount) -> Amount:
        """Queries of a sequence from which on the expanded form computes less."""
        made = self.rank * (self.plain + self.value)
        return keys * made / (keys * (2 * self.rank - self.plain - self.value) + made)

    def _weight(self, name: str, outputs: int, inputs: int, split: Split | None = None) -> Weight:
        return Weight(f"{self.path}.{name}", (outputs, inputs), "linear", "attention", split)

    def _down(self) -> tuple[Weight, ...]:
        """Products of hidden states: queries or their latent, and the latent of keys and values."""
        size = self.heads * (self.plain + self.turned)
        query = (
            self._weight("q_proj", size, self.hidden, self.split)
            if self.query_rank is None
            else self._weight("q_a_proj", self.query_rank, self.hidden)
        )
        latent = self.rank + self.turned
        return query, self._weight("kv_a_proj_with_mqa", latent, self.hidden)

    def _up(self) -> Weight | None:
        """Queries of their latent."""
        size = self.heads * (self.plain + self.turned)
        if self.query_rank is None:
            return None
        return self._weight("q_b_proj", size, self.query_rank, self.split)

    def _expand(self) -> Weight:
        """Keys and values of their latent."""
        size = self.heads * (self.plain + self.value)
        return self._weight("kv_b_proj", size, self.rank, self.split)

    def _output(self) -> Weight:
        return Weight(
            *(f"{self.path}.o_proj", (self.hidden, self.heads * self.value)),
            *("linear", "attention", self.split, 1),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products, norms of latents, biases."""
        down, up, output = self._down(), self._up(), self._output()
        norm = Weight(f"{self.path}.kv_a_layernorm", (self.rank,), "norm", "norms")
        made = [*down, self._expand(), output, norm]
        if up is not None and self.query_rank is not None:
            path = f"{self.path}.q_a_layernorm"
            made += [up, Weight(path, (self.query_rank,), "norm", "norms")]
        if self.bias:
            biased = [w for w in (*down, output) if w.split is None or w is output]
            made += [Weight(w.path, w.shape[:1], "bias", "biases") for w in biased]
        return (*made, *(() if self.indexer is None else self.indexer.weights()))

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states, in the form that the step has."""
        tokens, kind = step.tokens, share.activation
        latent = rmsnorm(tokens, self.rank, kind, name="latent norm")
        write = kv_write(
            *(step.batch, step.queries, 1, self.rank + self.turned, kind),
            *(share.precision.kv, "latent write"),
        )
        out = share.product(
            *("attention output", "attention.output", tokens, (self._output(),)), bias=self.bias
        )
        return (
            *share.product("latents", "attention.latents", tokens, self._down(), bias=self.bias),
            *self._queries(step, share),
            share.stage(latent, "attention.latent norm"),
            *self._turn(step, share, share.of(self.split), "rotary q"),
            *self._turn(step, share, 1, "rotary k"),
            share.stage(write, "attention.latent write"),
            *self._chooses(step, share),
            *step.each(lambda one: self._attended(one, share)),
            *share.reduced(out, tokens, self.hidden),
        )

    def _attended(self, step: Step, share: Share) -> Stages:
        """Attention in the form that the step has."""
        absorbed = step.decoding if self.form == "phase" else self.form == "absorbed"
        form = self._absorbed if absorbed or self._sparse(step) else self._expanded
        return (*self._latents(step, share), *form(step, share))

    def _sparse(self, step: Step) -> bool:
        """Whether any query has more tokens in its context than it attends to."""
        return self.chosen is not None and bool(np.any(np.greater(step.context, self.chosen)))

    def _chooses(self, step: Step, share: Share) -> Stages:
        """The indexer's kernels."""
        if self.indexer is None:
            return ()
        return self.indexer.stages(step, share)

    def _queries(self, step: Step, share: Share) -> Stages:
        """Queries of their latent, which passes a norm."""
        up = self._up()
        if up is None or self.query_rank is None:
            return ()
        norm = rmsnorm(step.tokens, self.query_rank, share.activation, name="q latent norm")
        return (
            share.stage(norm, "attention.q latent norm"),
            *share.product("q up", "attention.q up", step.tokens, (up,)),
        )

    def _turn(self, step: Step, share: Share, heads: int, name: str) -> Stages:
        kernels = rotary(
            *(step.batch, step.queries, heads, self.turned, share.activation, name, share.times)
        )
        return share.ours(kernels, "attention")

    def _join(self, rows: Amount, size: int, share: Share, name: str) -> Stages:
        """Two parts of each head, copied side by side."""
        return (share.stage(copy(rows, size, share.activation, name), f"attention.{name}"),)

    def _expanded(self, step: Step, share: Share) -> Stages:
        """Keys and values of all heads, then attention."""
        heads, keys = share.of(self.split), step.batch * step.context
        size = self.plain + self.turned
        return (
            *share.product("kv up", "attention.kv up", keys, (self._expand(),)),
            *self._join(step.tokens * heads, size, share, "query join"),
            *self._join(keys * heads, size, share, "keys join"),
            share.stage(
                self._scores(balanced(step, True), share, heads, size, self.value),
                "attention.scores",
            ),
        )

    def _latents(self, step: Step, share: Share) -> Stages:
        """Latents of all tokens, gathered from the devices that divide them."""
        ways = share.ways
        if ways.cp > 1 and (ways.attends != "all-gather" or self.chosen is not None):
            what = "all latents" if self.chosen is not None else "attends='all-gather'"
            raise CoverageError(
                f"model: cp: latent attention over several devices is modelled with {what} alone;"
                f" found cp={ways.cp}, attends={ways.attends!r}, chosen={self.chosen}"
            )
        if step.decoding:
            return ()
        size = self.rank + self.turned
        block = step.batch * step.context * (size * bytes_of(share.precision.kv))
        return share.exchanged("keys gather", "all_gather", block, "cp")

    def _absorbed(self, step: Step, share: Share) -> Stages:
        """Queries on latents, attention on the latents, results of their heads.

        Engines widen kv_b to the activations' format when they load it and multiply in that (vLLM,
        `MLACommonImpl.process_weights_after_loading`).
        """
        heads, size = share.of(self.split), self.rank + self.turned
        by_head = partial(gemm, step.tokens, dtype=share.activation, batch=heads)
        into = by_head(N=self.rank, K=self.plain, name="q absorb")
        back = by_head(N=self.value, K=self.rank, name="value up")
        return (
            share.stage(into, "attention.q absorb"),
            *self._join(step.tokens * heads, size, share, "query join"),
            *self._on_latents(step, share, heads, size),
            share.stage(back, "attention.value up"),
        )

    def _on_latents(self, step: Step, share: Share, heads: int, size: int) -> Stages:
        """Attention on latents; of a step of decode each device attends to its part of them."""

        def kernel(step: Step, heads: int, _: int, causal: bool) -> Stages:
            made = self._scores(step, share, heads, size, self.rank)
            return (share.stage(made, "attention.scores"),)

        if share.ways.cp == 1 or not step.decoding:
            return kernel(balanced(step, True), heads, 1, True)
        return merged(step, share, Widths(heads, 1, size, size, self.rank), kernel)

    def _scores(self, step: Step, share: Share, heads: int, size: int, value: int) -> Cascade:
        """Attention itself; on latents where values are as long as those."""
        latent = value == self.rank and size == self.rank + self.turned
        sparse = self._sparse(step)
        return attention(
            batch=step.tokens if sparse else step.batch,
            heads=heads,
            kv_heads=1 if latent else heads,
            queries=1 if sparse else step.queries,
            keys=seen(step.context, self.chosen) if sparse else step.context,
            head_dim=size,
            value_dim=value,
            shared=latent,
            causal=not step.decoding and not sparse,
            dtype=share.activation,
            kv_dtype=share.precision.kv if latent else share.activation,
            out_dtype=share.activation,
            name="attention on latents" if latent else "attention",
        )

    def cache(self) -> Cache | None:
        """The latent and the key beside it, whole on every device; the indexer's key too."""
        index = 0 if self.indexer is None else self.indexer.dim
        return Cache(self.rank + self.turned + index)
