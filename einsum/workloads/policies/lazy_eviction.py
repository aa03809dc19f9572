"""LazyEviction (Zhang et al., arXiv 2506.15969): a budget that is restored every so many steps.

The cache grows from `budget` by a token a step, and is cut back to it after `every` steps, so that
a step reads budget + every / 2 on average and memory must hold budget + every. For each token the
last step in which it mattered, and the longest pause between two, are noted in every step, 4 bytes
each, for each key-value head's queries. What cutting back costs once in `every` steps is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.named import counted
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.policies.policy import HeadClass
from hwmodel.quantity.units import Amount

_NOTES = """
SEEN[r, c] = less(LEAST, X[r, c])
LAST[r, c] = select(SEEN[r, c], NOW, BEFORE[r, c])
PAUSE[r, c] = max(LONGEST[r, c], LAST[r, c] - BEFORE[r, c])
output LAST
output PAUSE
"""


@dataclass(frozen=True)
class LazyEviction:
    """`budget` tokens a head, `every` steps between two evictions; both defaults are ours."""

    NAME: ClassVar[str] = "lazy-eviction"
    SOURCE: ClassVar[str] = "arXiv 2506.15969"

    budget: int = counted(2048)
    every: int = counted(128)

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """One class, which holds more than it reads on average."""
        mean, most = Kept(self.budget + self.every // 2), Kept(self.budget + self.every)
        return (HeadClass("recurring tokens", kv_heads, mean, most),)

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """When each token mattered last, and its longest pause."""
        sizes: dict[str, Amount] = {"r": rows, "c": kept}
        notes = parse(_NOTES, sizes=sizes, dtypes={"*": "fp32"}, name="recurrence notes")
        return (notes,)
