"""Network: many cascades one after the other on memories and arrays, each mapped at its best.

`predict` and `map` answer from the same nests. Layers share nothing, so the sum of the best is the
best of the sums where layers are not fused with one another; those of equal form are mapped once.
Of energy times time, with E and T of each layer of which b is the least product,

    (sum of E) (sum of T) >= (sum of sqrt(E T))^2 >= (sum of sqrt(b))^2

by Cauchy and Schwarz. A limit of time is that of all searches together: each layer has its share of
what is left, so that layers which are soon proven leave theirs to those after them.

Units: bytes, joules, seconds.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Workload, lone
from hwmodel.einsum.pairwise import chained
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.boxes import alone
from hwmodel.mappers.mapper import Mapped, Proposal, only_cascade
from hwmodel.mappers.nests import certify
from hwmodel.mappers.nests.costs import OBJECTIVES, check_objective
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import CapacityError, CoverageError, SolverError
from hwmodel.quantity.units import Amount, show
from hwmodel.show.json import plain
from hwmodel.spine.certificate import Certificate
from hwmodel.text.grid import grid

NEST_S, NETWORK_S = 20.0, 60.0
"""Seconds that the searches for one cascade, and for all of a network, may take unsaid."""
LEAST_S = 0.05
"""And those that a search has when there is no time left."""


@dataclass(frozen=True)
class Layer:
    """One mapping of a network, which runs `times` in a row.

    `searched`: for it, and not for one of its form before; `note`: why it is not fused.
    """

    name: str
    times: Amount
    mapped: Any
    searched: bool
    note: str = ""

    @property
    def time_s(self) -> float:
        """Seconds of one run."""
        own = self.mapped
        return float(own.costs.time_s if isinstance(own, NestMapped) else own.time_s)

    @property
    def energy_j(self) -> float:
        """Joules of one run."""
        own = self.mapped
        return float(own.costs.energy_j if isinstance(own, NestMapped) else own.energy_j)

    def record(self) -> dict[str, Any]:
        """What it takes, and how good that is."""
        proof, nest = self.mapped.certificate, isinstance(self.mapped, NestMapped)
        return plain(
            {
                "layer": self.name,
                "times": self.times,
                "time_s": self.time_s,
                "energy_j": self.energy_j,
                "traffic_bytes": self.mapped.traffic_bytes if nest else None,
                "utilisation": self.mapped.utilisation if nest else None,
                "value": proof.value,
                "mapspace_gap": proof.mapspace_gap,
                "gap_to_bound": proof.gap_to_bound,
                "solve_time_s": proof.solve_time_s if self.searched else 0.0,
                "loop_nest": str(self.mapped.mapping).splitlines() if nest else [],
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class NetworkMapped(Mapped):
    """The mappings of a network's layers, in order, and the proof of their sum."""

    name: str
    machine: str
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()

    @property
    def time_s(self) -> float:
        """Seconds of all layers."""
        return sum(float(layer.times) * layer.time_s for layer in self.layers)

    @property
    def energy_j(self) -> float:
        """Joules of all layers."""
        return sum(float(layer.times) * layer.energy_j for layer in self.layers)

    def record(self) -> dict[str, Any]:
        """The certificate of the whole, and each layer."""
        layers = [layer.record() for layer in self.layers]
        whole = {"cascade": self.name, "machine": self.machine, **self.certificate.record()}
        both = {"time_s": self.time_s, "energy_j": self.energy_j}
        return {**whole, **both, "layers": layers, "notes": list(self.notes)}

    def __str__(self) -> str:
        """What all layers take, a row for each, and the certificate."""
        head = (
            f"{self.name} on {self.machine}: {len(self.layers)} layers one after the other,"
            f" {show(self.time_s, 's')}, {show(self.energy_j, 'j')}"
        )
        rows = grid(
            ("layer", "runs", "time", "energy", "works", "gap", "to any schedule", "searched"),
            [_row(layer) for layer in self.layers],
            left=(0,),
        )
        proof = self.certificate
        text = (
            f"objective  {proof.objective}, {proof.value:.6g} {proof.unit}\n"
            f"mapspace   {proof.words}; {proof.candidates:,} candidates in"
            f" {show(proof.solve_time_s, 's')}\n"
            f"bound      {proof.bound:.6g} {proof.unit} for any schedule of each layer, a gap of"
            f" {proof.gap_to_bound:.1%}"
        )
        notes = "".join(f"\nnote       {note}" for note in self.notes)
        return "\n\n".join((head, rows, text + notes))


