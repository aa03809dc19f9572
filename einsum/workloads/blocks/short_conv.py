"""LFM2's mixer: a short convolution between two gates (`Lfm2ShortConv`).

A product for B, C and x; B x; a causal convolution without activation; C times it; a product back.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import PART, CausalConv, biases, out, products
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import multiply


@dataclass(frozen=True)
class ShortConv:
    """Sizes of one layer's mixer."""

    hidden: int
    taps: int = 3
    bias: bool = False
    path: str = "model.layers.{layer}.conv"

    @property
    def split(self) -> Split:
        """Channels by device."""
        return Split("hidden_size", self.hidden)

    @property
    def _conv(self) -> CausalConv:
        return CausalConv(
            *(((self.hidden, self.split),), self.taps, f"{self.path}.conv", self.bias, None)
        )

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps a state."""
        return (self._conv,)

    def _in(self) -> tuple[Weight, ...]:
        return products(f"{self.path}.in_proj", ((self.hidden, self.split),) * 3, self.hidden)

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.hidden, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products and filters."""
        shifts = biases((*self._in(), self._out())) if self.bias else ()
        return (*self._in(), self._out(), *self._conv.weights(), *shifts)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, inner, kind = step.tokens, share.of(self.split), share.activation
        before, after = (
            share.stage(multiply(tokens, inner, kind, f"{name} gate multiply"), f"{PART}.{name}")
            for name in ("input", "output")
        )
        back = share.product(
            *("mixer output", f"{PART}.output", tokens, (self._out(),)), bias=self.bias
        )
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in(), bias=self.bias),
            *(before, *self._conv.stages(step, share), after),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its part keeps a state."""
        return None
