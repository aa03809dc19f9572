"""RazorAttention (Tang et al., arXiv 2407.15891): retrieval heads keep all, others what is near.

A share of the heads (induction and echo heads) keeps every token. Each other head keeps the first
tokens (`sinks`), the last max(`local`, `near` x context), and one compensation token, the mean of
what it dropped. Tokens leave in order: nothing is scored. Heads of a model with
grouped queries share a cache, so that `full` counts groups: one is full if any of its heads is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.named import counted
from hwmodel.einsum.workloads.policies.kept import ALL, Kept
from hwmodel.einsum.workloads.policies.policy import HeadClass, uneven
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class RazorAttention:
    """`full` is the share of key-value heads that keep all, `near` that of the last tokens."""

    NAME: ClassVar[str] = "razor-attention"
    SOURCE: ClassVar[str] = "arXiv 2407.15891"

    full: float = 0.15
    sinks: int = 4
    local: int = 4000
    near: float = 0.2
    compensation: int = counted(1, least=0, most=1)

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """Retrieval heads, spread evenly over the layers, and the others."""
        full = uneven(self.full, layer, kv_heads)
        kept = Kept(self.sinks + self.compensation, self.near, self.local)
        classes = (
            HeadClass("retrieval heads", full, ALL),
            HeadClass("local heads", kv_heads - full, kept),
        )
        return tuple(each for each in classes if each.heads)

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """None: tokens leave in the order in which they came."""
        return ()
