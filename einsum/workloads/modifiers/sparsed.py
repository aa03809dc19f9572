"""SparseD (arXiv 2509.24014): diffusion language models that reuse patterns of blocks.

A text takes many passes over all its tokens. The first ones attend in full (`skip` of them is the
published share, 0.2); then each head's pattern of blocks is computed once, and every later pass
computes a `density` of all blocks. A pass with this modifier is a later one; of `pattern=1` the one
that computes patterns, which attends in full (blocks are taken to be scored by their means). The
mean over a schedule is as many questions, each weighed by its passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads import selection
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.sparse import Seeing, Sight, Sparse
from hwmodel.einsum.workloads.modifiers.modifier import attending
from hwmodel.einsum.workloads.named import Shares, counted, share_in
from hwmodel.einsum.workloads.selection import Heads


@dataclass(frozen=True)
class SparseD:
    """Published for long texts: density 0.3 of blocks of 128; for short ones 0.5 of 32."""

    NAME: ClassVar[str] = "sparsed"
    SOURCE: ClassVar[str] = "arXiv 2509.24014"

    density: Shares = 0.3
    block: int = counted(128)
    pattern: int = counted(0, least=0, most=1)

    def of(self, network: Network) -> Network:
        """All heads see a density of blocks, or everything where patterns are computed."""

        def make(layer: int, block: Block, attention: Attention) -> Block:
            share = share_in(layer, self.density, f"modifier: {self.NAME}: density")
            sight = Sight() if self.pattern else Sight(share, self.block)
            return Sparse(block, attention, (Seeing("pattern", attention.kv_heads, sight),), self)

        return attending(self, network, make)

    def before(self, heads: Heads) -> Sequence[Cascade]:
        """The patterns, in the pass that computes them."""
        if heads.decoding or not self.pattern:
            return ()
        return selection.chosen_blocks(heads, self.block)

    def behind(self, heads: Heads) -> Sequence[Cascade]:
        """None."""
        return ()
