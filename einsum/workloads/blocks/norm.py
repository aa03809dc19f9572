"""Norms and residual additions over hidden states."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import layernorm, residual, rmsnorm

Kind: TypeAlias = Literal[
    "rms", "layer", "layer without shift", "layer without weights", "rms without weights"
]
WEIGHTS: dict[Kind, int] = {"rms": 1, "layer": 2, "layer without shift": 1}
"""Weights that a norm of each kind has."""


@dataclass(frozen=True)
class Norm:
    """`F.rms_norm` or `F.layer_norm`; `last`: of each sequence's last token only.

    Layer norms without a shift, or without weights, are counted as one kernel with both.
    """

    name: str
    path: str
    hidden: int
    kind: Kind = "rms"
    last: bool = False

    def weights(self) -> tuple[Weight, ...]:
        """A gain; of a layer norm a shift too."""
        return (Weight(self.path, (self.hidden,), "norm", "norms"),) * WEIGHTS.get(self.kind, 0)

    def stages(self, step: Step, share: Share) -> Stages:
        """One kernel over rows of hidden states."""
        rows = step.sequences if self.last else step.tokens
        function = rmsnorm if self.kind.startswith("rms") else layernorm
        made = function(rows, self.hidden, share.activation, name=self.name)
        return (share.stage(made, "norm"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Residual:
    """What a block has made, added to what it read."""

    name: str
    hidden: int

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """One kernel over rows of hidden states."""
        made = residual(step.tokens, self.hidden, dtype=share.activation, name=self.name)
        return (share.stage(made, "residual"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
