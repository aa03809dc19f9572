"""Hogwild! Inference (arXiv 2504.06261): several workers decode one sequence on one cache.

A step makes a token for each worker, and reads weights, keys and values once for all of them. The
`context` of a step is what all see: the prompt, and what every worker has made. Queries are turned
for each block of keys: as many as workers, and one that they have in common.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, caches
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.workers import Workers
from hwmodel.einsum.workloads.named import counted
from hwmodel.quantity.errors import CoverageError


@dataclass(frozen=True)
class Hogwild:
    """So many `workers` of each sequence; `common` blocks of keys beside one of each worker."""

    NAME: ClassVar[str] = "hogwild"
    SOURCE: ClassVar[str] = "arXiv 2504.06261"

    workers: int = counted(2)
    common: int = 1

    def of(self, network: Network) -> Network:
        """All blocks for all workers; `CoverageError` where else than attention keeps something."""
        for block, _ in network.placed:
            if not isinstance(block, Attention) and any(caches(block)):
                raise CoverageError(
                    f"modifier: {self.NAME}: expected attention with keys and values by head in all"
                    f" layers, found {type(block).__name__}, whose cache workers cannot share"
                )

        def shared(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
            return tuple(Workers(b, self.workers, self.workers + self.common) for b in blocks)

        layers = network.changed(lambda _, blocks: shared(blocks)).layers
        return replace(
            network,
            before=shared(network.before),
            layers=layers,
            after=shared(network.after),
            makes=network.makes * self.workers,
        )
