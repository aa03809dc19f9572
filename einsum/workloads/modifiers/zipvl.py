"""ZipVL (arXiv 2410.08584): attention of a prompt's important tokens, and a cache in two formats.

In each layer a share of the tokens is `important`: the fewest that hold most of the attention that
a few `probes` of the queries give, over all heads. With the prompt these alone are queries and
keys, gathered from all heads' rows; their results are put back. In decode all tokens are attended
to, the important ones in the `high` format, others in the `low` one (the cache policy
`mixed-precision`). The share, probes and formats are ours: the paper's depend on the prompt.
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
from hwmodel.einsum.workloads.policies.following import following
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.policies.mixed_precision import MixedPrecision
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class ZipVl:
    """`important`, a share of the tokens in each layer or in all."""

    NAME: ClassVar[str] = "zipvl"
    SOURCE: ClassVar[str] = "arXiv 2410.08584"

    important: Shares = 0.5
    probes: int = counted(64)
    high: str = "int4"
    low: str = "int2"

    def of(self, network: Network) -> Network:
        """Prompts of fewer tokens, and a cache of mixed precision."""

        def make(layer: int, block: Block, attention: Attention) -> Block:
            share = share_in(layer, self.important, f"modifier: {self.NAME}: important")
            prompt = Sight(tokens=Kept(share=share))
            classes = (Seeing("important tokens", attention.kv_heads, prompt),)
            return Sparse(block, attention, classes, _Around(share, self.probes))

        kept = following(MixedPrecision(self.important, self.high, self.low), network)
        return attending(self, kept, make)


@dataclass(frozen=True)
class _Around:
    """Kernels around the attention of a layer's important tokens."""

    share: float
    probes: int

    def before(self, heads: Heads) -> Sequence[Cascade]:
        """What a few queries see, the tokens that hold the mass, and rows gathered of them."""
        if heads.decoding:
            return ()
        probes = least((heads.queries, self.probes))
        scored, softened, _ = selection.probed(heads, probes)
        every = heads.kv_heads * heads.group * probes
        kind, keys = heads.dtype, heads.keys
        return (
            *(scored, softened),
            selection.mean(heads.batch, every, keys, kind, "probe mean"),
            selection.cut(heads.batch, keys, kind, "token cut"),
            selection.choice(heads.batch, keys, kind, "token choice"),
            self._moved(heads, heads.rows, heads.queries, "query"),
            *(
                self._moved(heads, heads.batch * heads.kv_heads, keys, name)
                for name in ("key", "value")
            ),
        )

    def behind(self, heads: Heads) -> Sequence[Cascade]:
        """Results put back."""
        if heads.decoding:
            return ()
        return (self._moved(heads, heads.rows, heads.queries, "result"),)

    def _moved(self, heads: Heads, rows: Amount, tokens: Amount, name: str) -> Cascade:
        """Rows of the tokens that are kept, of so many heads."""
        taken = Kept(share=self.share).tokens(tokens)
        return selection.moved(
            *(rows * tokens, rows * taken, heads.head_dim, heads.dtype, f"{name} gather")
        )
