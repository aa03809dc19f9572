"""The matrix memory of xLSTM (Beck et al., arXiv 2405.04517; 7B: arXiv 2503.13427).

Products for q, k and v, an output gate for each value, an input and a forget gate for each head;
the recurrence, whose state has one more value: the sum of keys that normalises; a norm of each
head; the gate; a product back. The largest exponent of a head, by which states are kept in range,
is not counted.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import (
    PART,
    Recurrence,
    biases,
    gated,
    out,
    products,
)
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, rmsnorm


@dataclass(frozen=True)
class Mlstm:
    """Sizes of one layer's mixer: `keys` elements of q and of k of a token, `values` of v."""

    hidden: int
    heads: int
    keys: int
    values: int
    chunk: int = 64
    bias: bool = False
    path: str = "backbone.blocks.{layer}.mlstm_layer"
    state_format: str | None = None

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_heads", self.heads)

    @property
    def _state(self) -> Recurrence:
        sides = (self.keys // self.heads, self.values // self.heads + 1)
        sizes = (self.heads, self.split, self.heads, self.split)
        return Recurrence("linear", *sizes, *sides, self.chunk, self.state_format)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps a state."""
        return (self._state,)

    def _named(self, **sizes: int) -> tuple[Weight, ...]:
        return tuple(
            weight
            for name, size in sizes.items()
            for weight in products(f"{self.path}.{name}", ((size, self.split),), self.hidden)
        )

    def _in(self) -> tuple[Weight, ...]:
        return self._named(q=self.keys, k=self.keys, v=self.values, ogate_preact=self.values)

    def _gates(self) -> tuple[Weight, ...]:
        return self._named(igate_preact=self.heads, fgate_preact=self.heads)

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.values, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products, gates, the norm."""
        path = f"{self.path}.multihead_norm"
        gain = Weight(path, (self.values,), "norm", "norms", self.split)
        shifts = biases((*self._in(), self._out())) if self.bias else ()
        return (*self._in(), *self._gates(), self._out(), gain, *biases(self._gates()), *shifts)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, heads, kind = step.tokens, share.of(self.split), share.activation
        cap = activation("tanh", tokens, 2 * heads, kind, "gates cap")
        norm = rmsnorm(tokens * heads, self.values // self.heads, kind, name="mixer output norm")
        width = heads * (self.values // self.heads)
        back = share.product(
            *("mixer output", f"{PART}.output", tokens, (self._out(),)), bias=self.bias
        )
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in(), bias=self.bias),
            *share.product("gates", f"{PART}.gates", tokens, self._gates(), bias=True),
            share.stage(cap, f"{PART}.cap"),
            *self._state.stages(step, share),
            share.stage(norm, f"{PART}.norm"),
            *gated(share, tokens, width, "sigmoid", "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its part keeps a state."""
        return None
