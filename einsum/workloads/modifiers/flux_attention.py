"""Flux Attention (arXiv 2604.07394): a router in each layer chooses full or sparse attention.

A share `full` of the layers, spread evenly, attends in full; the others to a `window` of keys (0:
none) or a `density` of blocks, with the prompt and, if `decode`, in the steps after it. A layer's
router reads the mean of `pooled` hidden states. As contrast, `by_head` lets as large a share of the
heads of every layer attend in full: devices that divide heads then wait for the one that has most
of them. Which layers (heads) they are depends on the prompt, so that all keys are kept. Sizes of
router and window, and the share, are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.router import Router
from hwmodel.einsum.workloads.blocks.sparse import Seeing, Sight, Sparse
from hwmodel.einsum.workloads.modifiers.modifier import attending, chosen
from hwmodel.einsum.workloads.named import counted
from hwmodel.einsum.workloads.policies.policy import uneven
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.errors import CoverageError


@dataclass(frozen=True)
class FluxAttention:
    """Layers that attend in full are `full` of all, rounded; a router is `inner` columns wide."""

    NAME: ClassVar[str] = "flux-attention"
    SOURCE: ClassVar[str] = "arXiv 2604.07394"

    full: float = 0.5
    window: int = 2048
    density: float = 1.0
    block: int = counted(128)
    decode: int = counted(1, least=0, most=1)
    by_head: int = counted(0, least=0, most=1)
    pooled: int = counted(128)
    inner: int = counted(512)

    def of(self, network: Network) -> Network:
        """Layers, or heads, that see a part; a router before the attention of each layer."""
        depth = network.depth
        whole = round(self.full * depth)

        def make(layer: int, block: Block, attention: Attention) -> Block:
            if self.window and not attention.causal:
                raise CoverageError(
                    f"modifier: {self.NAME}: expected a model whose tokens see earlier ones alone,"
                    " for a window; of attention in both directions give window=0 and a density"
                )
            heads = attention.kv_heads
            dense = heads if chosen(whole, layer, depth) else 0
            if self.by_head:
                dense = uneven(self.full, layer, heads)
            parts = (
                Seeing("full", dense),
                Seeing("sparse", heads - dense, self._sight, self._later),
            )
            classes = tuple(each for each in parts if each.heads)
            router = Router(
                attention.hidden, self.pooled, self.inner, path=f"{attention.path}.router"
            )
            return Chain((router, Sparse(block, attention, classes, self)))

        return attending(self, network, make)

    @property
    def _sight(self) -> Sight:
        """What sparse layers see of a prompt."""
        return Sight(self.density, self.block, window=self.window or None)

    @property
    def _later(self) -> Sight:
        """What they see in steps after it."""
        return self._sight if self.decode else Sight()

    def before(self, heads: Heads) -> Sequence[Cascade]:
        """None but the router."""
        return ()

    def behind(self, heads: Heads) -> Sequence[Cascade]:
        """None."""
        return ()
