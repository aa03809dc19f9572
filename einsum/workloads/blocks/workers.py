"""Several workers that decode on one cache (Hogwild! Inference, arXiv 2504.06261).

Each worker makes a token in a step, and all see every key that any has made. Keys stand in blocks
that each worker sees at other positions: queries are turned anew for each block, keys never.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight

TURNED = "attention.rotary q"
"""Role of the kernels that turn queries: those of all blocks at once."""


@dataclass(frozen=True)
class Workers:
    """`block` for so many `workers` of each sequence that decodes.

    Of attention they are queries that see the same keys, turned for each of `spans` blocks of
    these; of all else they are rows.
    """

    block: Block
    workers: int
    spans: int

    @property
    def words(self) -> str | None:
        """Those of the block."""
        return getattr(self.block, "words", None)

    @property
    def parts(self) -> tuple[Block, ...]:
        """The block, which keeps what it keeps for all workers together."""
        return (self.block,)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block, for all workers; prompts are read as ever."""
        return step.each(lambda one: self._run(one, share))

    def _run(self, step: Step, share: Share) -> Stages:
        if not step.decoding:
            return self.block.stages(step, share)
        if not isinstance(self.block, Attention):
            return self.block.stages(replace(step, batch=step.batch * self.workers), share)
        every = replace(self.block, causal=False)
        together = replace(step, queries=self.workers, decoding=False)
        spread = every.stages(replace(together, queries=self.workers * self.spans), share)
        turned = (stage for stage in spread if stage.role.startswith(TURNED))
        made = every.stages(together, share)
        return tuple(next(turned) if s.role.startswith(TURNED) else s for s in made)

    def cache(self) -> Cache | None:
        """Its part keeps what is kept."""
        return None
