"""One step of training on a cluster: micro-batches through a pipeline, exchanges, the optimiser.

    a micro-batch at a layer   its kernels, in the sustained state, over the efficiency of training;
                               tp's exchanges after its blocks, ep's around its experts, in series
                               or beside another micro-batch's kernels, as the work says;
                               no sooner than a host launches it, without graphs;
                               cp's exchange of keys beside its attention
    a pipeline                 the schedule of the execution, with each stage's own seconds; where
                               it runs two passes at once each hides the other's exchanges of ep
    with zero 3 (FSDP)         every layer's weights are gathered before it, and its gradients
                               scattered after, beside the layer before: the longer of both counts
    otherwise                  gradients are reduced beside the last backward pass (and weights
                               gathered beside the first forward pass): what is longer is exposed,
                               and kernels beside an exchange are slower
    the optimiser              at the DRAM's rate

Memory: weights, gradients and optimiser by ZeRO's stage; what the micro-batches in flight keep, by
the schedule; what computing a layer again needs; the gradient of logits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Network, machine_of, topology_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.estimate import UNKNOWN
from hwmodel.spine.execution import Execution
from hwmodel.spine.failures import Failures
from hwmodel.systems.pipelines.named import scheduled
from hwmodel.systems.pipelines.schedule import Passes, Schedule
from hwmodel.systems.pipelines.timing import peaks, timed
from hwmodel.systems.training import passes
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.division import chosen, execution, taken
from hwmodel.systems.training.efficiency import named
from hwmodel.systems.training.fabric import Fabric, collided
from hwmodel.systems.training.hosted import Hosted, hosted, tensors
from hwmodel.systems.training.kernels import added
from hwmodel.systems.training.least import floor
from hwmodel.systems.training.made import Cut, always, cut
from hwmodel.systems.training.memory import WEIGHT_BYTES, States
from hwmodel.systems.training.rounds import delayed
from hwmodel.systems.training.stages import (
    Stage,
    boundary_bytes,
    each_once,
    ended,
    together,
    transfer_s,
)
from hwmodel.systems.training.trained import RESERVED, Trained

LOGIT_BYTES = {"megatron": 6, "fsdp": 10}
"""Software -> of each logit beside its copy in fp32: the logit itself and its gradient; of torch's
loss also the logarithm of its softmax, of which the gradient in fp32 is made beside it. Worked out
from these tensors' formats and held to torchtitan's published memory, not read in a profile."""
BEHIND = 2
"""Micro-batches more that a rank keeps where stages share the vocabulary: between a stage's last
layer and the gradient of the logits all ranks wait for each other (arXiv 2411.05288: p + 2)."""
FUSED_LOGIT_BYTES = 4
"""Of each logit where a compiler fuses the loss: itself and its gradient in 16 bits."""
IN_USE = (
    "training: memory is of tensors in use; torch's allocator had reserved up to"
    f" {RESERVED - 1:.0%} more at five published peaks; a context (context_bytes) and NCCL's"
    " buffers come on top"
)
"""What is told of memory."""
ALONE_LOGIT_BYTES = 6
"""Of each logit without a backward pass: itself, and the logarithm of its softmax."""


def predicted(work: Training, on: Any, **options: Any) -> Trained:
    """The step on as many of a device as its execution takes; `options` are those of `predict`.

    Raises `InputError` for executions that are not legal, `CoverageError` for what is not modelled.
    """
    machine = machine_of(on)
    parallel: dict[str, Any] = dict(options.get("parallel") or {})
    for name, told in (("engine", "has no engine"), ("l2", "finds the L2 as a step leaves it")):
        if options.get(name) is not None:
            raise CoverageError(f"training: {name}: training {told}; leave it out")
    given = work.but(**parallel) if parallel else work
    how = execution(given, machine)
    joined = fabric_of(machine, options.get("topology"), how.devices)
    asked: dict[str, Any] = {n: options.get(n) for n in ("kernel", "efficiency", "known")}
    found = trained(given, how, machine, fabric=joined, **asked)
    told, more = chosen(given, how), (*found.assumptions, *taken(given, how), IN_USE)
    return replace(found, everywhere=(*told, *found.everywhere), assumptions=more)


def fabric_of(machine: Hardware, network: Network, devices: int) -> Fabric:
    """The cluster: boxes of the device's switch, or those of a topology; or its links alone."""
    found = topology_of(network)
    if found is None:
        return Fabric.of(machine)
    kinds = {node.name: node.kind for node in found.nodes}
    boxes = Counter(node.group for node in found.nodes if node.kind == "device")
    cards = [
        edge.bandwidth_bytes_per_s
        for edge in found.links
        if "nic" in (kinds[edge.between[0]], kinds[edge.between[1]])
    ]
    card = min(cards) / collided(found) if cards else None
    made = Fabric.of(machine, box=max(boxes.values()), card_bytes_per_s=card)
    return made if cards else replace(made, network=found, devices=devices)


