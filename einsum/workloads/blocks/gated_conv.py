"""A short convolution times a gate (BASED, arXiv 2402.18668; HazyResearch/based, `BaseConv`).

A product for x and its gate; a causal convolution of x with SiLU; the gate times it; a product
back.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import PART, CausalConv, biases, out, products
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import multiply


@dataclass(frozen=True)
class GatedConv:
    """Sizes of one layer's mixer: `inner` channels, a filter of `taps` tokens for each."""

    hidden: int
    inner: int
    taps: int = 3
    bias: bool = True
    path: str = "model.layers.{layer}.conv"

    @property
    def split(self) -> Split:
        """Channels by device."""
        return Split("inner channels", self.inner)

    @property
    def _conv(self) -> CausalConv:
        return CausalConv(((self.inner, self.split),), self.taps, f"{self.path}.conv")

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps a state."""
        return (self._conv,)

    def _in(self) -> tuple[Weight, ...]:
        return products(f"{self.path}.in_proj", ((self.inner, self.split),) * 2, self.hidden)

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.inner, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products and filters."""
        shifts = biases((*self._in(), self._out())) if self.bias else ()
        return (*self._in(), self._out(), *self._conv.weights(), *shifts)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, inner, kind = step.tokens, share.of(self.split), share.activation
        gate = share.stage(multiply(tokens, inner, kind, "conv gate multiply"), f"{PART}.gate")
        given = {"bias": self.bias}
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),), **given)
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in(), **given),
            *self._conv.stages(step, share),
            gate,
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its part keeps a state."""
        return None
