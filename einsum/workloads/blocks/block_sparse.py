"""Attention to blocks of keys that an indexer chooses (MiniMax M3).

Each index head scores all keys for a query with a key of its own that all heads share; of each
block of keys the best score counts, and a KV head's queries attend to the keys of the best
`chosen` blocks, the last ones among them. Keys, values and index keys of all tokens are cached.
Scores are computed as torch does, product and maxima as kernels of their own; kernels of engines
fuse them. Attention to chosen blocks is counted as to a window of as many keys.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import copy, rmsnorm
from hwmodel.einsum.workloads.transformer import kv_write, rotary
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount

_SCORES = "tensor K[b, m, e]: cache\nS[b, p, h, m] = Q[b, p, h, e] * K[b, m, e]"
_BEST = "R[t, c] = max(k) S[t, c, k]"
_CHOICE = "Y[r, c] = less_equal(Z[r], X[r, c])"


@dataclass(frozen=True)
class BlockIndexer:
    """`heads` of `dim` elements, the first `turned` with positions; keys in blocks of `size`."""

    hidden: int
    heads: int
    dim: int
    turned: int
    size: int
    path: str

    def _products(self) -> tuple[Weight, ...]:
        sizes = (("index_q_proj", self.heads * self.dim), ("index_k_proj", self.dim))
        return tuple(
            Weight(f"{self.path}.{name}", (outputs, self.hidden), "linear", "attention")
            for name, outputs in sizes
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products and norms, whole on every device."""
        names = ("index_q_norm", "index_k_norm")
        norms = (Weight(f"{self.path}.{name}", (self.dim,), "norm", "norms") for name in names)
        return (*self._products(), *norms)

    def stages(self, step: Step, share: Share) -> Stages:
        """From hidden states to the blocks that each query attends to."""
        tokens, kind, kv = step.tokens, share.activation, share.precision.kv
        write = kv_write(step.batch, step.queries, 1, self.dim, kind, kv, name="index write")
        norms = (
            rmsnorm(tokens * self.heads, self.dim, kind, name="index q norm"),
            rmsnorm(tokens, self.dim, kind, name="index k norm"),
        )
        chosen = step.each(
            lambda one: tuple(
                share.stage(each, f"index.{each.name}") for each in self.chosen(one, kind, kv)
            )
        )
        return (
            *share.product("index q and k", "index.products", tokens, self._products()),
            *(share.stage(each, f"index.{each.name}") for each in norms),
            *self._turned(step, share, self.heads, "index rotary q"),
            *self._turned(step, share, 1, "index rotary k"),
            share.stage(write, f"index.{write.name}"),
            *chosen,
        )

    def _turned(self, step: Step, share: Share, heads: int, name: str) -> Stages:
        kernels = rotary(
            *(step.batch, step.queries, heads, self.turned, share.activation, name, share.times)
        )
        left = self.dim - self.turned
        rest = copy(step.tokens * heads, left, share.activation, f"{name} rest") if left else None
        beside = () if rest is None else (share.stage(rest, f"index.{name} rest"),)
        return (*share.ours(kernels, "index"), *beside)

    def chosen(self, step: Step, kind: str, kv: str) -> tuple[Cascade, ...]:
        """Scores of all keys, the best of each block, and the blocks that reach a threshold."""
        blocks = ceil_div(step.context, self.size)
        rows: Amount = step.tokens * self.heads
        scores: dict[str, Amount] = {
            **{"b": step.batch, "p": step.queries, "h": self.heads},
            **{"m": step.context, "e": self.dim},
        }
        best: dict[str, Amount] = {"t": rows, "c": blocks, "k": self.size}
        choice: dict[str, Amount] = {"r": rows, "c": blocks}
        marks = {"X": "fp32", "Z": "fp32", "Y": "int8"}
        return (
            parse(_SCORES, sizes=scores, dtypes={"*": kind, "K": kv}, name="index scores"),
            parse(_BEST, sizes=best, dtypes={"S": kind, "R": "fp32"}, name="index blocks"),
            parse(_CHOICE, sizes=choice, dtypes=marks, name="index top-k"),
        )

    def cache(self) -> Cache | None:
        """A key, whole on every device."""
        return Cache(self.dim)


@dataclass(frozen=True)
class BlockSparse:
    """`heads` that attend to `chosen` keys, which an indexer finds."""

    heads: Attention
    indexer: BlockIndexer
    chosen: int

    @property
    def words(self) -> str:
        """Its heads and what they read, for people."""
        return f"{self.heads.words}, of {self.chosen} keys that an indexer chooses"

    @property
    def parts(self) -> tuple[Block, ...]:
        """Both keep something of every token."""
        return self.heads, self.indexer

    def weights(self) -> tuple[Weight, ...]:
        """Those of both."""
        return (*self.heads.weights(), *self.indexer.weights())

    def stages(self, step: Step, share: Share) -> Stages:
        """The choice, and attention to what was chosen."""
        narrow = replace(self.heads, window=self.chosen)
        return (*self.indexer.stages(step, share), *narrow.stages(step, share))

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None
