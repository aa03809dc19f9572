"""Stages of a pipeline: what their layers take, exchange and keep; what ends a step on a rank."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hwmodel.einsum.division import spread
from hwmodel.einsum.workloads.kept import Kept
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.efficiency import Software
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.kernels import Seconds, added
from hwmodel.systems.training.layers import Left, Piece
from hwmodel.systems.training.memory import WEIGHT_BYTES, moved_bytes, update_bytes

Found = TypeVar("Found")

SLOWED = 0.2
"""Of the seconds of an exchange beside kernels, what these take longer: it has processors of theirs
(of 0, 0.1, 0.2 and 0.3 the one of the least error)."""
HIDDEN = 0.3
"""Of the seconds of kernels beside which tokens are on their way to experts, how many hide them
(found with the others of `efficiency`)."""
PAIRED = 0.88
"""The same where a schedule runs a forward and a backward pass at once, layer by layer: kernels of
124.3 ms and exchanges of 114.5 ms took 129.0 ms (deepseek-ai/profile-data, train.json: DeepSeek-V3
on H800, four layers, 64 devices share the experts)."""
DRAM_SHARE = 0.9
"""Of the datasheet's bandwidth, in the optimiser's long streams (measured: row kernels, H200)."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Seconds, bytes and parameters of one stage of the pipeline, for a micro-batch.

    Attributes:
        again_s: of its backward pass, in which what was not kept is computed again.
        routed_s: of both passes, in which tokens are on their way to experts and back.
        sent_bytes: that leave the device at the least, to those that divide the same layers.
        busy_s: by resource.
        update_s, update_flops: of the optimiser's products, and on a device that has all of them;
            factor_bytes: of its matrices; shared_bytes: of what replicas sum of them in a step.
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
    routed_s: float
    sent_bytes: float
    busy_s: Mapping[str, float]
    frozen: float = 0.0
    update_s: float = 0.0
    update_flops: float = 0.0
    factor_bytes: float = 0.0
    shared_bytes: float = 0.0


def layer(
    each: Piece,
    took: Seconds,
    how: Execution,
    joined: Fabric,
    runs: Software,
    *,
    graphed: bool,
    gradient_bytes: float = Kept.gradient_bytes,
) -> Stage:
    """A piece's passes with what they exchange; unless they are `graphed`, as a host launches."""
    share = runs.exposed
    gathered, summed = _sums_s(each, took, how, joined, together=runs.together)
    links = share * (gathered + summed)
    routed = _routed_s(each, took, how, joined)
    ring = joined.seconds("all_gather", each.key_bytes * how.cp, how.cp, how.tp)
    forward, inputs, weights = took.forward_s, took.inputs_s, took.weights_s
    exposed_f = links + routed + max(0.0, ring - forward)
    exposed_b = links + routed + max(0.0, 2 * ring - inputs)
    again_bytes, kept, again_s = 0.0, each.kept_bytes, 0.0
    busy = (took.forward_busy_s, took.backward_busy_s)
    forward_s, inputs_s = forward + exposed_f, inputs + exposed_b
    if not graphed and runs.launch_s:
        launches = [
            runs.launch_s * sum(k.launches for k in each.kernels if k.role in roles)
            for roles in (("forward",), ("inputs", "weights"))
        ]
        forward_s = max(forward_s, launches[0])
        inputs_s = max(inputs_s, launches[1] - weights)
    left = _left(each, how.recompute)
    if left is not None:
        kept, again_bytes = left.kept_bytes, left.beside_bytes
        if left.again:
            again_s, busy = forward_s, (*busy, took.forward_busy_s)
            inputs_s += again_s
    elif how.recompute == "selective":
        again_s = took.again_s + (share * gathered if how.zero == 3 else 0.0)
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
        scatter = joined.seconds("reduce_scatter", each.dense * gradient_bytes, ranks, stride)
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
        routed_s=routed * (3 if again_s >= forward_s else 2),
        sent_bytes=2 * sum(each.reduced_bytes) * (how.tp - 1) / how.tp,
        busy_s=added(busy),
    )


