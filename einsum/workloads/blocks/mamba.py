"""Mixers of Mamba (Gu and Dao, arXiv 2312.00752) and Mamba-2 (Dao and Gu, arXiv 2405.21060).

Both: one product for the values x and their gate z, a causal convolution, the recurrence, the gate,
a product back. Mamba's channels decay each at a pace of its own, and steps, keys and queries are
made of x by further products; Mamba-2's heads decay as a whole, keys and queries are shared by
groups of heads, and all are made by the first product. The skip D x is added, and z applied, inside
of the recurrence's kernel in mamba-ssm; here the gate is two kernels of torch, the skip none.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import (
    PART,
    CausalConv,
    Recurrence,
    Runs,
    biases,
    columns,
    gated,
    out,
    products,
    vectors,
)
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, rmsnorm


@dataclass(frozen=True)
class Mamba:
    """Sizes of one layer's mixer: `inner` channels, `state` elements each, steps of rank `rank`.

    `normed`: steps, keys and queries pass a norm each; `gains`: with weights (Jamba).
    """

    hidden: int
    inner: int
    state: int
    rank: int
    taps: int = 4
    bias: bool = False
    conv_bias: bool = True
    normed: bool = False
    gains: bool = False
    act: str = "silu"
    path: str = "backbone.layers.{layer}.mixer"
    state_format: str | None = None

    @property
    def split(self) -> Split:
        """Channels by device."""
        return Split("intermediate_size", self.inner)

    @property
    def _conv(self) -> CausalConv:
        runs = ((self.inner, self.split),)
        return CausalConv(runs, self.taps, f"{self.path}.conv1d", self.conv_bias, self.act)

    @property
    def _state(self) -> Recurrence:
        alone = Split("one group", 1, repeated=True)
        sizes = (self.inner, self.split, 1, alone, self.state, 1)
        return Recurrence("channel", *sizes, state_format=self.state_format)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps states."""
        return self._conv, self._state

    def _in(self) -> tuple[Weight, ...]:
        runs = ((self.inner, self.split), (self.inner, self.split))
        return products(f"{self.path}.in_proj", runs, self.hidden)

    def _chosen(self) -> Weight:
        """Product of steps, keys and queries: each device adds up what its channels say."""
        shape = (self.rank + 2 * self.state, self.inner)
        return Weight(f"{self.path}.x_proj", shape, "linear", PART, self.split, axis=1)

    def _steps(self) -> Weight:
        shape = (self.inner, self.rank)
        return Weight(f"{self.path}.dt_proj", shape, "linear", PART, self.split)

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.inner, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products, filters, decays, skips."""
        decays = Weight(f"{self.path}.A_log", (self.inner, self.state), "other", PART, self.split)
        gains = [
            Weight(f"{self.path}.{name}_layernorm", (size,), "norm", "norms")
            for name, size in (("dt", self.rank), ("b", self.state), ("c", self.state))
        ]
        products_ = (*self._in(), self._chosen(), self._steps(), self._out())
        return (
            *(*products_, *self._conv.weights(), decays),
            *vectors(self.path, ("D",), self.inner, self.split),
            *biases((self._steps(),)),
            *(gains if self.gains else ()),
            *(biases((*self._in(), self._out())) if self.bias else ()),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, inner, kind = step.tokens, share.of(self.split), share.activation
        chosen = share.product("steps, keys and queries", f"{PART}.x", tokens, (self._chosen(),))
        width = self.rank + 2 * self.state
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),))
        norms = [
            share.stage(rmsnorm(tokens, size, kind, name=f"{name} norm"), f"{PART}.norm")
            for name, size in (("step", self.rank), ("key", self.state), ("query", self.state))
        ]
        softplus = activation("softplus", tokens, inner, kind, "steps softplus")
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in(), bias=self.bias),
            *self._conv.stages(step, share),
            *share.reduced(chosen, tokens, width),
            *(norms if self.normed else ()),
            *share.product("steps", f"{PART}.steps", tokens, (self._steps(),), bias=True),
            share.stage(softplus, f"{PART}.softplus"),
            *self._state.stages(step, share),
            *gated(share, tokens, inner, self.act, "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its parts keep states."""
        return None


@dataclass(frozen=True)
class Mamba2:
    """Sizes of one layer's mixer: `heads` of `head_dim` values, `groups` of `state` keys.

    `normed`: what the gate leaves passes a norm, group by group (mamba-ssm's `RMSNormGated`).
    """

    hidden: int
    heads: int
    head_dim: int
    groups: int
    state: int
    taps: int = 4
    chunk: int = 256
    bias: bool = False
    conv_bias: bool = True
    normed: bool = True
    act: str = "silu"
    path: str = "model.layers.{layer}.mamba"
    state_format: str | None = None

    @property
    def inner(self) -> int:
        """Values of a token."""
        return self.heads * self.head_dim

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("mamba heads", self.heads)

    @property
    def key_split(self) -> Split:
        """Groups by device."""
        return Split("mamba groups", self.groups, repeated=True)

    @property
    def _mixed(self) -> Runs:
        """What passes the convolution: values, keys and queries."""
        return (self.inner, self.split), (2 * self.groups * self.state, self.key_split)

    @property
    def _conv(self) -> CausalConv:
        return CausalConv(self._mixed, self.taps, f"{self.path}.conv1d", self.conv_bias, self.act)

    @property
    def _state(self) -> Recurrence:
        sizes = (self.heads, self.split, self.groups, self.key_split, self.state, self.head_dim)
        return Recurrence("linear", *sizes, self.chunk, self.state_format)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps states."""
        return self._conv, self._state

    def _in(self) -> tuple[Weight, ...]:
        runs = ((self.inner, self.split), *self._mixed, (self.heads, self.split))
        return products(f"{self.path}.in_proj", runs, self.hidden)

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.inner, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products, filters, decays, steps, skips."""
        gain = Weight(f"{self.path}.norm", (self.inner,), "norm", "norms", self.split)
        return (
            *(*self._in(), self._out(), *self._conv.weights()),
            *vectors(self.path, ("dt_bias", "A_log", "D"), self.heads, self.split),
            *((gain,) if self.normed else ()),
            *(biases((*self._in(), self._out())) if self.bias else ()),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind = step.tokens, share.activation
        inner = columns(((self.inner, self.split),), share)
        steps = activation("softplus", tokens, share.of(self.split), kind, "steps softplus")
        groups = share.of(self.key_split)
        norm = rmsnorm(tokens * groups, inner // groups, kind, name="mixer output norm")
        back = share.product(
            *("mixer output", f"{PART}.output", tokens, (self._out(),)), bias=self.bias
        )
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in(), bias=self.bias),
            *self._conv.stages(step, share),
            share.stage(steps, f"{PART}.softplus"),
            *self._state.stages(step, share),
            *gated(share, tokens, inner, self.act, "mixer"),
            *((share.stage(norm, f"{PART}.norm"),) if self.normed else ()),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its parts keep states."""
        return None
