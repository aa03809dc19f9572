"""Kimi delta attention (Kimi Linear, arXiv 2510.26692): the delta rule with a decay by channel.

Products for q, k and v, a causal convolution of all; steps by head; decays, and gates of results,
each by two narrow products; norms of q and k; the recurrence; a norm of each head, times the gate;
a product back. Of the recurrence the decays are counted by head: the exponentials of single
channels are left out.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import (
    PART,
    CausalConv,
    Recurrence,
    gated,
    out,
    products,
    vectors,
)
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, rmsnorm


@dataclass(frozen=True)
class Kda:
    """Sizes of one layer's mixer: `heads` of `dim` elements, keys and values alike."""

    hidden: int
    heads: int
    dim: int
    taps: int = 4
    chunk: int = 64
    path: str = "model.layers.{layer}.self_attn"

    @property
    def inner(self) -> int:
        """Values of a token."""
        return self.heads * self.dim

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("linear_attn_config.num_heads", self.heads)

    @property
    def _conv(self) -> CausalConv:
        return CausalConv(((self.inner, self.split),) * 3, self.taps, f"{self.path}.conv1d")

    @property
    def _state(self) -> Recurrence:
        sizes = (self.heads, self.split, self.heads, self.split, self.dim, self.dim, self.chunk)
        return Recurrence("delta", *sizes, state_format="fp32")

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps states."""
        return self._conv, self._state

    def _in(self) -> tuple[Weight, ...]:
        """Products of q, k and v, and of steps."""
        run = ((self.inner, self.split),)
        made = tuple(
            weight
            for name in ("q_proj", "k_proj", "v_proj")
            for weight in products(f"{self.path}.{name}", run, self.hidden)
        )
        return (*made, *products(f"{self.path}.b_proj", ((self.heads, self.split),), self.hidden))

    def _down(self) -> tuple[Weight, ...]:
        """The first products of decays and of gates, whole on every device."""
        shape = (self.dim, self.hidden)
        return tuple(
            Weight(f"{self.path}.{name}_a_proj", shape, "linear", PART) for name in ("f", "g")
        )

    def _up(self) -> tuple[Weight, ...]:
        """The second ones."""
        shape = (self.inner, self.dim)
        return tuple(
            Weight(f"{self.path}.{name}_b_proj", shape, "linear", PART, self.split)
            for name in ("f", "g")
        )

    def _out(self) -> Weight:
        return out(f"{self.path}.o_proj", self.hidden, self.inner, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products, filters, steps, decays, the gain that all heads share."""
        gain = Weight(f"{self.path}.o_norm", (self.dim,), "norm", "norms")
        return (
            *(*self._in(), *self._down(), *self._up(), self._out(), *self._conv.weights(), gain),
            *vectors(self.path, ("dt_bias",), self.inner, self.split),
            *vectors(self.path, ("A_log",), self.heads, self.split),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind, heads = step.tokens, share.activation, share.of(self.split)
        width = heads * self.dim
        small = (
            activation("softplus", tokens, width, kind, "decays softplus"),
            activation("sigmoid", tokens, heads, kind, "steps sigmoid"),
            rmsnorm(tokens * heads, self.dim, kind, name="q norm"),
            rmsnorm(tokens * heads, self.dim, kind, name="k norm"),
        )
        norm = rmsnorm(tokens * heads, self.dim, kind, name="mixer output norm")
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),))
        ups = [
            stage
            for name, weight in zip(("decays", "gates"), self._up(), strict=True)
            for stage in share.product(name, f"{PART}.{name}", tokens, (weight,))
        ]
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in()),
            *share.product("decays and gates", f"{PART}.latents", tokens, self._down()),
            *ups,
            *self._conv.stages(step, share),
            *(share.stage(each, f"{PART}.{each.name}") for each in small),
            *self._state.stages(step, share),
            share.stage(norm, f"{PART}.norm"),
            *gated(share, tokens, width, "sigmoid", "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its parts keep states."""
        return None
