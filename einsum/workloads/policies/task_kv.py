"""Task-KV (arXiv 2501.15113): heads far from the rest keep all, others a few tokens.

Heads whose semantics differ most keep every token; each other head keeps the first tokens, the last
ones, and some from between that were attended to most. Which heads are kept whole depends on the
task and is chosen once, with the prompt. All defaults are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.policies.kept import ALL, Kept
from hwmodel.einsum.workloads.policies.policy import HeadClass, uneven
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class TaskKv:
    """`full` is the share of key-value heads that keep all; `middle` tokens are from between."""

    NAME: ClassVar[str] = "task-kv"
    SOURCE: ClassVar[str] = "arXiv 2501.15113"

    full: float = 0.25
    sinks: int = 16
    recent: int = 256
    middle: int = 256

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """Heterogeneous heads, spread evenly over the layers, and the others."""
        full = uneven(self.full, layer, kv_heads)
        kept = Kept(self.sinks + self.recent + self.middle)
        classes = (
            HeadClass("heterogeneous heads", full, ALL),
            HeadClass("other heads", kv_heads - full, kept),
        )
        return tuple(each for each in classes if each.heads)

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """None: what is kept of the prompt stays, and later tokens leave in order."""
        return ()