def certified(
    mapper: Callable[..., Proposal],
    workload: Workload,
    hardware: Hardware,
    *,
    objective: str = "traffic",
    time_limit_s: float | None = None,
    **options: Any,
) -> Any:
    """What a mapper proposes, with its certificate: of a cascade a nest, of a network one a layer.

    Arguments as those of `certify.certified`; without a limit a network has `NETWORK_S` seconds.
    """
    cascade = lone(workload)
    if cascade is not None:
        limited = {} if time_limit_s is None else {"time_limit_s": time_limit_s}
        own: dict[str, Any] = {**limited, **options}
        try:
            return certify.certified(mapper, cascade, hardware, objective=objective, **own)
        except CoverageError:
            if options or hardware.kind != "spatial" or hardware.binding or not _apart(cascade):
                raise
    check_objective(objective)
    certify.check_kind(hardware)
    stages = [stage for stage in chained(workload) if stage.cascade.einsums]
    if not stages or hardware.binding or any(map(_refused, stages)):
        only_cascade(workload, hardware, certify.check_accesses)  # which says what can be mapped
    started_s = time.perf_counter()
    limit_s = NETWORK_S if time_limit_s is None else time_limit_s
    found = layers(mapper, stages, hardware, objective=objective, time_limit_s=limit_s, **options)
    every = tuple(layer for each in found for layer in each)
    took_s = time.perf_counter() - started_s
    notes = tuple(dict.fromkeys(layer.note for layer in every if layer.note))
    proof = _summed(every, objective, took_s)
    return NetworkMapped(proof, workload.name, hardware.name, every, notes)


def _refused(stage: Stage) -> bool:
    """Whether a stage is of several devices or sizes, or gathers by value."""
    try:
        certify.check_accesses(stage.cascade)
    except CoverageError:
        return True
    return stage.collective is not None or bool(np.ndim(stage.times))


def layers(
    mapper: Callable[..., Proposal],
    stages: Sequence[Stage],
    hardware: Hardware,
    *,
    objective: str,
    time_limit_s: float = math.inf,
    split: bool = False,
    **options: Any,
) -> list[list[Layer]]:
    """The mappings of each stage, in order: one of its cascade, or with `split` of each Einsum."""
    deadline_s = time.perf_counter() + time_limit_s
    works = [_works(stage.cascade, hardware, split) for stage in stages]
    known: dict[str, Any] = {}
    left = len({_form(work) for each in works for work in each})
    found: list[list[Layer]] = []
    for stage, each in zip(stages, works, strict=True):
        found.append([])
        todo, note = list(each), ""
        while todo:
            work = todo.pop(0)
            form = _form(work)
            searched = form not in known
            if searched:
                share_s = (deadline_s - time.perf_counter()) / left
                limited = _limited(work, hardware, min(NEST_S, max(LEAST_S, share_s)))
                own: dict[str, Any] = {"objective": objective, **limited, **options}
                if len(stages) > 1 and not _flows(work):
                    own.pop("mapspace", None)
                try:
                    known[form] = _found(mapper, work, hardware, own)
                except (CapacityError, CoverageError) as error:
                    if isinstance(error, CoverageError) and not options and _apart(work):
                        todo, note = [alone(e, work) for e in work.einsums], f"not fused: {error}"
                        continue
                    if len(stages) == 1:
                        raise
                    told = f"layer {stage.name}: {error}; map others by themselves"
                    raise type(error)(told) from None
                left = max(1, left - 1)
            several = len(each) > 1 or bool(note)
            name = f"{stage.name}.{work.outputs[0]}" if several else stage.name
            found[-1].append(Layer(name, stage.times, known[form], searched, note))
    return found


