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
from hwmodel.systems.pipelines.turns import Turns
from hwmodel.systems.training import passes
from hwmodel.systems.training.alone import Known, piece_of
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.made import Made, always, cut
from hwmodel.systems.training.memory import WEIGHT_BYTES
from hwmodel.systems.training.stages import Stage, each_once, ended, transfer_s

IN_TURN = ("1f1b", "interleaved")
"""Schedules in which a forward and a backward pass take turns."""
WHOLE = ("gpipe", *IN_TURN)
"""Schedules whose backward passes make gradients of inputs and of weights in one."""


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
    gradients = sum(work.kept.gradient_bytes * count * (n - 1) / n for count, n in groups)
    passes = (work.backwards or work.forwards) * (how.micro_batches or 0)
    return gradients * (work.backwards > 0) + passes * sum(s.sent_bytes for s in rank)


def least_s(
    work: Training, how: Execution, on: Hardware, fabric: Fabric, known: Known, kernel: Any = None
) -> float:
    """Seconds that no order of the passes goes below, with kernels as they run.

    Before its first pass forward a micro-batch is at every rank before it, and after its last
    backward at them once more, in their first chunks; where gradients of weights are passes of
    their own, a rank may have those left then. Then replicas exchange, and the optimiser's step is
    done.
    """
    if work.host is not None:
        return 0.0
    parts = cut(work, how, on, fabric, kernel, None, known)
    if parts.layout.chains > 1 or how.micro_batches is None:
        return 0.0
    sent_s = transfer_s(work, how, fabric) if how.pp > 1 else 0.0
    whole = how.pipeline in WHOLE
    waits_s = least = 0.0
    for rank in parts.ranks:
        mine_s = sum(s.forward_s + s.inputs_s + s.weights_s for s in rank)
        least = max(least, waits_s + how.micro_batches * mine_s)
        first = rank[0]
        waits_s += first.forward_s + sent_s
        waits_s += first.inputs_s + first.weights_s + sent_s if whole else 0.0
    ends = each_once(parts.ranks, lambda rank: ended(rank, how, work, on, fabric))
    after_s = max(each.update_s for each in ends) + max(each.exposed_s for each in ends)
    return passes.rounds(work) * least + after_s


def spread_s(work: Training, how: Execution, whole: Made) -> float:
    """The same before layers are dealt to stages: no way to deal them takes less.

    Rank r of p does x_r for each of m micro-batches, after what those before it do for one, so that
    no step is shorter than the largest S_r + m x_r, with S_r = x_1 + ... + x_(r-1). That is least
    where all are alike: with L = x_1 + ... + x_p it is L / (1 - (1 - 1 / m)^p). Where ranks have
    several chunks, or passes for gradients of weights, m L / p.
    """
    if work.host is not None or how.pipeline.startswith("dualpipe") or how.micro_batches is None:
        return 0.0
    count, several = how.micro_batches, how.pp
    each_s = whole.pass_s
    if how.pipeline not in WHOLE or how.vp > 1:
        return passes.rounds(work) * count * each_s / several
    return passes.rounds(work) * each_s / (1 - (1 - 1 / count) ** several)


def least_bytes(
    work: Training, how: Execution, on: Hardware, fabric: Fabric, known: Known, kernel: Any = None
) -> float:
    """What the fullest device holds at the least: states, and a micro-batch of its fullest stage.

    Where a forward and a backward pass take turns, what is under way before the first of these; and
    a layer computed again.
    """
    if work.host is not None:
        return 0.0
    parts = cut(work, how, on, fabric, kernel, None, known)
    states = each_once(parts.ranks, lambda rank: always(rank, how, work).total_bytes)
    turns = None
    if how.pipeline in IN_TURN and how.micro_batches is not None:
        turns = Turns(how.pp, how.vp, how.micro_batches)
    found = 0.0
    for place, rank in enumerate(parts.ranks):
        each = [s.kept_bytes + s.ends_bytes for s in rank]
        kept = max(each)
        if turns is not None:
            kept = sum(n * size for n, size in zip(turns.under_way(place), each, strict=True))
        found = max(found, states[place] + kept + max(s.again_bytes for s in rank))
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
        for each in piece_of(group.blocks, work, how, layer=group.numbers[0]).kernels
    )
