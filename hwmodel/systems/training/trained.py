"""The answer to a step of training: seconds, tokens, bytes and joules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hwmodel.quantity.units import show
from hwmodel.spine.estimate import UNKNOWN, bottleneck
from hwmodel.spine.execution import Execution
from hwmodel.systems.pipelines.timing import Timed
from hwmodel.systems.training.hosted import Hosted
from hwmodel.text.shown import Shown

FIELDS = (
    *("step_time_s", "step_time_low_s", "step_time_high_s", "bound_s", "bottleneck"),
    *("tokens_per_s_per_device", "mfu", "bubble", "exposed_communication_s", "optimizer_s"),
    *("memory_bytes", "weights_bytes", "gradients_bytes", "optimizer_bytes"),
    *("activations_bytes", "again_bytes", "ends_bytes", "capacity_bytes", "fits"),
    *("short_by_bytes", "energy_j", "devices"),
    *("context_bytes", "host_bytes", "host_capacity_bytes", "drive_bytes", "goodput"),
)
"""What an answer's record has, besides its execution and warnings."""
RESERVED = 1.2
"""What an allocator reserves over what tensors use at their peak, at the most of five published
peaks (torchtitan's `max_reserved`: 1.00, 1.00, 1.07, 1.09 and, in a pipeline of Llama-3.1-405B,
1.20): blocks that are free but too small, or cut (c10/cuda/CUDACachingAllocator.cpp)."""
CONTEXT_BYTES = 0.80e9
"""What a process holds of a GPU beside torch's allocator: 0.65 GB when it is new, 0.72 after a
product, 0.80 after attention, a loss and a second stream (H200, driver 580.159.04, torch
2.11.0+cu130, 2026-11-30; `mem_get_info` less what was reserved)."""
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
            `ends_bytes` what the embedding, the head and its logits keep; without `context_bytes`,
            a process's own.
        least_s: seconds by resource that no schedule goes below (`hwmodel.systems.training.least`).
        busy_s: seconds by resource that a rank needs it on average.
        again_s: of a rank's step, during which it computes what it did not keep.
        waits_s: of a rank's step, during which it waits for others in the pipeline.
        kept_by_stage: bytes that a micro-batch keeps at each stage of the pipeline, from forward
            to backward pass; `states_by_rank` those that a rank holds always.
        interval: multiples of the step's seconds between which 90 % of measured ones lie.
        slower_s: of a step, during which it waits for replicas that are slow at times.
        load: share of the batch that each replica computes: more than one of them with a coding.
        optimizer_flops: of the optimiser's products, over all stages of one replica's tp ranks'
            first device; optimizer_sent_bytes: of factors that replicas sum, in a step on average.
        samples: what is counted a second: tokens, or images of a network of maps.
        goodput: share of a run's time that counts, between failures of devices.
        hosted: what its host does and keeps, where a part of the step lies there.
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
    least_s: Mapping[str, float] = field(default_factory=lambda: {})
    busy_s: Mapping[str, float] = field(default_factory=lambda: {})
    again_s: float = 0.0
    waits_s: float = 0.0
    interval: tuple[float, float] = UNKNOWN
    kept_by_stage: tuple[float, ...] = ()
    states_by_rank: tuple[float, ...] = ()
    hosted: Hosted | None = None
    slower_s: float = 0.0
    load: float = 1.0
    optimizer_flops: float = 0.0
    optimizer_sent_bytes: float = 0.0
    goodput: float = 1.0
    samples: str = "tokens"
    serving: None = None
    stores: tuple[Any, ...] = ()

    @property
    def time_s(self) -> float:
        """Seconds of the step, by the name that every answer has."""
        return self.step_time_s

    @property
    def bound_s(self) -> float:
        """Seconds that no schedule of the step goes below."""
        return max(self.least_s.values(), default=0.0)

    @property
    def step_time_low_s(self) -> float:
        """Lower end of the 90 % interval, no sooner than the bound; NaN where it is not known."""
        low_s = self.step_time_s * self.interval[0]
        return low_s if math.isnan(low_s) else min(max(low_s, self.bound_s), self.step_time_s)

    @property
    def step_time_high_s(self) -> float:
        """Upper end of the 90 % interval; NaN where it is not known."""
        return self.step_time_s * self.interval[1]

    @property
    def time_low_s(self) -> float:
        """The same, by the name that every answer has."""
        return self.step_time_low_s

    @property
    def time_high_s(self) -> float:
        """The same, by the name that every answer has."""
        return self.step_time_high_s

    @property
    def tokens_per_s(self) -> float:
        """Of all devices."""
        return self.tokens_per_s_per_device * self.devices

    @property
    def bottleneck(self) -> str:
        """The resource that a rank needs for the most seconds."""
        return str(bottleneck(self.busy_s))

    @property
    def reasons_s(self) -> dict[str, float]:
        """Seconds above the bound by reason, of a rank on average; they sum to the difference."""
        told = {
            "waiting for other ranks of the pipeline": self.waits_s,
            "waiting for slower replicas": self.slower_s,
            "exchanges that nothing hides": self.exposed_communication_s,
            "computing again what was not kept": self.again_s,
            "the optimiser": self.optimizer_s,
        }
        named = {name: seconds for name, seconds in told.items() if seconds > 0}
        rest = self.step_time_s - self.bound_s - sum(named.values())
        return {**named, "kernels below the peak, and the rows between them": rest}

    @property
    def sentences(self) -> tuple[str, ...]:
        """Of memory: the fullest device, and what fills it most."""
        parts = {told: getattr(self, f"{name}_bytes") for name, told in PARTS.items()}
        most = max(parts, key=lambda told: parts[told])
        return (
            f"The fullest device keeps {show(self.memory_bytes, 'bytes')} of"
            f" {show(self.capacity_bytes, 'bytes')}; most of it,"
            f" {parts[most] / self.memory_bytes:.0%}, is {most}.",
        )

    @property
    def devices(self) -> int:
        """Devices of all replicas."""
        return self.execution.devices

    @property
    def short_by_bytes(self) -> float:
        """What the fullest device lacks."""
        return max(0.0, self.memory_bytes - self.capacity_bytes)

    @property
    def context_bytes(self) -> float:
        """What a process holds of its device beside tensors; NCCL's buffers come on top."""
        return CONTEXT_BYTES

    @property
    def host_bytes(self) -> float:
        """What a box's host keeps in its memory; 0 where nothing lies there."""
        return sum(self.hosted.host_bytes.values()) if self.hosted else 0.0

    @property
    def host_capacity_bytes(self) -> float | None:
        """Bytes of its memory; None where nothing lies there."""
        return self.hosted.host_capacity_bytes if self.hosted else None

    @property
    def drive_bytes(self) -> float:
        """What lies on a box's drives."""
        return self.hosted.drive_bytes if self.hosted else 0.0

    @property
    def host_short_by_bytes(self) -> float:
        """What a box's host lacks."""
        return max(0.0, self.host_bytes - (self.host_capacity_bytes or 0.0))

    @property
    def fits(self) -> bool:
        """Whether every device, and the host of each box, holds what it keeps."""
        return self.short_by_bytes == self.host_short_by_bytes == 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is told of it, each once."""
        missing = {"": self.short_by_bytes, " in the host": self.host_short_by_bytes}
        tight = self.fits and self.memory_bytes * RESERVED + CONTEXT_BYTES > self.capacity_bytes
        free = show(self.capacity_bytes - self.memory_bytes, "bytes")
        near = (
            f"fits with {free} free of tensors in use: an allocator has reserved up to"
            f" {RESERVED - 1:.0%} more than those",
        )
        short = (f"does not fit: {show(b, 'bytes')} short{at}" for at, b in missing.items() if b)
        return tuple(dict.fromkeys((*self.everywhere, *short, *(near if tight else ()))))

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        found = {name: getattr(self, name) for name in FIELDS}
        return {**found, "execution": self.execution.given, "warnings": list(self.warnings)}

    def beyond(self, count: int) -> Sequence[str]:
        """Sizes beyond those measured: none are told."""
        return ("",) * count
