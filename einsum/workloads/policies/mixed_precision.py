"""Keys and values of important tokens in more bits than those of others (ZipVL, arXiv 2410.08584).

All tokens are kept: a share of them as `high`, the others as `low`; scales are counted where the
format says them (`int4@64:32`). A step attends to each part by a kernel of its own; joining two
partial results, and converting new tokens, cost nothing here. All defaults are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.named import Shares, share_in
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.policies.policy import HeadClass
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class MixedPrecision:
    """`important` is the share of tokens in the `high` format, in each layer or in all."""

    NAME: ClassVar[str] = "mixed-precision"
    SOURCE: ClassVar[str] = "arXiv 2410.08584"

    important: Shares = 0.5
    high: str = "int4"
    low: str = "int2"

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """Two parts of the tokens of all heads, those with a token."""
        share = share_in(layer, self.important, f"cache_policy: {self.NAME}: important")
        parts = (("important tokens", share, self.high), ("other tokens", 1 - share, self.low))
        return tuple(
            HeadClass(name, kv_heads, Kept(share=part), dtype=kind)
            for name, part, kind in parts
            if part
        )

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """None: what is important is chosen with the prompt."""
        return ()
