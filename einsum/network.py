"""A network as a value: stages, each a cascade that runs a number of times in a row.

A decoder stack is `embedding, layers x (norm, qkv, rotary, ...), norm, head`. A stage is what one
library call computes; repeating a stage costs its counts times `times`, and equal layers are never
unrolled. Sizes inside the cascades may be arrays, as everywhere. Where the work is divided over
devices, the cascades are one device's share, and a stage names the collective that follows it.
"""

from dataclasses import dataclass, field
from typing import Any

from hwmodel.einsum.cascade import Cascade, Origin
from hwmodel.quantity.units import Amount
from hwmodel.text.shown import Shown


@dataclass(frozen=True)
class Collective:
    """A collective operation over `ranks` devices, with `bytes` counted as nccl-tests does.

    `op` is "all_reduce" (bytes: the buffer of a rank), "all_gather" (the total output of a rank),
    "reduce_scatter" (the total input of a rank), "all_to_all" (the send buffer of a rank) or "p2p".
    """

    op: str
    bytes: Amount
    ranks: int


@dataclass(frozen=True)
class Stage:
    """One cascade, run `times` in sequence (once per layer, say), each time then its collective."""

    cascade: Cascade
    times: int = 1
    collective: Collective | None = None

    @property
    def name(self) -> str:
        """A stage is called after its cascade."""
        return self.cascade.name


@dataclass(frozen=True, repr=False)
class Stack(Shown):
    """Stages in order; `origin` says which model, phase and sizes made them.

    `warnings` are what reading the model had to assume, passed on to every estimate of it.
    """

    name: str
    stages: tuple[Stage, ...]
    origin: Origin | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()

    def but(self, **changes: Any) -> "Stack":
        """The same workload with other arguments: its function, called again.

        Raises `UnknownNameError` for an argument that the function lacks.
        """
        # Late, since the workloads are built of stacks.
        from hwmodel.einsum.workloads.catalogue import but

        return but(self, **changes)
