"""Blocks that run on fewer rows than a step has tokens: pyramids of images, squares joined to one.

An image of P patches (tokens of a step) has ceil(P / n) rows where n of them have become one.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.quantity.arithmetic import ceil_div


@dataclass(frozen=True)
class Coarser:
    """A block on one row for `every` so many tokens of a sequence."""

    block: Block
    every: int

    @property
    def parts(self) -> tuple[Block, ...]:
        """The block, which may keep something."""
        return (self.block,)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block."""
        rows = ceil_div(step.queries, self.every)
        return self.block.stages(replace(step, queries=rows, context=rows), share)

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None


def coarser(blocks: tuple[Block, ...], every: int) -> tuple[Block, ...]:
    """Blocks on one row for every so many tokens; as they are where that is one."""
    return blocks if every == 1 else tuple(Coarser(block, every) for block in blocks)
