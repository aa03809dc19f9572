"""Gated delta networks (Yang et al., arXiv 2412.06464): Qwen3-Next, Qwen 3.5, OLMo Hybrid.

Products for queries, keys, values and their gate z, and two columns a head of values for steps and
decays; a causal convolution of q, k and v; norms of q and k; the delta rule; a norm of each head's
values, times the gate; a product back.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import (
    PART,
    CausalConv,
    Recurrence,
    Runs,
    gated,
    out,
    products,
    vectors,
)
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, rmsnorm

SEPARATE = (
    *("in_proj_qkv", "in_proj_qkv", "in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a"),
    *("out_proj", "norm"),
)
FUSED = (*("in_proj_qkvz",) * 4, "in_proj_ba", "in_proj_ba", "out_proj", "norm")
"""Modules of Qwen 3.5, and of Qwen3-Next."""


@dataclass(frozen=True)
class GatedDelta:
    """Sizes of one layer's mixer; `names` are its modules, of which fused ones have one name.

    They are of q, k, v, z, steps, decays, the output, the norm.
    """

    hidden: int
    key_heads: int
    heads: int
    key_dim: int
    value_dim: int
    taps: int = 4
    names: tuple[str, ...] = SEPARATE
    chunk: int = 64
    path: str = "model.layers.{layer}.linear_attn"
    state_format: str | None = None

    @property
    def split(self) -> Split:
        """Heads of values by device."""
        return Split("linear_num_value_heads", self.heads)

    @property
    def key_split(self) -> Split:
        """Heads of keys by device."""
        return Split("linear_num_key_heads", self.key_heads)

    @property
    def _mixed(self) -> Runs:
        keys, values = self.key_heads * self.key_dim, self.heads * self.value_dim
        return (2 * keys, self.key_split), (values, self.split)

    @property
    def _conv(self) -> CausalConv:
        return CausalConv(self._mixed, self.taps, f"{self.path}.conv1d")

    @property
    def _state(self) -> Recurrence:
        sizes = (self.heads, self.split, self.key_heads, self.key_split)
        sides = (self.key_dim, self.value_dim, self.chunk, self.state_format)
        return Recurrence("delta", *sizes, *sides)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps states."""
        return self._conv, self._state

    def _module(self, place: int, size: int, split: Split) -> Weight:
        (made,) = products(f"{self.path}.{self.names[place]}", ((size, split),), self.hidden)
        return made

    def _in(self) -> tuple[Weight, ...]:
        """Products of q, k, v and z."""
        keys, values = self.key_heads * self.key_dim, self.heads * self.value_dim
        runs = (*((keys, self.key_split),) * 2, *((values, self.split),) * 2)
        return tuple(self._module(place, *run) for place, run in enumerate(runs))

    def _gates(self) -> tuple[Weight, ...]:
        """Products of steps and decays."""
        return tuple(self._module(place, self.heads, self.split) for place in (4, 5))

    def _out(self) -> Weight:
        path = f"{self.path}.{self.names[6]}"
        return out(path, self.hidden, self.heads * self.value_dim, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products, filters, steps, decays, the gain that all heads share."""
        gain = Weight(f"{self.path}.{self.names[7]}", (self.value_dim,), "norm", "norms")
        return (
            *(*self._in(), *self._gates(), self._out(), *self._conv.weights(), gain),
            *vectors(self.path, ("dt_bias", "A_log"), self.heads, self.split),
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind = step.tokens, share.activation
        heads, keys = share.of(self.split), share.of(self.key_split)
        small = (
            activation("sigmoid", tokens, heads, kind, "steps sigmoid"),
            activation("softplus", tokens, heads, kind, "decays softplus"),
            rmsnorm(tokens * keys, self.key_dim, kind, name="q norm"),
            rmsnorm(tokens * keys, self.key_dim, kind, name="k norm"),
        )
        norm = rmsnorm(tokens * heads, self.value_dim, kind, name="mixer output norm")
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),))
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in()),
            *share.product("steps and decays", f"{PART}.steps", tokens, self._gates()),
            *self._conv.stages(step, share),
            *(share.stage(each, f"{PART}.{each.name}") for each in small),
            *self._state.stages(step, share),
            share.stage(norm, f"{PART}.norm"),
            *gated(share, tokens, heads * self.value_dim, "silu", "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its parts keep states."""
        return None