def _left(each: Piece, recompute: str) -> Left | None:
    """What a piece keeps where that is all, or it is computed again as a whole."""
    if each.left:
        return each.left[recompute]
    whole = recompute in ("full", "reversible")
    if not whole or each.kept_bytes <= each.input_bytes or not each.dense:
        return None
    return Left(each.input_bytes if recompute == "full" else 0.0, each.kept_bytes, again=True)


def _sums_s(
    each: Piece, took: Seconds, how: Execution, joined: Fabric, *, together: bool = False
) -> tuple[float, float]:
    """What a pass exchanges over tp: its sums, or with sp inputs gathered and sums scattered.

    By operation, FSDP gathers inputs again where it computes again what products made of them.
    Part by part (`together`) the rows of one device are exchanged beside the product of another's:
    the first part of tp waits, and of the others what is longer than their products (torch's
    symmetric memory). A gradient's product has the FLOPs of the forward pass's, and what the one
    gathers the other scatters.
    """
    sizes = each.reduced_bytes
    if not how.sp:
        return 0.0, sum(joined.seconds("all_reduce", size, how.tp) for size in sizes)
    found: list[float] = []
    for place, op in enumerate(("all_gather", "reduce_scatter")):
        moved_s = [joined.seconds(op, size, how.tp) for size in sizes]
        if together:
            beside_s = (took.each_s[pair[place]] for pair in each.beside)
            moved_s = [parted_s(a, b, how.tp) for a, b in zip(moved_s, beside_s, strict=True)]
        found.append(sum(moved_s))
    return found[0], found[1]


def parted_s(exchange_s: float, product_s: float, parts: int) -> float:
    """What shows of an exchange whose parts lie beside those of a product."""
    return exchange_s / parts + max(0.0, exchange_s - product_s) * (1 - 1 / parts)


def _routed_s(each: Piece, took: Seconds, how: Execution, joined: Fabric) -> float:
    """What a pass waits for while tokens go to their experts and back.

    Overlapped, exchanges of a forward and a backward pass lie beside the kernels of both.
    """
    if not each.routed_bytes:
        return 0.0
    size = each.routed_bytes / (how.tp if how.sp or how.expert_tp < how.tp else 1)
    to = (each.picks, each.choices, how.ep, how.expert_tp)
    both = 2 * joined.routed(size, *to, dispatch=how.dispatch)
    if how.overlap == "none":
        return both
    return max(0.0, both - HIDDEN * (took.forward_s + took.inputs_s + took.weights_s) / 2)


def together(stages: Sequence[Stage]) -> tuple[float, float]:
    """Share of their seconds that a forward and a backward pass at once take, and what is spared.

    Each has its exchanges with experts beside the other's kernels.
    """
    both_s = sum(s.forward_s + s.inputs_s + s.weights_s for s in stages) / len(stages)
    routed_s = sum(s.routed_s for s in stages) / len(stages)
    spared_s = min(routed_s, PAIRED * (both_s - routed_s))
    return 1 - spared_s / both_s, spared_s


