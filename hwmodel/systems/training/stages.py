"""Stages of a pipeline: what their layers take, exchange and keep; what ends a step on a rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.kernels import Seconds, added
from hwmodel.systems.training.layers import Piece
from hwmodel.systems.training.memory import GRADIENT_BYTES, WEIGHT_BYTES, update_bytes

DRAM_SHARE = 0.9
"""Of the datasheet's bandwidth, in the optimiser's long streams (measured: row kernels, H200)."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Seconds, bytes and parameters of one stage of the pipeline, for a micro-batch.

    Attributes:
        again_s: of its backward pass, in which what was not kept is computed again.
        sent_bytes: that leave the device at the least, to those that divide the same layers.
        busy_s: by resource.
    """

    forward_s: float
    inputs_s: float
    weights_s: float
    exposed_s: float
    kept_bytes: float
    ends_bytes: float
    again_bytes: float
    dense: float
    experts: float
    largest: float
    joules: float
    again_s: float
    sent_bytes: float
    busy_s: Mapping[str, float]
    frozen: float = 0.0


def layer(each: Piece, took: Seconds, how: Execution, joined: Fabric, share: float) -> Stage:
    """A piece's passes with what they exchange."""
    links = share * sum(joined.seconds("all_reduce", s, how.tp) for s in each.reduced_bytes)
    routed = 0.0
    if each.routed_bytes:
        size = each.routed_bytes / (how.tp if how.sp or how.expert_tp < how.tp else 1)
        routed = 2 * joined.seconds("all_to_all", size, how.ep, how.expert_tp)
    ring = joined.seconds("all_gather", each.key_bytes * how.cp, how.cp, how.tp)
    forward, inputs, weights = took.forward_s, took.inputs_s, took.weights_s
    exposed_f = links + routed + max(0.0, ring - forward)
    exposed_b = links + routed + max(0.0, 2 * ring - inputs)
    again_bytes, kept, again_s = 0.0, each.kept_bytes, 0.0
    busy = (took.forward_busy_s, took.backward_busy_s)
    forward_s, inputs_s = forward + exposed_f, inputs + exposed_b
    if how.recompute == "full" and each.kept_bytes > each.input_bytes and each.dense:
        again_s, busy = forward_s, (*busy, took.forward_busy_s)
        inputs_s += again_s
        again_bytes, kept = each.kept_bytes, each.input_bytes
    elif how.recompute == "selective":
        again_s = took.again_s
        inputs_s += again_s
        again_bytes, kept = each.scores_bytes, each.kept_bytes - each.scores_bytes
    if how.zero == 3 and how.recompute == "none":
        kept += each.gathered_bytes
    elif how.zero == 3 and again_bytes:
        again_bytes += each.gathered_bytes
    if how.zero == 3 and how.dp * how.cp > 1:
        ranks, stride = how.dp * how.cp, how.tp
        whole = each.dense + each.frozen
        gather = joined.seconds("all_gather", whole * WEIGHT_BYTES, ranks, stride)
        scatter = joined.seconds("reduce_scatter", each.dense * GRADIENT_BYTES, ranks, stride)
        more_f = max(0.0, gather - forward_s)
        more_b = max(0.0, gather + scatter - inputs_s - weights)
        forward_s, inputs_s = forward_s + more_f, inputs_s + more_b
        exposed_f, exposed_b = exposed_f + more_f, exposed_b + more_b
    redone = min(1.0, again_s / forward) if forward else 0.0
    return Stage(
        forward_s=forward_s,
        inputs_s=inputs_s,
        weights_s=weights,
        exposed_s=exposed_f + exposed_b,
        kept_bytes=kept,
        ends_bytes=0.0,
        again_bytes=again_bytes,
        dense=each.dense,
        experts=each.experts,
        largest=each.dense + each.frozen,
        frozen=each.frozen,
        joules=took.forward_j * (1 + redone) + took.backward_j,
        again_s=again_s,
        sent_bytes=2 * sum(each.reduced_bytes) * (how.tp - 1) / how.tp,
        busy_s=added(busy),
    )


def chain(
    held: Sequence[int], kinds: Mapping[int, Stage], ends: tuple[Stage, Stage]
) -> list[Stage]:
    """Stages in the order of the model: their layers, and the ends at either end."""
    found: list[Stage] = []
    start = 0
    for place, count in enumerate(held):
        mine = [kinds[n] for n in range(start, start + count)]
        start += count
        before = [ends[0]] if place == 0 else []
        after = [ends[1]] if place == len(held) - 1 else []
        found.append(_summed([*before, *mine, *after]))
    return found


def end(stage: Stage, more: float) -> Stage:
    """An end of the network, which keeps what it keeps, and `more`, apart from the layers."""
    return replace(stage, kept_bytes=0.0, ends_bytes=stage.kept_bytes + more)


def _summed(parts: Sequence[Stage]) -> Stage:
    """Layers one after the other; computed again one at a time."""
    names = ("forward_s", "inputs_s", "weights_s", "exposed_s", "kept_bytes", "ends_bytes")
    names = (*names, "dense", "experts", "frozen", "joules", "again_s", "sent_bytes")
    sums = {name: sum(getattr(each, name) for each in parts) for name in names}
    most = {name: max(getattr(each, name) for each in parts) for name in ("again_bytes", "largest")}
    return Stage(**sums, **most, busy_s=added(each.busy_s for each in parts))


@dataclass(frozen=True)
class Ended:
    """Seconds of a rank after its last micro-batch: the optimiser, and exchanges nothing hides."""

    update_s: float
    exposed_s: float
    update_bytes: float


def ended(
    rank: Sequence[Stage], how: Execution, work: Training, machine: Hardware, joined: Fabric
) -> Ended:
    """What a rank does after its last micro-batch: the optimiser, and exchanges nothing hides."""
    dense, experts = sum(s.dense for s in rank), sum(s.experts for s in rank)
    groups = (
        (dense, how.dp * how.cp, how.tp),
        (experts, how.expert_dp, how.expert_tp * how.ep),
    )
    moved = sum(
        update_bytes(count, ranks, zero=how.zero, optimizer=work.optimizer)
        for count, ranks, _ in groups
    )
    update_s = moved / (float(machine.memory("dram").bandwidth_bytes_per_s) * DRAM_SHARE)
    if how.zero == 3:
        return Ended(update_s, 0.0, moved)
    exchange_s = 0.0
    for count, ranks, stride in groups:
        if how.zero == 0:
            exchange_s += joined.seconds("all_reduce", count * GRADIENT_BYTES, ranks, stride)
        else:
            exchange_s += joined.seconds("reduce_scatter", count * GRADIENT_BYTES, ranks, stride)
            exchange_s += joined.seconds("all_gather", count * WEIGHT_BYTES, ranks, stride)
    hides_s = sum(s.inputs_s + s.weights_s + (s.forward_s if how.zero else 0.0) for s in rank)
    return Ended(update_s, max(0.0, exchange_s - hides_s), moved)
