"""A block whose weights are an earlier layer's: shared layers (ALBERT, arXiv 1909.11942)."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight


@dataclass(frozen=True)
class Reused:
    """What runs is the block itself; what it keeps of a sequence is its own."""

    block: Block

    @property
    def parts(self) -> tuple[Block, ...]:
        """The block, which keeps what it keeps in each of its places."""
        return (self.block,)

    def weights(self) -> tuple[Weight, ...]:
        """None that are not held already."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block."""
        return self.block.stages(step, share)

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None
