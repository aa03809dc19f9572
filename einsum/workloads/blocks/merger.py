"""Patches joined by squares and made as wide as a language model's hidden states (Qwen's VL).

A norm of patches, or of joined ones; two products with a GELU between, on one row for each square.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.norm import WEIGHTS, Kind
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation, layernorm, rmsnorm
from hwmodel.quantity.arithmetic import ceil_div


@dataclass(frozen=True)
class Merger:
    """`patches` of `hidden` elements become one row of `outputs`; whole on every device.

    `names` are the modules of the norm, which is of that `kind`, and of the products below `path`.
    """

    hidden: int
    patches: int
    outputs: int
    path: str
    joined_norm: bool = False
    kind: Kind = "layer"
    names: tuple[str, str, str] = ("norm", "linear_fc1", "linear_fc2")

    @property
    def width(self) -> int:
        """Elements of a square."""
        return self.hidden * self.patches

    def _products(self) -> tuple[Weight, Weight]:
        first, second = (f"{self.path}.{name}" for name in self.names[1:])
        return (
            Weight(first, (self.width, self.width), "linear", "merger"),
            Weight(second, (self.outputs, self.width), "linear", "merger"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Products, biases, the norm."""
        size = self.width if self.joined_norm else self.hidden
        norm = Weight(f"{self.path}.{self.names[0]}", (size,), "norm", "norms")
        norms = (norm,) * WEIGHTS.get(self.kind, 0)
        shifts = (Weight(w.path, w.shape[:1], "bias", "biases") for w in self._products())
        return (*self._products(), *norms, *shifts)

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from patches to tokens of an image."""
        kind, rows = share.activation, ceil_div(step.tokens, self.patches)
        first, second = self._products()
        sizes = (rows, self.width) if self.joined_norm else (step.tokens, self.hidden)
        function = rmsnorm if self.kind.startswith("rms") else layernorm
        act = activation("gelu", rows, self.width, kind, "merger gelu")
        return (
            share.stage(function(*sizes, kind, name="merger norm"), "merger.norm"),
            *share.product("merger up", "merger.up", rows, (first,), bias=True),
            share.stage(act, "merger.activation"),
            *share.product("merger down", "merger.down", rows, (second,), bias=True),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
