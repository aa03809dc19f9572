"""PBS-Attn (arXiv 2510.21270): keys are permuted within segments, then blocks of them are skipped.

In prefill: scores of the last block of queries with all keys, a softmax, its mean over the block;
the order of the keys of each segment by that mean; keys and values moved accordingly; means of
blocks of queries and of keys, their scores, a softmax, and of each block of queries the fewest
blocks of keys that hold most of the mass; attention to those, which the `density` counts among all
pairs of blocks, those of the causal mask too. Queries are not moved. Query heads that share keys
are taken to share their order. Decode is as it was.
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
from hwmodel.quantity.arithmetic import ceil_div, least


@dataclass(frozen=True)
class PbsAttn:
    """Sizes of `segment` and `block` in tokens; `density` depends on model and prompt.

    Published at 8,192 tokens of Llama-3.1-8B: 0.3231. Of segments of one token nothing is moved.
    """

    NAME: ClassVar[str] = "pbs-attn"
    SOURCE: ClassVar[str] = "arXiv 2510.21270"

    density: Shares = 0.3231
    segment: int = counted(256)
    block: int = counted(128)

    def of(self, network: Network) -> Network:
        """All heads see a density of blocks in prefill."""

        def make(layer: int, block: Block, attention: Attention) -> Block:
            share = share_in(layer, self.density, f"modifier: {self.NAME}: density")
            sight = Sight(share, self.block)
            classes = (Seeing("chosen blocks", attention.kv_heads, sight),)
            return Sparse(block, attention, classes, self)

        return attending(self, network, make)

    def before(self, heads: Heads) -> Sequence[Cascade]:
        """What permutes, and what selects."""
        if heads.decoding:
            return ()
        moved = self._permuted(heads) if self.segment > 1 else ()
        return (*moved, *selection.chosen_blocks(heads, self.block))

    def behind(self, heads: Heads) -> Sequence[Cascade]:
        """None: queries stay where they were."""
        return ()

    def _permuted(self, heads: Heads) -> Sequence[Cascade]:
        """Keys and values in the order of what the last queries see, segment by segment."""
        last, keys = least((heads.queries, self.block)), heads.batch * heads.kv_heads * heads.keys
        segment = least((heads.keys, self.segment))
        return (
            *selection.probed(heads, last),
            selection.order(ceil_div(keys, segment), segment, heads.dtype),
            *(
                selection.moved(keys, keys, heads.head_dim, heads.kv_dtype, f"{name} permutation")
                for name in ("key", "value")
            ),
        )
