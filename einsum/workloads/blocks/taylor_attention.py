"""Linear attention by a Taylor series (BASED, arXiv 2402.18668; HazyResearch/based).

A fused product for queries and keys of few elements, and values; the sums of `taylor.py`, which do
not grow with the context; the division by the sum of weights; a product back.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import PART, out, products
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.taylor import chunked, normalised, state_elements, updated


@dataclass(frozen=True)
class TaylorAttention:
    """Sizes of one layer's mixer: `feature_dim` elements of a query and a key of each head.

    `chunk` is how many tokens a prompt's kernel takes together.
    """

    hidden: int
    heads: int
    head_dim: int
    feature_dim: int = 16
    chunk: int = 64
    path: str = "model.layers.{layer}.self_attn"

    @property
    def words(self) -> str:
        """Its heads, for people."""
        return f"{self.heads} of a Taylor series, {self.feature_dim} elements of a key"

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_attention_heads", self.heads)

    def _in(self) -> tuple[Weight, ...]:
        sizes = {
            **dict.fromkeys(("proj_q", "proj_k"), self.heads * self.feature_dim),
            "proj_v": self.heads * self.head_dim,
        }
        runs = ((f"{self.path}.{name}", ((size, self.split),)) for name, size in sizes.items())
        return tuple(w for path, run in runs for w in products(path, run, self.hidden))

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.heads * self.head_dim, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products."""
        return (*self._in(), self._out())

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind, heads = step.tokens, share.activation, share.of(self.split)
        divided = normalised(tokens * heads, self.head_dim, kind)
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),))
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in()),
            *step.each(lambda one: self._summed(one, share)),
            share.stage(divided, f"{PART}.norm"),
            *share.reduced(back, tokens, self.hidden),
        )

    def _summed(self, step: Step, share: Share) -> Stages:
        """The sums of sequences that are alike."""
        sizes = (share.of(self.split), self.feature_dim, self.head_dim)
        kinds = {"dtype": share.activation, "state_dtype": share.activation}
        if step.decoding:
            made = updated(step.batch, *sizes, **kinds)
        else:
            made = chunked(step.batch, step.queries, *sizes, self.chunk, **kinds)
        return (share.stage(made, f"{PART}.state"),)

    def cache(self) -> Cache | None:
        """Sums of all heads, in the format of the activations."""
        size = self.heads * state_elements(self.feature_dim, self.head_dim)
        return Cache(state=size, state_split=self.split)
