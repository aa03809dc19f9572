"""The indexer of sparse latent attention: which tokens a query attends to (DeepSeek-V3.2).

DeepSeek-V3.2-Exp: the index score of a query t and a token s is the sum over index
heads of w[t, h] relu(q[t, h] . k[s]); the best tokens are attended to. Queries are made of the
latent that the queries of attention are made of, keys of hidden states, through a layer norm, with
positions in their first elements. Index keys are cached, whole on every device. Scores are computed
as torch does, product, relu and weighted sum as kernels of their own; engines fuse them, in fp8.
The choice reads the scores once and marks those that reach a threshold, which a radix selection has
found in a few further passes that stay on the chip.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import copy, layernorm
from hwmodel.einsum.workloads.transformer import kv_write, rotary
from hwmodel.quantity.units import Amount

_SCORES = """
tensor K[b, m, e]: cache
S[b, p, h, m] = Q[b, p, h, e] * K[b, m, e]
R[b, p, h, m] = relu(S[b, p, h, m])
I[b, p, m] = R[b, p, h, m] * W[b, p, h]
"""
_CHOICE = "Y[r, c] = less_equal(Z[r], X[r, c])"


@dataclass(frozen=True)
class Indexer:
    """Sizes of one layer's indexer: `heads` of `dim` elements, of which `turned` have positions."""

    hidden: int
    query_rank: int
    heads: int
    dim: int
    turned: int
    path: str = "model.layers.{layer}.self_attn.indexer"

    def _query(self) -> Weight:
        sizes = (self.heads * self.dim, self.query_rank)
        return Weight(f"{self.path}.wq_b", sizes, "linear", "attention")

    def _of_hidden(self) -> tuple[Weight, ...]:
        """Keys and the weights of heads."""
        sizes = (("wk", self.dim), ("weights_proj", self.heads))
        return tuple(
            Weight(f"{self.path}.{name}", (outputs, self.hidden), "linear", "attention")
            for name, outputs in sizes
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products, and the norm of keys with its shift."""
        norm = Weight(f"{self.path}.k_norm", (self.dim,), "norm", "norms")
        return (self._query(), *self._of_hidden(), norm, norm)

    def stages(self, step: Step, share: Share) -> Stages:
        """From hidden states and the queries' latent to the tokens that each query chooses."""
        tokens, kind = step.tokens, share.activation
        write = (step.batch, step.queries, 1, self.dim, kind, share.precision.kv, "index write")
        norm = layernorm(tokens, self.dim, kind, name="index norm")
        return (
            *share.product("index q", "index.q", tokens, (self._query(),)),
            *share.product("index k and weights", "index.k", tokens, self._of_hidden()),
            share.stage(norm, "index.norm"),
            *self.turn(step, share, self.heads, "index rotary q"),
            *self.turn(step, share, 1, "index rotary k"),
            share.stage(kv_write(*write), "index.write"),
            *step.each(lambda one: self.chosen(one, one.context, share)),
        )

    def chosen(self, step: Step, context: Amount, share: Share) -> Stages:
        """Scores of so many tokens before each new one, and which of them it attends to."""
        among = replace(step, context=context)
        scores = self.scores(among, share.activation, share.precision.kv)
        return (
            share.stage(scores, "index.scores"),
            share.stage(self.choice(step.tokens, context), "index.top-k"),
        )

    def turn(self, step: Step, share: Share, heads: int, name: str) -> Stages:
        """Positions in the first elements of so many heads."""
        kernels = rotary(
            *(step.batch, step.queries, heads, self.turned, share.activation, name, share.times)
        )
        left = self.dim - self.turned
        rest = copy(step.tokens * heads, left, share.activation, f"{name} rest") if left else None
        beside = () if rest is None else (share.stage(rest, f"index.{name} rest"),)
        return (*share.ours(kernels, "index"), *beside)

    def scores(self, step: Step, kind: str, kv: str) -> Cascade:
        """Index scores of all tokens in the context."""
        sizes: dict[str, Amount] = {
            **{"b": step.batch, "p": step.queries, "h": self.heads},
            **{"m": step.context, "e": self.dim},
        }
        dtypes = {"*": kind, "K": kv, "I": "fp32"}
        return parse(_SCORES, sizes=sizes, dtypes=dtypes, name="index scores")

    def choice(self, tokens: Amount, context: Amount) -> Cascade:
        """Which tokens reach the score of the last that is chosen."""
        dtypes = {"X": "fp32", "Z": "fp32", "Y": "int8"}
        return parse(_CHOICE, sizes={"r": tokens, "c": context}, dtypes=dtypes, name="index top-k")
