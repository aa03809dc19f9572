"""A model as a step of training runs it, layer by layer: kernels with what they exchange.

Layers and ends depend on few fields of an execution (`alone.ALONE`), on how rows go to experts, and
with ZeRO's third stage on the replicas: a search asks once for those that have them in common, of
whatever pipeline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.predict import GRAPHED, NO_HOST
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes, share
from hwmodel.systems.pipelines.named import layout_of
from hwmodel.systems.pipelines.schedule import Layout
from hwmodel.systems.training import optimizers, passes
from hwmodel.systems.training.alone import ENDS, Alone, Known, remembered, shared
from hwmodel.systems.training.division import graphed
from hwmodel.systems.training.efficiency import Software, named, software
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.hosted import tensors
from hwmodel.systems.training.layers import BACKWARD, WIDEST, left_out
from hwmodel.systems.training.maps import check_maps, paced
from hwmodel.systems.training.memory import States, frozen, moving, states
from hwmodel.systems.training.stages import Stage, beside_modules, chain, end, layer, summed

KEPT_LOGIT_BYTES = 4
"""Of each logit, in fp32, from the forward pass to the backward."""


@dataclass(frozen=True, eq=False)
class Made:
    """Layers and ends of a model, for a micro-batch.

    Attributes:
        layers: one by one, in order; modules: those that predict further tokens, in the last end.
        whole: layers that compute nothing again, as those behind the `again` first of each stage
            are; `again` is None where all are alike.
        flops: of the forward pass, on the devices of one cp and tp rank.
        least_flops: the same without pairs of attention that masks leave out.
        logits: on one device.
    """

    ends: tuple[Stage, Stage]
    layers: tuple[Stage, ...]
    modules: int
    flops: float
    least_flops: float
    logits: float
    interval: tuple[float, float]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    whole: tuple[Stage, ...] = ()
    again: int | None = None
    _chained: dict[tuple[int, ...], list[Stage]] = field(default_factory=lambda: {})

    @cached_property
    def pass_s(self) -> float:
        """Seconds of a micro-batch in all layers and both ends, forward and backward, or fewer."""
        several = (*self.ends, *(self.whole if self.again is not None else self.layers))
        return sum(s.forward_s + s.inputs_s + s.weights_s for s in several)

    def chained(self, held: Sequence[int], *, apart: bool = False) -> list[Stage]:
        """Stages of so many layers, asked once for the same; `apart`: each has part of the ends."""
        key = (*held, apart)
        if key not in self._chained:
            ways: dict[str, Any] = {"whole": self.whole, "first": self.again, "apart": apart}
            self._chained[key] = chain(held, self.layers, self.ends, **ways)
        return self._chained[key]


@dataclass(frozen=True, eq=False)
class Cut:
    """The model in stages: what each does, and what all rest on."""

    layout: Layout
    stages: list[Stage]
    made: Made

    @property
    def row(self) -> tuple[Stage, ...]:
        """The ends and the layers one by one, in order, on one stage."""
        made, again = self.made, self.made.again
        layers = made.layers if again is None else (*made.layers[:again], *made.whole[again:])
        return (made.ends[0], *layers, made.ends[1])

    @property
    def ranks(self) -> list[list[Stage]]:
        """The stages that each rank has."""
        return [[self.stages[stage] for stage in held] for held in self.layout.stages]


def cut(
    work: Training,
    how: Execution,
    machine: Hardware,
    joined: Fabric,
    kernel: Any,
    given: float | None,
    known: Known,
) -> Cut:
    """The stages of a legal execution; `InputError` with the reasons where it is none."""
    check_maps(work, how)
    divided = share(how, Sizes.of(work.model.network))
    found = made(work, how, machine, joined, kernel, given, known)
    layout = layout_of(how.pipeline, how.pp, how.vp) if how.pp > 1 else layout_of("1f1b", 1)
    held = divided.layers if how.pp > 1 else (len(found.layers),)
    held = held if how.layers else beside_modules(held, found.modules)
    apart = how.vocabulary == "stages"
    if apart and found.modules:
        raise CoverageError(
            f"{work.name}: vocabulary: of stages that share it modules that predict further tokens"
            " are not modelled; mtp=0 leaves them out"
        )
    stages = passes.streams(found.chained(held, apart=apart), work, how)
    return Cut(layout, stages * layout.chains, found)


def made(
    work: Training,
    how: Execution,
    machine: Hardware,
    joined: Fabric,
    kernel: Any,
    given: float | None,
    known: Known,
) -> Made:
    """Layers and ends of an execution, whatever its pipeline; `given` is kernels' efficiency."""
    replicas = how.dp if how.zero == 3 or work.optimizer in optimizers.PRODUCTS else None
    key = (*shared(work, how), how.recompute, how.recompute_layers, how.dispatch)
    key = (*key, how.overlap, replicas, given)
    if key in known.made:
        return known.made[key]
    network = work.model.network
    numbers = sorted(number for group in network.layers for number in group.numbers)
    if numbers != list(range(network.depth)):
        raise CoverageError(
            f"{work.name}: a model whose layers are one row is expected; steps of training of"
            " encoders with decoders are not modelled"
        )
    runs = _runs(work, how, machine, given)
    found = remembered(work, how, machine, kernel, runs, known)
    kept = how.but(recompute="none", recompute_layers=None)  # ends are never computed again

    def passed(again: Execution) -> list[Stage]:
        """What each piece takes where layers compute so much again."""
        several_of = [*zip(found.pieces, found.seconds, strict=True)]
        each_of = [
            layer(
                *(each, took, again if place >= ENDS else kept, joined, runs),
                graphed=graphed(work) or runs.ahead,
                gradient_bytes=work.kept.gradient_bytes,
            )
            for place, (each, took) in enumerate(several_of)
        ]
        if runs.ahead and not graphed(work):
            each_of = paced(each_of, found.pieces, found.times, runs.launch_s)
        if not work.backwards:
            pairs = zip(each_of, several_of, strict=True)
            each_of = [passes.forward_alone(stage, *each) for stage, each in pairs]
        return each_of[:ENDS] + [
            optimizers.updated(stage, each, took, how)
            for stage, each, took in zip(each_of[ENDS:], found.updates, found.updated, strict=True)
        ]

    def by_layer(several: Sequence[Stage]) -> tuple[Stage, ...]:
        """Layer by layer, in order."""
        kinds = zip(network.layers, several[-len(network.layers) :], strict=True)
        by_number = {n: stage for group, stage in kinds for n in group.numbers}
        return tuple(by_number[n] for n in range(network.depth))

    each_of = passed(how)
    whole = each_of if how.recompute_layers is None else passed(kept)
    several = [*zip(found.times, found.pieces, strict=True)]
    vocabulary = Sizes.of(network).vocabulary
    logits = how.micro_batch * work.sequence // how.cp * vocabulary / how.tp
    wide = 0 if work.loss == "fused" else KEPT_LOGIT_BYTES
    behind = [end(each_of[1], logits * wide)]
    for _ in range(found.modules):
        behind += [whole[ENDS], end(whole[ENDS + 1], logits * wide)]
    known.made[key] = Made(
        ends=(end(each_of[0], 0.0), summed(behind)),
        layers=by_layer(each_of),
        whole=by_layer(whole),
        again=how.recompute_layers,
        modules=found.modules,
        flops=sum(times * each.flops for times, each in several),
        least_flops=sum(times * each.least_flops for times, each in several),
        logits=logits * (1 + found.modules),
        interval=runs.interval,
        assumptions=(runs.source, *_launched(work, runs, found.run.assumptions)),
        warnings=(*found.run.warnings, *left_out(network), *_wide(found)),
    )
    return known.made[key]


