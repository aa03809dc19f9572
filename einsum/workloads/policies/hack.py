"""HACK (arXiv 2504.09261): visual autoregressive models keep a budget of their scales' tokens.

Such a model makes an image scale by scale: a step reads all tokens of a scale, which see those of
all scales so far. Contextual heads (told apart once, offline) keep a small budget of them,
structural heads a larger one, so that attention of n x n tokens is O(B n^2), not O(n^4): a few
`observed` queries of each head score what is kept and what is new, the best are moved to where they
stay, and all queries see these. All defaults are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads import selection
from hwmodel.einsum.workloads.named import counted
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.policies.policy import HeadClass, uneven
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.arithmetic import least
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Hack:
    """`contextual` is the share of heads with the smaller budget; both `budget`s are tokens."""

    NAME: ClassVar[str] = "hack"
    SOURCE: ClassVar[str] = "arXiv 2504.09261"

    contextual: float = 0.5
    contextual_budget: int = counted(1024)
    structural_budget: int = counted(4096)
    observed: int = counted(32)

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """Contextual heads, spread evenly over the layers, and structural ones."""
        few = uneven(self.contextual, layer, kv_heads)
        classes = (
            HeadClass("contextual heads", few, Kept(self.contextual_budget)),
            HeadClass("structural heads", kv_heads - few, Kept(self.structural_budget)),
        )
        return tuple(each for each in classes if each.heads)

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """None for one token: its heads keep what they kept."""
        return ()

    def chunk(self, heads: Heads, kept: Kept) -> Sequence[Cascade]:
        """Scores of some queries with all keys, which of them are kept, and their moves."""
        rows, keys = heads.batch * heads.kv_heads, heads.keys
        stays, kind = kept.tokens(keys), heads.dtype
        return (
            *selection.probed(heads, least((heads.queries, self.observed))),
            selection.cut(rows, keys, kind, "budget cut"),
            selection.choice(rows, keys, kind, "budget choice"),
            *(
                selection.moved(rows * keys, rows * stays, heads.head_dim, heads.kv_dtype, name)
                for name in ("kept keys", "kept values")
            ),
        )
