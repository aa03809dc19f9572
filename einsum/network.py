"""A network as a value: stages, each a cascade that runs a number of times in a row.

A decoder stack is `embedding, layers x (norm, qkv, rotary, ...), norm, head`. A stage is what one
library call computes; repeating a stage costs its counts times `times`, and equal layers are never
unrolled. Sizes inside the cascades may be arrays, as everywhere. Where the work is divided over
devices, the cascades are one device's share, and a stage names the collective that follows it.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.division import ALONE, Division
from hwmodel.einsum.origin import Origin, again
from hwmodel.einsum.workloads.patches import Patched
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount
from hwmodel.text.shown import Shown


@dataclass(frozen=True, eq=False)
class Served:
    """What one run of a served model makes and keeps, over all `devices` together.

    `kv_bytes_per_token` is the mean over `context` tokens of a sequence, `tokens` how many a run
    makes (decode) or reads (prefill), `positions` the longest context that the model was made for.
    Where sequences differ `context` is their mean, rounded up, `longest` the most.
    Bytes are as if each device held what the fullest does. Work that passes through a device in
    micro-batches makes as many `passes`, of so many `sequences` and `rows` of new tokens; the
    stages are those of one pass, and run so often (`runs`) on all devices together, of which those
    with fewer sequences do as much less. In a step that only decodes each sequence `makes` so many
    tokens, on average where drafts are verified.
    """

    model: str
    tokens: Amount
    batch: Amount
    context: Amount
    weights_bytes: Amount
    kv_bytes_per_token: Amount
    longest: Amount
    positions: int | None = None
    ways: Division = ALONE
    passes: Amount = 1
    runs: Amount = 1
    sequences: Amount = 1
    rows: Amount = 1
    decoding: bool = False
    makes: float | None = None

    @property
    def devices(self) -> int:
        """Devices that the model is divided over."""
        return self.ways.devices


@dataclass(frozen=True, repr=False)
class Stack(Shown):
    """Stages in order; `origin` says which model, phase and sizes made them.

    `warnings` are what reading the model had to assume, passed on to every estimate of it. A phase
    of a served model has `served`; a convolutional network `layers`, one for each stage but the
    first, which brings the image. `ahead` are networks of their own that run before it on the same
    devices, each so many times in a row: what drafts tokens for a step that verifies them.
    """

    name: str
    stages: tuple[Stage, ...]
    origin: Origin | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()
    served: Served | None = field(default=None, compare=False)
    ahead: "tuple[tuple[Stack, int], ...]" = field(default=(), compare=False)
    layers: Patched | None = field(default=None, compare=False)

    @property
    def devices(self) -> Amount:
        """Devices that share the work."""
        joined = [stage.collective.ranks for stage in self.stages if stage.collective]
        return self.served.devices if self.served is not None else most((1, *joined))

    @property
    def runs(self) -> Amount:
        """How often each stage runs, on all devices together: those of a pipeline share them."""
        return self.devices if self.served is None else self.served.runs

    def but(self, **changes: Any) -> "Stack":
        """The same workload with other arguments: its function, called again.

        Raises `UnknownNameError` for an argument that the function lacks.
        """
        return again(self, changes)


Workload: TypeAlias = Cascade | Stack
"""What can be asked about: either has stages, warnings, and what is known of its use."""


def lone(workload: Workload) -> Cascade | None:
    """The cascade that a workload is, run once and on one device; None for a network of several."""
    first, *others = workload.stages
    by_itself = first.times == 1 and first.collective is None and workload.served is None
    return first.cascade if by_itself and not others else None
