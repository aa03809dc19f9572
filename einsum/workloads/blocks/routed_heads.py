"""Attention whose queries and outputs are made by experts (`JetMoeMoA` of transformers).

A router chooses `picks` of `experts` for each token; each makes a set of queries as large as the
keys, which all sets share, and turns what they have found into hidden states.
"""

from dataclasses import dataclass, replace
from typing import Any

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.dispatch import Scoring, combine_kernels, gather_rows, router_kernels
from hwmodel.einsum.workloads.moe import grouped_gemm


@dataclass(frozen=True)
class RoutedHeads:
    """`heads` are all sets' together; experts stand whole on every device, as the router does."""

    heads: Attention
    experts: int
    picks: int
    path: str

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return self.heads.words

    @property
    def parts(self) -> tuple[Attention, ...]:
        """Keys and values are kept."""
        return (self.heads,)

    @property
    def width(self) -> int:
        """Columns of a set of queries."""
        return self.heads.kv_heads * self.heads.head_dim

    def _router(self) -> Weight:
        shape = (self.experts, self.heads.hidden)
        return Weight(f"{self.path}.router.layer", shape, "router", "router")

    def _experts(self) -> tuple[Weight, Weight]:
        hidden, copies = self.heads.hidden, (self.experts, self.picks)
        path = f"{self.path}.{{expert}}"
        return (
            Weight(f"{path}.input", (self.width, hidden), "linear", "attention", None, 0, *copies),
            Weight(f"{path}.output", (hidden, self.width), "linear", "attention", None, 1, *copies),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Keys and values, experts, the router, a bias."""
        shift = Weight(f"{self.path}.bias", (self.heads.hidden,), "bias", "biases")
        return (*self.heads.products()[1:], *self._experts(), self._router(), shift)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind, hidden = step.tokens, share.activation, self.heads.hidden
        given: dict[str, Any] = {"routing": step.routing, "exponent": step.exponent, "dtype": kind}
        into, back = self._experts()
        store = {each: share.precision.of(each, share.layers[0]).weight for each in (into, back)}
        sizes = (tokens, self.experts, self.picks)
        scoring = Scoring(normalised=True)
        rows = gather_rows(tokens * self.picks, tokens, hidden, kind, "rows gather")
        queries = grouped_gemm(
            *(*sizes, self.width, hidden), **given, weight_dtype=store[into], name="experts q"
        )
        found = grouped_gemm(
            *(*sizes, hidden, self.width), **given, weight_dtype=store[back], name="experts output"
        )
        routed = router_kernels(*sizes, scoring, kind, share.times)
        summed = combine_kernels(tokens, self.picks, hidden, kind, share.times)
        return (
            *share.product("attention router", "attention.router", tokens, (self._router(),)),
            *share.ours(routed, "attention"),
            share.stage(rows, "attention.rows"),
            share.stage(queries, "attention.queries"),
            *self._attends(step, share),
            share.stage(found, "attention.output"),
            *share.ours(summed, "attention"),
        )

    def _attends(self, step: Step, share: Share) -> Stages:
        """Keys and values, positions, the cache, attention: those of all sets' heads."""
        inner = replace(self.heads, qkv_bias=False)
        made = inner.stages(step, share)
        keys = share.product("kv", "attention.qkv", step.tokens, inner.products()[1:])
        return (*keys, *(s for s in made if s.role not in ("attention.qkv", "attention.output")))

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None
