"""The MLP of two products with an activation between (Vaswani et al., arXiv 1706.03762, 3.3)."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation


@dataclass(frozen=True)
class PlainMlp:
    """Sizes of one layer's MLP; `names` are the modules of its two products below `path`.

    `learned` are numbers of the activation, one a layer each.
    """

    hidden: int
    intermediate: int
    act: str = "gelu"
    bias: bool = True
    path: str = "model.layers.{layer}.mlp"
    names: tuple[str, str] = ("fc1", "fc2")
    counted: str = "intermediate_size"
    learned: tuple[str, ...] = ()

    @property
    def split(self) -> Split:
        """Inner columns by device."""
        return Split(self.counted, self.intermediate)

    def _products(self) -> tuple[Weight, Weight]:
        up, down = (f"{self.path}.{name}" for name in self.names)
        return (
            Weight(up, (self.intermediate, self.hidden), "linear", "mlp", self.split),
            Weight(down, (self.hidden, self.intermediate), "linear", "mlp", self.split, axis=1),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products, and their biases where they have them; that of the last is on every device."""
        up, down = self._products()
        made = [up, down]
        if self.bias:
            made.append(Weight(up.path, up.shape[:1], "bias", "biases", self.split))
            made.append(Weight(down.path, (self.hidden,), "bias", "biases"))
        numbers = (Weight(f"{self.path}.{name}", (1,), "other", "mlp") for name in self.learned)
        return (*made, *numbers)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states."""
        tokens, (up, down) = step.tokens, self._products()
        made = activation(self.act, tokens, share.of(self.split), share.activation)
        out = share.product("down", "mlp.down", tokens, (down,), bias=self.bias)
        return (
            *share.product("up", "mlp.up", tokens, (up,), bias=self.bias),
            share.stage(made, "mlp.activation"),
            *share.reduced(out, tokens, self.hidden),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
