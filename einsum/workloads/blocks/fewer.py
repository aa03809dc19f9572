"""A block on fewer tokens than the step has: those of a layer that keeps some of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step, together
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown


@dataclass(frozen=True)
class Fewer:
    """A block that runs on the tokens `kept` of each sequence, and keeps something of these alone.

    A token that is made is kept.
    """

    block: Block
    kept: Kept

    @property
    def words(self) -> Any:
        """Those of the block."""
        return getattr(self.block, "words", None)

    @property
    def parts(self) -> tuple[Block, ...]:
        """What it is made of, on fewer tokens too."""
        return tuple(Fewer(part, self.kept) for part in getattr(self.block, "parts", ()))

    def weights(self) -> tuple[Weight, ...]:
        """Those of the block."""
        return self.block.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the block on fewer tokens."""
        return self.block.stages(of(step, self.kept), share)

    def cache(self) -> Cache | None:
        """What is kept, where the block keeps all tokens."""
        own = self.block.cache()
        return replace(own, window=self.kept) if own is not None and own.window is None else own


def of(step: Step, kept: Kept) -> Step:
    """The step on the tokens that are kept; raises `InputError` where none is."""
    return together(*(_of(one, kept) for one in step.alike))


def _of(step: Step, kept: Kept) -> Step:
    """The same of sequences that are alike."""
    context = kept.tokens(step.context)
    if step.decoding:
        return replace(step, context=most((1, context)))
    queries = context - kept.tokens(step.context - step.queries)
    if np.any(np.less(queries, 1)) or np.any(np.less(context, 1)):
        raise InputError(
            f"modifier: expected tokens that each layer keeps, found {shown(step.queries)} new ones"
            f" of {shown(step.context)}, of which {shown(queries)} are left"
        )
    return replace(step, queries=queries, context=context)