def _launched(work: Training, runs: Software, told: Sequence[str]) -> tuple[str, ...]:
    """What kernels rest on, with what a host takes to launch them where no graph replays them."""
    if graphed(work) or not runs.launch_s:
        return tuple(told)
    host = f"a host launches each in {runs.launch_s * 1e6:.0f} us, and no pass is shorter than that"
    return tuple(
        text.replace(GRAPHED, "kernels by themselves").replace(NO_HOST, host) for text in told
    )


def _wide(found: Alone) -> tuple[str, ...]:
    """What is told of attention whose backward pass no library has."""
    if not any(kernel.library for piece in found.pieces for kernel in piece.kernels):
        return ()
    return (
        f"training: attention of heads wider than {WIDEST} has no fused backward pass here: taken"
        f" for {BACKWARD:g} forward passes, as it has {BACKWARD:g} times the products",
    )


def _runs(work: Training, how: Execution, machine: Hardware, given: float | None) -> Software:
    name = named(how.zero, Sizes.of(work.model.network).maps)
    on = machine.name, machine.architecture
    runs = software(name, *on, work.format, together=work.async_tp)
    return runs if given is None else replace(runs, share=given, source=f"training: share {given}")


def always(rank: Sequence[Stage], how: Execution, work: Training) -> States:
    """Bytes that a device of a rank holds in all steps alike."""
    options: dict[str, Any] = {"zero": how.zero, "kept": work.kept}
    options["gathered"] = how.pp > 1
    largest = max(stage.largest for stage in rank)
    replicas = how.dp * how.cp
    rest = sum(s.frozen for s in rank)
    parameters = rest + sum(s.dense + s.experts for s in rank)
    still: dict[str, Any] = {"zero": how.zero, "gathered": how.pp > 1, "largest": largest}
    largest_one = 0 if work.backwards else max(tensors(work, how))
    moved = moving(parameters, largest_one, work.backwards)
    if not work.backwards:
        return frozen(parameters, replicas, **still) + moved
    moved += States(0.0, 0.0, sum(s.factor_bytes for s in rank))
    dense = states(sum(s.dense for s in rank), replicas, largest=largest, **options) + moved
    if rest:
        return dense + frozen(rest, replicas, **still)
    return dense + states(sum(s.experts for s in rank), how.expert_dp, **options)
