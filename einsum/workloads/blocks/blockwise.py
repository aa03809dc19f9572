"""Blocks of tokens: what runs once for each, and what stays within one (arXiv 2406.02657).

Ho et al., Block Transformer: a coarse decoder sees one position for each `length` tokens, so that
per token it does 1/length of the work, keeps 1/length of the keys, and reads 1/length^2 of them. A
local decoder makes a block's tokens from a `prefix` that the coarse one gives; it sees nothing of
earlier blocks, so that a prompt is none of its business but for the token after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step, caches
from hwmodel.einsum.workloads.blocks.evicting import Holding
from hwmodel.einsum.workloads.blocks.joined import interleaved
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.quantity.arithmetic import ceil_div


@dataclass(frozen=True)
class Coarse:
    """`block` on one position for each `length` tokens; in decode it runs once in so many steps."""

    block: Block
    length: int

    @property
    def words(self) -> str | None:
        """Those of the block."""
        return getattr(self.block, "words", None)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What the block keeps, of its positions."""
        kept = Kept(share=1 / self.length)
        return tuple(Holding(replace(each, window=kept)) for each in caches(self.block))

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block, on positions; groups of sequences run one after the other."""
        return step.each(lambda one: self._run(one, share))

    def _run(self, step: Step, share: Share) -> Stages:
        context = ceil_div(step.context, self.length)
        if step.decoding:
            seldom = replace(share, often=share.often / self.length)
            return self.block.stages(replace(step, context=context), seldom)
        queries = ceil_div(step.queries, self.length)
        return self.block.stages(replace(step, queries=queries, context=context), share)

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None


@dataclass(frozen=True)
class Local:
    """`block` within blocks of `length` tokens, behind a `prefix` of positions.

    A block's first token is made of the prefix alone, at once; the others one by one, with half of
    the block to be seen on average. What reads tokens alone (an embedding) has no prefix.
    """

    block: Block
    length: int
    prefix: int

    @property
    def words(self) -> str | None:
        """Those of the block."""
        return getattr(self.block, "words", None)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What the block keeps, of one block of tokens."""
        most = self.prefix + self.length - 1
        return tuple(Holding(replace(each, window=most)) for each in caches(self.block))

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block on a prefix, and on a block's other tokens, of each group."""
        return step.each(lambda one: tuple(interleaved(list(self._runs(one, share)))))

    def _runs(self, step: Step, share: Share) -> Iterator[Stages]:
        length, prefix = self.length, self.prefix
        if prefix:
            once = replace(step, queries=prefix, context=prefix, decoding=False)
            first = share.often / length if step.decoding else share.often
            yield self.block.stages(once, replace(share, often=first))
        if step.decoding and length > 1:
            others = replace(share, often=share.often * (length - 1) / length)
            seen = prefix + ceil_div(length, 2)
            yield self.block.stages(replace(step, context=seen), others)

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None