def trained(
    work: Training,
    how: Execution,
    on: Hardware,
    *,
    kernel: Any = None,
    fabric: Fabric | None = None,
    efficiency: float | None = None,
    known: Known | None = None,
) -> Trained:
    """The step under an execution that is legal; the only entry that searches need.

    `efficiency` is the share of their rates alone that kernels reach (default: what was fitted);
    `known` remembers what executions of one step on one machine have in common.
    """
    machine = on if on.devices == 1 else on.but(devices=1)
    joined = fabric or Fabric.of(machine)
    parts = cut(work, how, machine, joined, kernel, efficiency, known or Known())
    away = _away(work, how, parts, joined)
    if away is not None:
        told = (*parts.made.assumptions, away.assumption)
        alone = replace(parts.made, interval=UNKNOWN, assumptions=told)
        parts = replace(parts, stages=[away.stage], made=alone)
    overlapped, spared_s = together(parts.stages)
    each_pass = Passes(
        [stage.forward_s for stage in parts.stages],
        [stage.inputs_s for stage in parts.stages],
        [stage.weights_s for stage in parts.stages],
        transfer_s=transfer_s(work, how, joined) if how.pp > 1 else 0.0,
        overlapped=overlapped,
    )
    count = how.micro_batches
    assert count is not None
    assert how.global_batch is not None
    pipeline = how.pipeline if how.pp > 1 else "1f1b"
    run = timed(scheduled(pipeline, how.pp, count, each_pass, chunks=how.vp), each_pass)
    ranks = parts.ranks
    ends = each_once(ranks, lambda rank: ended(rank, how, work, machine, joined))
    if away is not None and away.ways.optimizer:
        ends = [replace(each, update_s=away.update_s, update_bytes=0.0) for each in ends]
    exposed_s = max(each.exposed_s for each in ends)
    update_s = max(each.update_s for each in ends)
    times = passes.rounds(work)
    more = passes.beside(work, run, each_pass)
    alone_s = times * run.makespan_s + more.seconds
    rounds = delayed(work, how, alone_s, exposed_s + update_s)
    took_s = rounds.longer * alone_s
    step_s = took_s + exposed_s + update_s
    held = _held(work, how, parts, run.schedule, ranks)
    if away is not None:
        held = [replace(each, states=away.states) for each in held]
    fullest = max(held, key=lambda each: each.total_bytes)
    works_s = (times + more.share) * float(run.busy_s.mean())
    again = rounds.load * how.dp
    often, busy_s = (times + more.share) * again, works_s * again
    each = often * run.schedule.each  # of a chain: half enter at either end, where two do
    waits_s = each * float(np.mean([sum(s.exposed_s for s in rank) for rank in ranks])) + exposed_s
    waits_s -= times * run.schedule.paired * spared_s
    made, several = parts.made, passes.operations(work) * count * how.dp * how.tp * how.cp
    flops = several * made.flops
    idle_j = float(np.max(machine.power.idle_w)) * max(0.0, step_s - busy_s + waits_s)
    joules = each * float(np.mean([sum(s.joules for s in rank) for rank in ranks])) + idle_j
    peak = float(machine.rate("matrix", work.precision))
    return Trained(
        name=work.name,
        device=machine.title if how.devices == 1 else f"{how.devices} x {machine.title}",
        execution=how,
        step_time_s=step_s,
        tokens_per_s_per_device=how.global_batch * work.sequence / step_s / how.devices,
        mfu=flops / step_s / how.devices / peak,
        model_flops=flops,
        bubble=max(0.0, 1 - works_s / alone_s) if how.pp > 1 else 0.0,
        exposed_communication_s=waits_s,
        optimizer_s=update_s,
        weights_bytes=fullest.states.weights_bytes,
        gradients_bytes=fullest.states.gradients_bytes,
        optimizer_bytes=fullest.states.optimizer_bytes,
        activations_bytes=fullest.layers_bytes,
        again_bytes=fullest.again_bytes,
        ends_bytes=fullest.ends_bytes,
        memory_bytes=fullest.total_bytes,
        capacity_bytes=float(machine.memory("dram").capacity_bytes),
        memory_by_rank=tuple(each.total_bytes for each in held),
        energy_j=how.devices * joules,
        assumptions=parts.made.assumptions,
        everywhere=(*work.model.warnings, *parts.made.warnings),
        timed=run,
        least_s=floor(
            machine,
            work,
            how,
            flops=several * made.least_flops,
            ranks=ranks,
            update_bytes=[each.update_bytes for each in ends],
            host_s=away.links_s if away else 0.0,
        ),
        busy_s=_busy_s(ranks, each, waits_s, update_s, away),
        again_s=each * float(np.mean([sum(s.again_s for s in rank) for rank in ranks])),
        waits_s=alone_s * again - busy_s,
        load=rounds.load,
        optimizer_flops=sum(stage.update_flops for stage in parts.stages),
        optimizer_sent_bytes=sum(stage.shared_bytes for stage in parts.stages),
        slower_s=took_s - alone_s * again,
        goodput=1.0 if work.failures is None else Failures.of(work.failures).counts(how.devices),
        kept_by_stage=tuple(stage.kept_bytes + stage.ends_bytes for stage in parts.stages),
        states_by_rank=tuple(each.states.total_bytes for each in held),
        interval=parts.made.interval,
        samples="images" if work.model.network.judges else "tokens",
        hosted=away,
    )


