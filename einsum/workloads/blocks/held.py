"""Weights that a kernel of another block applies: biases inside of attention, tables."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight


@dataclass(frozen=True)
class Held:
    """One tensor of this shape, of a `part`; whole on every device, without a kernel."""

    path: str
    shape: tuple[int, ...]
    part: str = "attention"

    def weights(self) -> tuple[Weight, ...]:
        """The tensor."""
        return (Weight(self.path, self.shape, "other", self.part),)

    def stages(self, step: Step, share: Share) -> Stages:
        """None of its own."""
        return ()

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
