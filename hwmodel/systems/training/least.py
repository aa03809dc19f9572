"""Seconds that no schedule of a step's passes goes below: each resource at its datasheet's peak.

    matrix   the FLOPs of three forward passes, of the pairs that attention's masks leave (or
             fewer), spread evenly over all devices, at the peak of the format of products
    dram     of each rank, what the optimiser must read and write, and one read of its weights, less
             what its chip can hold
    link     of each rank, what must leave its devices in each direction: a part (n - 1) / n of its
             gradients, and of the sums over tp after each block, forward and backward (switches
             that add up spare the rest)
    host     of a device, what comes up from its host or goes down to it, where a part lies there

All overlap, and recomputation is not counted: the bound is the longest of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes
from hwmodel.systems.training import passes
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.layers import piece
from hwmodel.systems.training.made import always, cut
from hwmodel.systems.training.memory import GRADIENT_BYTES, WEIGHT_BYTES
from hwmodel.systems.training.stages import Stage, ended, transfer_s


def floor(
    machine: Hardware,
    work: Training,
    how: Execution,
    *,
    flops: float,
    ranks: Sequence[Sequence[Stage]],
    update_bytes: Sequence[float],
    host_s: float = 0.0,
) -> Mapping[str, float]:
    """Least seconds by resource; `flops` are those of all devices, the rest of each rank."""
    rate = machine.memory("dram").bandwidth_bytes_per_s
    inside = limits(machine).capacity_bytes
    held = sum(float(size) for name, size in inside.items() if name != "dram")
    weights = [WEIGHT_BYTES * sum(s.dense + s.experts + s.frozen for s in rank) for rank in ranks]
    moved = [a + b for a, b in zip(update_bytes, weights, strict=True)]
    found = {
        "matrix": flops / how.devices / float(machine.rate("matrix", work.precision)),
        "dram": max(0.0, max(moved) - held) / float(rate),
    }
    if machine.link is not None:
        sent = max(_sent_bytes(rank, work, how) for rank in ranks)
        found["link"] = sent / float(machine.link.bandwidth_bytes_per_s)
    return {**found, "host": host_s} if host_s else found


def _sent_bytes(rank: Sequence[Stage], work: Training, how: Execution) -> float:
    """What leaves a device of a rank at the least, over a step."""
    groups = (
        (sum(s.dense for s in rank), how.dp * how.cp),
        (sum(s.experts for s in rank), how.expert_dp),
    )
    gradients = sum(GRADIENT_BYTES * count * (n - 1) / n for count, n in groups)
    passes = (work.backwards or work.forwards) * (how.micro_batches or 0)
    return gradients * (work.backwards > 0) + passes * sum(s.sent_bytes for s in rank)


def least_s(
    work: Training, how: Execution, on: Hardware, fabric: Fabric, known: Known, kernel: Any = None
) -> float:
    """Seconds that no order of the passes goes below, with kernels as they run.

    Before its first pass forward a micro-batch is at every rank before it, and after its last
    backward at them once more; where ranks have several chunks these wait for fewer. Then replicas
    exchange, and the optimiser's step is done.
    """
    if work.host is not None:
        return 0.0
    parts = cut(work, how, on, fabric, kernel, None, known)
    if parts.layout.chains > 1 or how.micro_batches is None:
        return 0.0
    sent_s = transfer_s(work, how, fabric) if how.pp > 1 else 0.0
    waits_s = least = 0.0
    for rank in parts.ranks:
        first = [rank[0]] if how.vp == 1 else []
        mine_s = sum(s.forward_s + s.inputs_s + s.weights_s for s in rank)
        least = max(least, waits_s + how.micro_batches * mine_s)
        waits_s += sum(s.forward_s + s.inputs_s + 2 * sent_s for s in first)
    ends = [ended(rank, how, work, on, fabric) for rank in parts.ranks]
    after_s = max(each.update_s for each in ends) + max(each.exposed_s for each in ends)
    return passes.rounds(work) * least + after_s


def least_bytes(
    work: Training, how: Execution, on: Hardware, fabric: Fabric, known: Known, kernel: Any = None
) -> float:
    """What the fullest device holds at the least: states, and a micro-batch of its fullest stage.

    In 1F1B a rank has as many micro-batches under way as ranks are left, itself among them.
    """
    if work.host is not None:
        return 0.0
    parts = cut(work, how, on, fabric, kernel, None, known)
    plain = how.pipeline == "1f1b" and how.micro_batches is not None
    found = 0.0
    for place, rank in enumerate(parts.ranks):
        several = min(how.micro_batches or 1, how.pp - place) if plain else 1
        kept = max(s.kept_bytes + s.ends_bytes for s in rank)
        found = max(found, always(rank, how, work).total_bytes + several * kept)
    return found


@dataclass(frozen=True)
class Launches:
    """Kernels of all layers that a host launches for a micro-batch, forward and backward.

    Attributes:
        kernels: with one expert on each device; further: those of each further expert of a device.
        experts: of the model, 0 where it has none.
    """

    kernels: float
    further: float
    experts: int

    @classmethod
    def of(cls, work: Training) -> "Launches":
        """Those of a model, however many devices divide its layers."""
        experts = Sizes.of(work.model.network).experts
        if experts < 2:
            return cls(_launches(work, Execution()), 0.0, experts)
        apart = _launches(work, Execution(dp=experts, ep=experts, etp=1))
        return cls(apart, (_launches(work, Execution()) - apart) / (experts - 1), experts)

    def on(self, ep: int) -> float:
        """Where ep devices share the experts."""
        return self.kernels + self.further * max(0, self.experts // ep - 1)


def _launches(work: Training, how: Execution) -> float:
    return sum(
        len(group.numbers) * each.launches
        for group in work.model.network.layers
        for each in piece(group.blocks, work, how, layer=group.numbers[0]).kernels
    )
