"""Blocks one after the other as one: where a block is asked for, and it takes several."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight


@dataclass(frozen=True)
class Chain:
    """Blocks in the order in which they run."""

    blocks: tuple[Block, ...]

    @property
    def parts(self) -> tuple[Block, ...]:
        """All of them, any of which may keep something."""
        return self.blocks

    def weights(self) -> tuple[Weight, ...]:
        """Those of all."""
        return tuple(weight for block in self.blocks for weight in block.weights())

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of all, in order."""
        return tuple(stage for block in self.blocks for stage in block.stages(step, share))

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None
