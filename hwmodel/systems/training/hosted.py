"""A step of training of which a part lies in the host: what comes up and goes down, and when.

    a micro-batch   layers forward, then backward in reverse; each is a block of `systems.offload`:
                    its weights (and what it kept) come up, it runs, what it keeps (or its gradient,
                    in 16 bits) goes down. The device waits for what the loop's kernels do not hide
    the optimiser   by the host, layer by layer: states come from a drive, the host reads and writes
                    at its memory's rate, states go back and new weights up; the three overlap

Devices of a box share its host and its drives. Of what replicas divide (ZeRO) each brings its part,
and they gather it among themselves, as without a host. Energy of the host is left out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.cpu.rates import DRAM, rates
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.host import Host
from hwmodel.systems.offload import Block, looped, once
from hwmodel.systems.training.memory import WEIGHT_BYTES, States, update_bytes
from hwmodel.systems.training.stages import Stage

SENT_BYTES = 2
"""Of a gradient that goes down."""
STATE_BYTES = 4
"""Of a number in the buffers of states, whatever its format."""
STATE_BUFFERS = 4
"""Of a group of parameters: copy, gradient and two states (DeepSpeed's `buffer_count`)."""
COPIES_BYTES = 7
"""Of a gradient in fp32 while it is checked: whether it is no number, whether it is infinite, and
either, a byte each, and that in fp32 (DeepSpeed, runtime/zero/stage3.py, `_has_inf_or_nan`)."""


@dataclass(frozen=True, eq=False)
class Hosted:
    """What a device does and keeps, and what its host keeps.

    Attributes:
        stage: the device's, with what it waits for and with what stays of what layers keep.
        waits_s: of a micro-batch, in which the device waits for its link to the host.
        update_s: of the optimiser; 0 where the device updates.
        states: bytes on the device.
        host_bytes: of a box's memory, by what they are; `drive_bytes` of its drives.
        up_bytes, down_bytes: of a device's link, in a step.
    """

    ways: Host
    stage: Stage
    waits_s: float
    update_s: float
    states: States
    host_bytes: Mapping[str, float]
    host_capacity_bytes: float
    drive_bytes: float
    up_bytes: float
    down_bytes: float
    assumption: str

    @property
    def links_s(self) -> float:
        """The least that a device's link takes in a step."""
        return max(self.up_bytes, self.down_bytes) / float(self.ways.rate_bytes_per_s)


def hosted(
    work: Training,
    how: Execution,
    row: Sequence[Stage],
    whole: Stage,
    states: States,
    largest: Sequence[int],
    box: int,
) -> Hosted:
    """The step with its host; `row` are the ends and layers in order, `whole` all of them.

    `states` are bytes without a host, `largest` parameters of each tensor, `box` devices that share
    a host. Raises `CoverageError` for what is not modelled, `InputError` for what makes no sense.
    """
    ways = Host.of(work.host or {})
    _check(ways, work, how)
    cpu = device(ways.cpu)
    if cpu.kind != "cpu":
        raise InputError(f"training: host: cpu: expected a host's, found {cpu.name} ({cpu.kind})")
    shared = min(box, how.devices)
    parts = _Parts(
        ways, work, how, shared, cpu.devices * float(rates(cpu.but(devices=1)).read[DRAM])
    )
    count = how.micro_batches or 1
    loop = looped(parts.blocks(row), max(1, int(ways.window)))
    parameters = [parts.trained(stage) for stage in row]
    keeps = sorted((stage.kept_bytes for stage in row), reverse=True)
    kept = sum(keeps[: ways.window]) if ways.activations else whole.kept_bytes
    waits_s = loop.exposed_s / (1 if work.backwards else work.forwards)
    waiting = {"inputs_s" if work.backwards else "forward_s": waits_s}
    stage = replace(
        whole,
        **{name: getattr(whole, name) + more for name, more in waiting.items()},
        exposed_s=whole.exposed_s + waits_s,
        kept_bytes=kept,
    )
    host, drive = parts.memory(sum(parameters), sum(keeps), row, largest)
    up, down = parts.moved(row)
    return Hosted(
        ways=ways,
        stage=stage,
        waits_s=waits_s,
        update_s=once(parts.updates(parameters), int(ways.window)) if ways.optimizer else 0.0,
        states=parts.states(states, row),
        host_bytes=host,
        host_capacity_bytes=cpu.devices * float(cpu.memory("dram").capacity_bytes),
        drive_bytes=drive,
        up_bytes=up * count + (0 if ways.weights else parts.returned(parameters)),
        down_bytes=down * count,
        assumption=parts.said(cpu),
    )


def tensors(work: Training, how: Execution) -> list[int]:
    """Parameters of each tensor on a device."""
    network = work.model.network
    every = (*network.before, *network.after, *(b for each in network.layers for b in each.blocks))
    return [math.prod(w.sizes(how.tp)) for block in every for w in block.weights()]


def _check(ways: Host, work: Training, how: Execution) -> None:
    """Refuse what is not modelled."""
    if how.pp > 1:
        raise CoverageError("training: host: in a pipeline it is not modelled; use pp=1")
    if ways.optimizer and how.zero < 2 and how.dp * how.cp > 1:
        raise InputError(
            "training: host: expected zero 2 or 3 where replicas are several, so that each sends a"
            f" part of the gradients; found zero={how.zero}"
        )
    if work.forwards > 1 and work.backwards:
        raise CoverageError(
            "training: host: of steps with several backward passes it is not modelled;"
            " use forwards=1, or backwards=0"
        )
    if ways.weights and not ways.optimizer and work.backwards:
        raise InputError(
            "training: host: weights: expected the optimizer with them, which makes new ones"
        )
    if ways.optimizer and not work.backwards:
        raise InputError(
            "training: host: optimizer: a step without a backward pass has none; use holds=weights"
        )


@dataclass(frozen=True, eq=False)
class _Parts:
    """What one device of a box has of it; `host_rate` is the host's memory's, in bytes/s."""

    ways: Host
    work: Training
    how: Execution
    shared: int
    host_rate: float

    def trained(self, stage: Stage) -> float:
        """Parameters of a stage that this device's part of the optimiser has."""
        if self.how.zero < 1:
            return stage.dense + stage.experts
        return stage.dense / (self.how.dp * self.how.cp) + stage.experts / self.how.expert_dp

    def weights(self, stage: Stage) -> float:
        """Bytes of its weights that this device brings."""
        if not self.ways.weights:
            return 0.0
        each = (stage.dense + stage.frozen, self.how.dp * self.how.cp)
        experts = (stage.experts, self.how.expert_dp)
        return sum(
            WEIGHT_BYTES * number / (replicas if self.how.zero == 3 else 1)
            for number, replicas in (each, experts)
        )

    def blocks(self, row: Sequence[Stage]) -> list[Block]:
        """A micro-batch: layers forward, and backward in reverse."""
        rate = float(self.ways.rate_bytes_per_s)
        sent = SENT_BYTES if self.ways.optimizer else 0
        forward: list[Block] = []
        backward: list[Block] = []
        for stage in row:
            brought_s = self.weights(stage) / self._source_rate()
            kept = stage.kept_bytes if self.ways.activations else 0.0
            if not self.work.backwards:  # all passes at once, then back as they changed
                back_s = self.weights(stage) / self._source_rate()
                forward.append(Block(brought_s, self.work.forwards * stage.forward_s, back_s))
                continue
            forward.append(Block(brought_s, stage.forward_s, kept / rate))
            backward.append(
                Block(
                    max(brought_s, (self.weights(stage) + kept) / rate),
                    stage.inputs_s + stage.weights_s,
                    sent * self.trained(stage) / rate,
                )
            )
        return [*forward, *reversed(backward)]

    def _source_rate(self) -> float:
        """Bytes/s at which weights come: the link's, or this device's part of the drives'."""
        rate, drive = float(self.ways.rate_bytes_per_s), self.ways.drive_bytes_per_s
        return rate if drive is None else min(rate, float(drive) / self.shared)

    def updates(self, parameters: Sequence[float]) -> list[Block]:
        """The optimiser's step: each layer's states come, are updated, and go back."""
        drive = self.ways.drive_bytes_per_s
        drive_rate = math.inf if drive is None else float(drive) / self.shared
        rate = float(self.ways.rate_bytes_per_s)
        found: list[Block] = []
        for number in parameters:
            touched = update_bytes(number, 1, zero=0, kept=self.work.kept)
            moved_s = self._states_bytes(number) / drive_rate
            written = WEIGHT_BYTES * number
            back_s = moved_s + (written / drive_rate if self.ways.weights else written / rate)
            found.append(Block(moved_s, touched * self.shared / self.host_rate, back_s))
        return found

    def _states_bytes(self, parameters: float) -> float:
        return parameters * (self.work.kept.copy_bytes + self.work.kept.states_bytes)

    def returned(self, parameters: Iterable[float]) -> float:
        """Bytes of new weights that come up after the optimiser."""
        return WEIGHT_BYTES * sum(parameters) if self.ways.optimizer else 0.0

    def moved(self, row: Sequence[Stage]) -> tuple[float, float]:
        """Bytes up and down of a micro-batch."""
        kept = sum(s.kept_bytes for s in row) if self.ways.activations else 0.0
        sent = SENT_BYTES * sum(map(self.trained, row)) if self.ways.optimizer else 0.0
        return 2 * sum(map(self.weights, row)) + kept, kept + sent

    def states(self, states: States, row: Sequence[Stage]) -> States:
        """Bytes on the device: of what streams, so many of the largest layers as have a place."""

        def placed(sizes: Iterable[float]) -> float:
            return sum(sorted(sizes, reverse=True)[: int(self.ways.window)])

        if not (self.ways.optimizer or self.ways.weights):
            return states
        if not self.work.backwards:  # ends stay, layers have places
            ends = WEIGHT_BYTES * sum(s.dense + s.experts for s in (row[0], row[-1]))
            layers = placed(WEIGHT_BYTES * (s.dense + s.experts + s.frozen) for s in row[1:-1])
            return States(ends + layers, states.gradients_bytes, 0.0)
        gradients = placed(SENT_BYTES * (s.dense + s.experts) for s in row)
        weights = states.weights_bytes
        if self.ways.weights:
            weights = placed(WEIGHT_BYTES * (s.dense + s.experts + s.frozen) for s in row)
        elif self.how.zero == 3:  # the copy in fp32 is the host's
            copied = max(0.0, self.work.kept.copy_bytes - WEIGHT_BYTES)
            weights -= copied * sum(map(self.trained, row))
        return States(weights, gradients, 0.0)

    def memory(
        self, parameters: float, kept: float, row: Sequence[Stage], largest: Sequence[int]
    ) -> tuple[dict[str, float], float]:
        """Bytes of a box's memory by what they are, and of its drives."""
        drive = self.ways.drive_bytes_per_s is not None
        found: dict[str, float] = {}
        on_drive = 0.0
        if self.ways.optimizer:
            gradients = self.work.kept.gradient_bytes * parameters
            found["gradients"] = self._pinned(gradients)
            if self.ways.check == "copied":
                found["copies of gradients, checked"] = COPIES_BYTES * parameters
            held = self._states_bytes(parameters)
            if drive:
                group = min(float(self.ways.group), parameters)
                found["buffers of states"] = STATE_BUFFERS * self._pinned(STATE_BYTES * group)
                on_drive += held
            else:
                found["copy and states"] = held
        if self.ways.weights:
            held = sum(map(self.weights, row))
            if drive:
                found["buffers of weights"] = self._pool(largest)
                on_drive += held
            else:
                found["weights"] = self._pinned(held)
        if self.ways.activations:
            found["activations"] = self._pinned(kept)
        return {name: size * self.shared for name, size in found.items()}, on_drive * self.shared

    def _pool(self, largest: Sequence[int]) -> float:
        """Bytes of the places into which tensors come from a drive."""
        replicas = self.how.dp * self.how.cp if self.how.zero == 3 else 1
        sizes = sorted((WEIGHT_BYTES * each / replicas for each in largest), reverse=True)
        places = sizes[: int(self.ways.buffers)]
        if self.ways.pool == "largest":
            places = [sizes[0]] * int(self.ways.buffers)
        return self._pinned(sum(places))

    def _pinned(self, size: float) -> float:
        """Bytes that an allocation of so many takes."""
        if self.ways.pinned == "exact" or size <= 1:
            return size
        return float(2 ** math.ceil(math.log2(size)))

    def said(self, cpu: Hardware) -> str:
        """What the answer rests on."""
        drive = self.ways.drive_bytes_per_s
        where = "in its memory" if drive is None else f"on drives of {drive / 1e9:.3g} GB/s"
        link = f"{float(self.ways.rate_bytes_per_s) / 1e9:.3g} GB/s"
        return (
            f"training: {', '.join(self.ways.holds)} in the host ({cpu.devices} x {cpu.name} for"
            f" {self.shared} devices, {where}), links of {link} in each direction; none was"
            " measured here"
        )
