"""Lightning attention (Qin et al., arXiv 2401.04658; MiniMax-01, arXiv 2501.08313).

SiLU of a fused product for q, k and v; the recurrence with a decay of each head that does not
depend on the token; a norm of all heads, times the sigmoid of a gate; a product back.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.states import PART, Recurrence, gated, out, products
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, rmsnorm


@dataclass(frozen=True)
class LinearAttention:
    """Sizes of one layer's mixer: every head has its own keys."""

    hidden: int
    heads: int
    head_dim: int
    chunk: int = 256
    act: str = "silu"
    path: str = "model.layers.{layer}.self_attn"

    @property
    def inner(self) -> int:
        """Values of a token."""
        return self.heads * self.head_dim

    @property
    def split(self) -> Split:
        """Heads by device."""
        return Split("num_attention_heads", self.heads)

    @property
    def _state(self) -> Recurrence:
        sizes = (self.heads, self.split, self.heads, self.split, self.head_dim, self.head_dim)
        return Recurrence("linear", *sizes, self.chunk)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What keeps a state."""
        return (self._state,)

    def _in(self) -> tuple[Weight, ...]:
        run = ((self.inner, self.split),)
        gate = products(f"{self.path}.output_gate", run, self.hidden)
        return (*products(f"{self.path}.qkv_proj", run * 3, self.hidden), *gate)

    def _out(self) -> Weight:
        return out(f"{self.path}.out_proj", self.hidden, self.inner, self.split)

    def weights(self) -> tuple[Weight, ...]:
        """Products and the norm."""
        gain = Weight(f"{self.path}.norm", (self.inner,), "norm", "norms", self.split)
        return (*self._in(), self._out(), gain)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, kind = step.tokens, share.activation
        inner = share.of(self.split) * self.head_dim
        act = activation(self.act, tokens, 3 * inner, kind, "qkv activation")
        norm = rmsnorm(tokens, inner, kind, name="mixer output norm")
        back = share.product("mixer output", f"{PART}.output", tokens, (self._out(),))
        return (
            *share.product("mixer input", f"{PART}.input", tokens, self._in()),
            share.stage(act, f"{PART}.activation"),
            *self._state.stages(step, share),
            share.stage(norm, f"{PART}.norm"),
            *gated(share, tokens, inner, "sigmoid", "mixer"),
            *share.reduced(back, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Its part keeps a state."""
        return None
