"""Scores of queries, or keys, on vectors that stand for distances, added to those of attention.

`DisentangledSelfAttention` of DeBERTa and `XLNetRelativeAttention` in transformers: positions pass
products as tokens do (modules of their own, or those of q and k), each head is multiplied by all of
them, and scores are gathered by distance.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import add, copy
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Distances:
    """`terms` sums of scores, each of so many `rows` of positions; None: two for each token.

    `modules` are the products of positions, by path and whether they have a bias, where they are
    not those of q and k; `vectors` are further parameters of heads, as (path, number of rows).
    """

    hidden: int
    heads: int
    head_dim: int
    rows: int | None
    terms: int
    modules: tuple[tuple[str, bool], ...] = ()
    vectors: tuple[tuple[str, int], ...] = ()
    gathered: int | None = None

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_attention_heads", self.heads)

    def _products(self) -> tuple[Weight, ...]:
        shape = (self.heads * self.head_dim, self.hidden)
        return tuple(
            Weight(path, shape, "linear", "attention", self.split) for path, _ in self.modules
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products of positions, biases, vectors of heads."""
        pairs = zip(self._products(), self.modules, strict=True)
        shifts = (
            Weight(w.path, w.shape[:1], "bias", "biases", w.split) for w, (_, b) in pairs if b
        )
        each = (self.heads, self.head_dim)
        more = (Weight(path, (rows, *each), "other", "attention") for path, rows in self.vectors)
        return (*self._products(), *shifts, *more)

    def stages(self, step: Step, share: Share) -> Stages:
        """Products of positions, scores on them, and their sum by distance."""
        kind, heads = share.activation, share.of(self.split)
        rows: Amount = 2 * step.queries if self.rows is None else self.rows
        pairs = step.batch * heads * step.queries
        keys: Amount = step.context if self.gathered is None else self.gathered
        wide = (rows, heads * self.head_dim, self.hidden, kind)
        shared = share.stage(gemm(*wide, name="positions"), "attention.positions", self.terms)
        own = (
            stage
            for each in self._products()
            for stage in share.product("positions", "attention.positions", rows, (each,))
        )
        scores = gemm(
            *(step.queries, rows, self.head_dim, kind),
            batch=step.batch * heads,
            name="position scores",
        )
        gathered = copy(pairs, keys, kind, "position scores gather")
        added = add(pairs, keys, kind, "position scores add")
        each = (scores, gathered, added)
        return (
            *(own if self.modules else (shared,)),
            *(share.stage(kernel, "attention.distances", self.terms) for kernel in each),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
