"""The gated MLP of a layer (Shazeer, arXiv 2002.05202): fused gate and up, SiLU, multiply, down."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import gate_activation, rmsnorm, up_multiply


@dataclass(frozen=True)
class Mlp:
    """Sizes of one layer's MLP; `names` are the modules of gate, up and down below `path`.

    `inner_norm` is the module of a norm before the last product, where there is one.
    """

    hidden: int
    intermediate: int
    bias: bool = False
    path: str = "model.layers.{layer}.mlp"
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    counted: str = "intermediate_size"
    act: str = "silu"
    inner_norm: str | None = None

    @property
    def split(self) -> Split:
        """Inner columns by device."""
        return Split(self.counted, self.intermediate)

    def _products(self) -> tuple[Weight, ...]:
        shape = (self.intermediate, self.hidden)
        names = self.names[:2]
        return tuple(Weight(f"{self.path}.{n}", shape, "linear", "mlp", self.split) for n in names)

    def _down(self) -> Weight:
        shape = (self.hidden, self.intermediate)
        return Weight(f"{self.path}.{self.names[2]}", shape, "linear", "mlp", self.split, axis=1)

    def weights(self) -> tuple[Weight, ...]:
        """Products, and their biases where they have them; that of the last is on every device."""
        products, down = self._products(), self._down()
        made = [*products, down]
        if self.inner_norm is not None:
            path = f"{self.path}.{self.inner_norm}"
            made.append(Weight(path, (self.intermediate,), "norm", "norms", self.split))
        if self.bias:
            made += [Weight(w.path, w.shape[:1], "bias", "biases", w.split) for w in products]
            made.append(Weight(down.path, (self.hidden,), "bias", "biases"))
        return tuple(made)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, inner, kind = step.tokens, share.of(self.split), share.activation
        norm = rmsnorm(tokens, inner, kind, name="mlp sub norm")
        down = share.product("down", "mlp.down", tokens, (self._down(),), bias=self.bias)
        return (
            *share.product("gate-up", "mlp.gate-up", tokens, self._products(), bias=self.bias),
            share.stage(gate_activation(self.act, tokens, inner, kind), "mlp.silu"),
            share.stage(up_multiply(tokens, inner, kind), "mlp.multiply"),
            *(() if self.inner_norm is None else (share.stage(norm, "mlp.norm"),)),
            *share.reduced(down, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
