"""A product of hidden states with a matrix, from one width to another."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight


@dataclass(frozen=True)
class Projection:
    """`[outputs, inputs]`, whole on every device; `last`: of each sequence's last token only."""

    name: str
    inputs: int
    outputs: int
    path: str
    last: bool = False
    part: str = "embedding"

    def weights(self) -> tuple[Weight, ...]:
        """The matrix."""
        return (Weight(self.path, (self.outputs, self.inputs), "linear", self.part),)

    def stages(self, step: Step, share: Share) -> Stages:
        """One product."""
        rows = step.batch if self.last else step.tokens
        return share.product(self.name, f"projection.{self.name}", rows, self.weights())

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
