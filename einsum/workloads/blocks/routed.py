"""Blocks that some tokens pass, and blocks that tokens choose between.

Mixture of depths, early exit, recursions that tokens leave (Mixture-of-Recursions, arXiv
2507.10524), a small MLP, a big one or none (Duo-LLM): a token passes a block with a probability,
each by itself. A prompt has the share of its tokens that this means. Of the sequences that decode
together some pass in a step, in others none does, and the block does not run; what runs is counted
with as many rows as pass where any does, and as often as makes their number the expected one:

    runs q = 1 - (1 - p)^b,   rows r = b p / q in whole rows,   runs counted b p / r

so that operations are exact, and weights are read q times up to the rounding of r.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step, together
from hwmodel.einsum.workloads.blocks.fewer import Fewer
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount

Keys: TypeAlias = Literal["own", "all"]


@dataclass(frozen=True)
class Routed:
    """`block`, which a `share` of the tokens passes.

    Its attention sees the tokens that passed it too, the block's `own`, or `all` of the context,
    whose keys and values another block has kept.
    """

    block: Block
    share: float
    keys: Keys = "own"

    @property
    def words(self) -> str | None:
        """Those of the block."""
        return getattr(self.block, "words", None)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What the block keeps, of the tokens that pass."""
        if self.keys == "all" or self.share == 1:
            return (self.block,)
        return (Fewer(self.block, self._kept),)

    @property
    def _kept(self) -> Kept:
        return Kept(share=self.share)

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block, on the tokens that pass."""
        if self.share == 1:
            return self.block.stages(step, share)
        if step.decoding:
            rows, often = passing(step.batch, self.share)
            some = replace(self._fewer(step), batch=rows)
            return self.block.stages(some, replace(share, often=share.often * often))
        made = self.block.stages(together(*map(self._fewer, step.alike)), share)
        return made if self.keys == "own" else tuple(self._spread(made, step, share))

    def _fewer(self, step: Step) -> Step:
        """The tokens that pass; sequences that decode while others read a prompt are some of them.

        A prompt's block runs in any case.
        """
        if step.decoding:
            batch = most((1, np.round(step.batch * self.share)))
            rows = int(batch) if isinstance(step.batch, int) else batch
            return replace(step, batch=rows, context=self._seen(step.context))
        queries, before = self._kept.tokens(step.queries), step.context - step.queries
        return replace(step, queries=queries, context=self._seen(before) + queries)

    def _seen(self, context: Amount) -> Amount:
        """Keys of so many tokens; none of none."""
        if self.keys == "all":
            return context
        return self._kept.tokens(context) if np.any(np.not_equal(context, 0)) else 0

    def _spread(self, some: Stages, step: Step, share: Share) -> Iterator[Stage]:
        """Attention of a prompt's tokens, which stand anywhere: their share of what all do."""
        thin = replace(share, often=share.often * self.share)
        every = (s for s in self.block.stages(step, thin) if s.role == "attention.scores")
        groups = iter(step.alike)
        for stage in some:
            if stage.role != "attention.scores":
                yield stage
                continue
            whole = next(every)
            yield stage if next(groups).decoding else whole

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None


@dataclass(frozen=True)
class Choice:
    """Blocks (`ways`) of which each token passes one, or none: with its probability of `shares`.

    `router`, where there is one, is the module whose product scores the ways, none among them.
    """

    hidden: int
    ways: tuple[Block, ...]
    shares: tuple[float, ...]
    router: str | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The ways that do something."""
        passed = zip(self.ways, self.shares, strict=True)
        return tuple(Routed(block, share) for block, share in passed if share)

    @property
    def parts(self) -> tuple[Block, ...]:
        """All of them, any of which may keep something."""
        return self.blocks

    def _router(self) -> tuple[Weight, ...]:
        if self.router is None:
            return ()
        ways = len(self.ways) + (sum(self.shares) < 1 - 1e-9)
        return (Weight(self.router, (ways, self.hidden), "router", "router"),)

    def weights(self) -> tuple[Weight, ...]:
        """Those of all ways, taken or not, and the router's."""
        return (*self._router(), *(w for block in self.ways for w in block.weights()))

    def stages(self, step: Step, share: Share) -> Stages:
        """The router's product, and each way on the tokens that take it."""
        router = self._router()
        scored = share.product("way router", "router", step.tokens, router) if router else ()
        return (*scored, *(s for block in self.blocks for s in block.stages(step, share)))

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None


def passing(rows: Amount, share: float) -> tuple[Amount, Amount]:
    """Rows of a run, and runs expected, where each of `rows` passes with probability `share`."""
    if isinstance(rows, int):
        runs = 1 - (1 - share) ** rows
        some = max(1, round(rows * share / runs))
        return some, rows * share / some
    runs = 1 - (1 - share) ** np.asarray(rows, dtype=np.float64)
    each = np.maximum(1.0, np.round(rows * share / runs))
    return each, rows * share / each