def beside_modules(held: Sequence[int], modules: int) -> tuple[int, ...]:
    """Layers of each stage where the last has so many modules that predict further tokens too.

    A module, and the losses, count as a layer each; what the stages before do not take is the
    last's: "Et*4|(t*4|)*14tmL" and "Et|(tt|)*30mL" are DeepSeek-V3's layouts on 16 and 32 stages
    (NVIDIA-NeMo/Megatron-Bridge, scripts/performance/configs/deepseek).
    """
    if not modules or len(held) == 1:
        return tuple(held)
    depth, before = sum(held), len(held) - 1
    each = -(-(depth + modules + 1) // (before + 1))
    last = max(0, depth - each * before)
    return (*spread(depth - last, before), last)


def chain(
    held: Sequence[int],
    kinds: Sequence[Stage],
    ends: tuple[Stage, Stage],
    *,
    whole: Sequence[Stage],
    first: int | None,
    apart: bool = False,
) -> list[Stage]:
    """Stages in the order of the model: their layers, and the ends at either end.

    Behind the `first` of each stage its layers are those of `whole`, which compute nothing again.
    `apart`: each stage has an equal part of both ends, but for what these keep.
    Stages of the same layers are one value.
    """
    found: list[Stage] = []
    shared = part(replace(summed(ends), ends_bytes=0.0), len(held))
    made: dict[tuple[int, ...], Stage] = {}
    start = 0
    for place, count in enumerate(held):
        split = start + (count if first is None else min(first, count))
        mine = [*kinds[start:split], *whole[split : start + count]]
        start += count
        before = [ends[0]] if place == 0 and not apart else []
        after = [ends[1]] if place == len(held) - 1 and not apart else []
        after = [shared] if apart else after
        parts = [*before, *mine, *after]
        key = tuple(map(id, parts))
        if key not in made:
            made[key] = summed(parts)
        found.append(made[key])
    return found


def each_once(
    ranks: Sequence[Sequence[Stage]], function: Callable[[Sequence[Stage]], Found]
) -> list[Found]:
    """What a function says of each rank, asked once for those of the same stages."""
    told: dict[tuple[int, ...], Found] = {}
    found: list[Found] = []
    for rank in ranks:
        key = tuple(map(id, rank))
        if key not in told:
            told[key] = function(rank)
        found.append(told[key])
    return found


def end(stage: Stage, more: float) -> Stage:
    """An end of the network, which keeps what it keeps, and `more`, apart from the layers."""
    return replace(stage, kept_bytes=0.0, ends_bytes=stage.kept_bytes + more)


def part(stage: Stage, of: int) -> Stage:
    """One of so many equal parts of a stage."""
    sizes = {n: value / of for n, value in vars(stage).items() if isinstance(value, (int, float))}
    return replace(stage, **sizes, busy_s={n: s / of for n, s in stage.busy_s.items()})


def summed(parts: Sequence[Stage]) -> Stage:
    """Layers one after the other; computed again one at a time."""
    names = ("forward_s", "inputs_s", "weights_s", "exposed_s", "kept_bytes", "ends_bytes")
    names = (*names, "dense", "experts", "frozen", "joules", "again_s", "routed_s", "sent_bytes")
    names = (*names, "update_s", "update_flops", "factor_bytes", "shared_bytes")
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
        update_bytes(count, ranks, zero=how.zero, kept=work.kept) for count, ranks, _ in groups
    )
    more = moved_bytes(dense + experts, work.forwards, work.backwards, work.kept.gradient_bytes)
    moved = more + (moved if work.backwards else 0.0)
    update_s = moved / (float(machine.memory("dram").bandwidth_bytes_per_s) * DRAM_SHARE)
    update_s += sum(s.update_s for s in rank)
    shared = sum(s.shared_bytes for s in rank)
    shared_s = joined.seconds("all_reduce", shared, how.dp * how.cp, how.tp) if shared else 0.0
    if how.zero == 3 or not work.backwards:
        return Ended(update_s, shared_s, moved)
    reduced_s = gathered_s = 0.0
    for count, ranks, stride in groups:
        op = "reduce_scatter" if how.zero else "all_reduce"
        reduced_s += joined.seconds(op, count * work.kept.gradient_bytes, ranks, stride)
        if how.zero:
            gathered_s += joined.seconds("all_gather", count * WEIGHT_BYTES, ranks, stride)
    exposed_s = _beside(reduced_s, sum(s.inputs_s + s.weights_s for s in rank))
    exposed_s += shared_s
    return Ended(update_s, exposed_s + _beside(gathered_s, sum(s.forward_s for s in rank)), moved)


def _beside(exchange_s: float, pass_s: float) -> float:
    """What an exchange beside a pass adds to it: what is longer, and what kernels lose by it."""
    return max(0.0, exchange_s - pass_s) + SLOWED * min(exchange_s, pass_s)


def boundary_bytes(work: Training, how: Execution) -> float:
    """Hidden states of a micro-batch between two stages, each tp device's part."""
    tokens = how.micro_batch * work.sequence // how.cp
    return tokens * work.model.network.hidden * WEIGHT_BYTES / how.tp


def transfer_s(work: Training, how: Execution, joined: Fabric) -> float:
    """Hidden states of a micro-batch to the next stage."""
    return joined.sent(boundary_bytes(work, how), how.tp * how.cp * how.dp)
