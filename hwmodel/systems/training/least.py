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

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.memory import GRADIENT_BYTES, WEIGHT_BYTES
from hwmodel.systems.training.stages import Stage


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
