"""A processor that rewrites keys and values of all layers now and then (Bottlenecked Transformers).

After each `every` tokens an auxiliary transformer reads what all layers hold of these, and of some
`recalled` tokens before, and writes it anew in place. Of the system no paper was read: it is told
so in a survey.
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import copy
from hwmodel.quantity.arithmetic import least


@dataclass(frozen=True)
class Rewriting:
    """`processor`: blocks that run once in `every` steps of decode, on so many tokens and more.

    `kept` are caches, each of so many layers, of which a token's part is read and written back.
    """

    processor: tuple[Block, ...]
    every: int
    recalled: int
    kept: tuple[tuple[Cache, int], ...]

    def weights(self) -> tuple[Weight, ...]:
        """Those of the processor."""
        return tuple(weight for block in self.processor for weight in block.weights())

    def stages(self, step: Step, share: Share) -> Stages:
        """A gather of entries, the processor, and their way back."""
        return step.each(lambda one: self._run(one, share) if one.decoding else ())

    def _run(self, step: Step, share: Share) -> Stages:
        seldom = replace(share, often=share.often / self.every)
        entries = least((step.context, self.every + self.recalled))
        some = replace(step, queries=entries, context=entries, decoding=False)
        elements = sum(layers * each.per_token(share.tp) for each, layers in self.kept)
        sizes = (step.batch * entries, elements, share.precision.kv)
        read, written = (copy(*sizes, name=f"entries {way}") for way in ("read", "write"))
        return (
            seldom.stage(read, "rewriting.read"),
            *(stage for block in self.processor for stage in block.stages(some, seldom)),
            seldom.stage(written, "rewriting.write"),
        )

    def cache(self) -> Cache | None:
        """What it writes is kept by the layers."""
        return None
