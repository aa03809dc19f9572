"""The recurrent block of Griffin (De et al., arXiv 2402.19427): RecurrentGemma.

Two products of hidden states; one branch passes a GELU, the other a causal convolution and the
RG-LRU, whose gates are products of each head with itself; their product, and a product back.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import (
    PART,
    CausalConv,
    Recurrence,
    biases,
    gated,
    out,
    products,
    vectors,
)
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import activation, multiply


@dataclass(frozen=True)
class RgLru:
    """Sizes of one layer's mixer: `width` channels in `heads`, whose gates see a head each."""

    hidden: int
    width: int
    heads: int
    taps: int = 4
    act: str = "gelu_pytorch_tanh"
    path: str = "model.layers.{layer}.temporal_block"

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_attention_heads", self.heads)

    @property
    def size(self) -> int:
        """Channels of a head."""
        return self.width // self.heads

    @property
    def _conv(self) -> CausalConv:
        runs = ((self.width, self.split),)
        return CausalConv(runs, self.taps, f"{self.path}.conv_1d", bias=True, act=None)

    @property
    def _state(self) -> Recurrence:
        channels = Split("lru_width", self.width)
        alone = Split("one group", 1, repeated=True)
        return Recurrence("element", self.width, channels, 1, alone, 1, 1, state_format="fp32")

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps states."""
        return self._conv, self._state

    def _in(self) -> tuple[Weight, ...]:
        run = ((self.width, self.split),)
        names = ("linear_y", "linear_x")
        return tuple(w for n in names for w in products(f"{self.path}.{n}", run, self.hidden))

    def _gates(self) -> tuple[Weight, ...]:
        """Each head's own products, one below the other."""
        path, shape = f"{self.path}.rg_lru", (self.width, self.size)
        return tuple(
            Weight(f"{path}.{name}_gate", shape, "linear", PART, self.split)
            for name in ("input", "recurrent")
        )

    def _out(self) -> Weight:
        return out(f"{self.path}.linear_out", self.hidden, self.width, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products, gates, filters, decays."""
        made = (*self._in(), *self._gates(), self._out())
        decay = vectors(f"{self.path}.rg_lru", ("recurrent_param",), self.width, self.split)
        return (*made, *self._conv.weights(), *decay, *biases(made))

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind, heads = step.tokens, share.activation, share.of(self.split)
        width = heads * self.size
        ((kinds, *_), *_) = share.formats(self._gates())
        product = gemm(
            *(tokens, self.size, self.size),
            dtype=kinds.input,
            weight_dtype=kinds.weight,
            out_dtype=kind,
            batch=heads,
            bias=True,
            name="gates",
        )
        opened = activation("sigmoid", tokens, width, kind, "gates sigmoid")
        weighed = multiply(tokens, width, kind, "gates multiply")
        back = share.product(*("mixer output", f"{PART}.output", tokens, (self._out(),)), bias=True)
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in(), bias=True),
            *self._conv.stages(step, share),
            share.stage(product, f"{PART}.gates", runs=2),
            share.stage(opened, f"{PART}.gates sigmoid", runs=2),
            share.stage(weighed, f"{PART}.gates multiply", runs=2),
            *self._state.stages(step, share),
            *gated(share, tokens, width, self.act, "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its parts keep states."""
        return None
