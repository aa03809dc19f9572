"""The answer to a step of training: seconds, tokens, bytes and joules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hwmodel.quantity.units import show
from hwmodel.spine.execution import Execution
from hwmodel.systems.pipelines.timing import Timed
from hwmodel.text.shown import Shown

FIELDS = (
    *("step_time_s", "tokens_per_s_per_device", "mfu", "bubble", "exposed_communication_s"),
    *("optimizer_s", "memory_bytes", "weights_bytes", "gradients_bytes", "optimizer_bytes"),
    *("activations_bytes", "again_bytes", "ends_bytes", "capacity_bytes", "fits"),
    *("short_by_bytes", "energy_j", "devices"),
)
"""What an answer's record has, besides its execution and warnings."""
PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "activations": "activations of layers",
    "again": "a layer computed again",
    "ends": "embedding, head, logits",
}
"""What fills memory -> for people."""


@dataclass(frozen=True, eq=False, repr=False)
class Trained(Shown):
    """One step of training under an execution.

    Attributes:
        mfu: model FLOPs (three forward passes, every pair of attention counted) over the peak.
        bubble: share of the pipeline's time during which ranks wait for others.
        exposed_communication_s: of a rank's step, during which it does nothing but exchange.
        memory_bytes: of the fullest device, whose parts are the other bytes: `activations_bytes`
            are what layers keep, `again_bytes` what one computes again before its backward pass,
            `ends_bytes` what the embedding, the head and its logits keep.
    """

    name: str
    device: str
    execution: Execution
    step_time_s: float
    tokens_per_s_per_device: float
    mfu: float
    model_flops: float
    bubble: float
    exposed_communication_s: float
    optimizer_s: float
    weights_bytes: float
    gradients_bytes: float
    optimizer_bytes: float
    activations_bytes: float
    again_bytes: float
    ends_bytes: float
    memory_bytes: float
    capacity_bytes: float
    memory_by_rank: tuple[float, ...]
    energy_j: float
    assumptions: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    timed: Timed | None = field(default=None, compare=False)
    notes: tuple[Any, ...] = ()

    @property
    def devices(self) -> int:
        """Devices of all replicas."""
        return self.execution.devices

    @property
    def short_by_bytes(self) -> float:
        """What the fullest device lacks."""
        return max(0.0, self.memory_bytes - self.capacity_bytes)

    @property
    def fits(self) -> bool:
        """Whether every device holds what it keeps."""
        return self.short_by_bytes == 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is told of it, each once."""
        short = (f"does not fit: {show(self.short_by_bytes, 'bytes')} short",)
        return tuple(dict.fromkeys((*self.everywhere, *(() if self.fits else short))))

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        found = {name: getattr(self, name) for name in FIELDS}
        return {**found, "execution": self.execution.given, "warnings": list(self.warnings)}

    def beyond(self, count: int) -> Sequence[str]:
        """Sizes beyond those measured: none are told."""
        return ("",) * count
