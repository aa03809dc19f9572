"""Re-ttention (arXiv 2505.22918): diffusion transformers with very sparse attention in most passes.

A sparse pass computes a `density` of the pairs, in a static window; its results are multiplied by
a cached ratio of the softmax's sums, one for each row, and a cached residual is added: both are
read beside the results, in one kernel. Other passes of the published schedules attend in full (the
first ones, and every fifth of those after them), and are the plain model's; what refreshing the
caches costs them is left out. The mean over a schedule is as many questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.sparse import Seeing, Sight, Sparse
from hwmodel.einsum.workloads.modifiers.modifier import attending
from hwmodel.einsum.workloads.named import Shares, share_in
from hwmodel.einsum.workloads.selection import Heads

_RESTORED = "Y[r, c] = X[r, c] * RATIO[r] + RESIDUAL[r, c]"


@dataclass(frozen=True)
class Rettention:
    """Published: 3.1 % of the tokens take part."""

    NAME: ClassVar[str] = "re-ttention"
    SOURCE: ClassVar[str] = "arXiv 2505.22918"

    density: Shares = 0.031

    def of(self, network: Network) -> Network:
        """All heads see a density of the pairs."""

        def make(layer: int, block: Block, attention: Attention) -> Block:
            sight = Sight(share_in(layer, self.density, f"modifier: {self.NAME}: density"))
            return Sparse(block, attention, (Seeing("window", attention.kv_heads, sight),), self)

        return attending(self, network, make)

    def before(self, heads: Heads) -> Sequence[Cascade]:
        """None: the window stands."""
        return ()

    def behind(self, heads: Heads) -> Sequence[Cascade]:
        """The ratio and the residual."""
        if heads.decoding:
            return ()
        sizes = {"r": heads.rows * heads.queries, "c": heads.head_dim}
        dtypes = {"*": heads.dtype, "RATIO": "fp32"}
        return (parse(_RESTORED, sizes=sizes, dtypes=dtypes, name="restored results"),)
