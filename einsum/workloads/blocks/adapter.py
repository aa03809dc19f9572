"""A product of two narrow matrices beside a module's own, added to what that makes.

Low-rank adapters that a checkpoint keeps apart (Zamba 2, arXiv 2411.15242: weights that
layers share are told apart by an adapter of each layer).
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import add


@dataclass(frozen=True)
class Adapter:
    """From `inputs` to `outputs` columns by `rank`; outputs are divided as the module's are."""

    inputs: int
    rank: int
    outputs: int
    split: Split
    path: str
    part: str = "mlp"

    def weights(self) -> tuple[Weight, ...]:
        """Both products."""
        down = Weight(f"{self.path}.0", (self.rank, self.inputs), "linear", self.part)
        up = Weight(f"{self.path}.1", (self.outputs, self.rank), "linear", self.part, self.split)
        return down, up

    def stages(self, step: Step, share: Share) -> Stages:
        """Two products and an addition."""
        tokens, (down, up) = step.tokens, self.weights()
        total = add(tokens, up.sizes(share.tp)[0], share.activation, "adapter add")
        return (
            *share.product("adapter down", "adapter.down", tokens, (down,)),
            *share.product("adapter up", "adapter.up", tokens, (up,)),
            share.stage(total, "adapter.add"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