def _found(
    mapper: Callable[..., Proposal], work: Cascade, hardware: Hardware, asked: dict[str, Any]
) -> Any:
    """The mapping of one cascade; where no tree is found in its share, in that of a nest alone."""
    try:
        return certify.certified(mapper, work, hardware, **asked)
    except SolverError:
        asked = {**asked, "time_limit_s": NEST_S}
        return certify.certified(mapper, work, hardware, **asked)


def _flows(work: Cascade) -> bool:
    """Whether a dataflow is of such work: what sums products of two tensors."""
    (einsum, *others) = work.einsums
    return not others and bool(einsum.reductions) and len({a.tensor for a in einsum.reads}) == 2


def _apart(cascade: Cascade) -> bool:
    """Whether Einsums of a cascade that is not fused can run one after the other."""
    running = any(rank.iterative and rank.size != 1 for rank in cascade.ranks.values())
    return len(cascade.einsums) > 1 and not running


def _works(cascade: Cascade, hardware: Hardware, split: bool) -> list[Cascade]:
    """The cascades that are mapped by themselves."""
    if len(cascade.einsums) == 1 or not split:
        return [cascade]
    if any(rank.iterative and rank.size != 1 for rank in cascade.ranks.values()):
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: expected Einsums that run one after the other"
            " by a dataflow, found one that is recurrent; leave the dataflow"
            " out, or take a form without running sums, such as attention with passes=3"
        )
    return [alone(einsum, cascade) for einsum in cascade.einsums]


def _limited(work: Cascade, hardware: Hardware, limit_s: float) -> dict[str, float]:
    """The limit of a search that takes one; those of tiles on two memories end by themselves."""
    searched = certify.is_deep(hardware) or len(work.einsums) > 1
    return {"time_limit_s": limit_s} if searched else {}


def _form(work: Cascade) -> str:
    """What a mapping depends on: all but the cascade's name."""
    return repr((*work.ranks.items(), *work.tensors.items(), work.einsums, work.initials))


def _summed(found: Sequence[Layer], objective: str, took_s: float) -> Certificate:
    """The certificate of all layers together."""
    proofs = [(float(each.times), each.mapped.certificate, each) for each in found]
    if objective == "edp":
        value = sum(n * each.energy_j for n, _, each in proofs)
        value *= sum(n * each.time_s for n, _, each in proofs)
        least, bound = (
            sum(n * math.sqrt(getattr(proof, name)) for n, proof, _ in proofs) ** 2
            for name in ("mapspace_bound", "bound")
        )
    else:
        value, least, bound = (
            sum(n * getattr(proof, name) for n, proof, _ in proofs)
            for name in ("value", "mapspace_bound", "bound")
        )
    given = dict.fromkeys(text for _, proof, _ in proofs for text in proof.given)
    return Certificate(
        objective=objective,
        unit=OBJECTIVES[objective],
        value=value,
        mapspace=" + ".join(dict.fromkeys(proof.mapspace for _, proof, _ in proofs)),
        mapspace_bound=least,
        bound=bound,
        bound_reason="the sum of each layer's",
        candidates=sum(proof.candidates for _, proof, each in proofs if each.searched),
        solve_time_s=took_s,
        given=("layers one after the other, none fused with another", *given),
    )


def _row(layer: Layer) -> list[str]:
    proof, used = layer.mapped.certificate, getattr(layer.mapped, "utilisation", None)
    return [
        layer.name,
        f"{layer.times:g}",
        show(layer.time_s, "s"),
        show(layer.energy_j, "j"),
        "-" if used is None else f"{used:.1%}",
        "proven" if proof.optimal_in_mapspace else f"{proof.mapspace_gap:.2%}",
        f"{proof.gap_to_bound:.1%}",
        show(proof.solve_time_s, "s") if layer.searched else "as before",
    ]
