"""A product of hidden states with a matrix, from one width to another."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation


@dataclass(frozen=True)
class Projection:
    """`[outputs, inputs]`, whole on every device; `last`: of one token of each sequence only."""

    name: str
    inputs: int
    outputs: int
    path: str
    last: bool = False
    part: str = "embedding"
    bias: bool = False
    act: str | None = None

    def weights(self) -> tuple[Weight, ...]:
        """The matrix, and its bias."""
        shift = Weight(self.path, (self.outputs,), "bias", "biases")
        return (self._matrix, *((shift,) if self.bias else ()))

    @property
    def _matrix(self) -> Weight:
        return Weight(self.path, (self.outputs, self.inputs), "linear", self.part)

    def stages(self, step: Step, share: Share) -> Stages:
        """One product, and its activation."""
        rows, role = step.sequences if self.last else step.tokens, f"projection.{self.name}"
        made = share.product(self.name, role, rows, (self._matrix,), bias=self.bias)
        if self.act is None:
            return made
        act = activation(self.act, rows, self.outputs, share.activation, f"{self.name} {self.act}")
        return (*made, share.stage(act, f"{role}.activation"))

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