def _away(work: Training, how: Execution, parts: Cut, joined: Fabric) -> Hosted | None:
    """What the host does and keeps, where a part of the step lies there."""
    if work.host is None:
        return None
    held = always(parts.stages, how, work)
    return hosted(work, how, parts.row, parts.stages[0], held, tensors(work, how), joined.box)


@dataclass(frozen=True, eq=False)
class _Held:
    """What a device keeps."""

    states: States
    layers_bytes: float
    again_bytes: float
    ends_bytes: float

    @property
    def total_bytes(self) -> float:
        """All of it."""
        return self.states.total_bytes + self.layers_bytes + self.again_bytes + self.ends_bytes


def _held(
    work: Training,
    how: Execution,
    parts: Cut,
    schedule: Schedule,
    ranks: Sequence[Sequence[Stage]],
) -> list[_Held]:
    """Of each rank: states, and the most that micro-batches in flight keep.

    Torch's pipeline has a buffer for each micro-batch's gradient that a stage receives, and keeps
    the logits of all of them for the caller (torch/distributed/pipelining/stage.py at 0138610:
    `grad_recv_info`, `output_chunks`).
    """
    layers = peaks(schedule, [stage.kept_bytes for stage in parts.stages])
    ends = peaks(schedule, [stage.ends_bytes for stage in parts.stages])
    apart = how.vocabulary == "stages"
    if apart:
        layers += BEHIND * np.array([sum(s.kept_bytes for s in rank) for rank in ranks])
        ends += BEHIND * sum(each.ends_bytes for each in parts.made.ends) / how.pp
    each_bytes = FUSED_LOGIT_BYTES if work.loss == "fused" else LOGIT_BYTES[named(how.zero)]
    each_bytes = each_bytes if work.backwards else ALONE_LOGIT_BYTES
    last = {parts.layout.rank[s] for s, after in enumerate(parts.layout.after) if after < 0}
    several = schedule.each if how.pp > 1 and named(how.zero) == "fsdp" else 0
    gradients = several * boundary_bytes(work, how)
    logits = parts.made.logits * (each_bytes + max(0, several - 1) * WEIGHT_BYTES)
    states = each_once(ranks, lambda rank: always(rank, how, work))
    return [
        _Held(
            states[place],
            float(layers[place]) + gradients * (len(rank) - (place in last)),
            max(stage.again_bytes for stage in rank),
            float(ends[place]) + (logits / how.pp if apart else logits if place in last else 0.0),
        )
        for place, rank in enumerate(ranks)
    ]


def _busy_s(
    ranks: Sequence[Sequence[Stage]],
    count: float,
    waits_s: float,
    update_s: float,
    away: Hosted | None,
) -> dict[str, float]:
    """Seconds that a rank needs each resource on average; its links while nothing else is done."""
    stages = [stage for rank in ranks for stage in rank]
    found = added(stage.busy_s for stage in stages)
    mean = {name: seconds * count / len(ranks) for name, seconds in found.items()}
    host_s = away.waits_s * count if away else 0.0
    others = {"link": waits_s - host_s} if waits_s > host_s else {}
    if away is None or not away.ways.optimizer:
        others["dram"] = update_s
    else:
        host_s += update_s
    return added([mean, others, {"host": host_s} if host_s else {}])
