"""Mapper: the one signature of what chooses, and the one kind of answer, with its certificate.

A mapper is any callable, ours or a user's:

    mapper(workload, hardware, *, objective, capacities) -> Proposal

It need not be believed. What it chose is counted anew by the model of the machine, which refuses
what does not fit, and the answer's certificate puts the value so found beside a bound that holds
for any schedule. What only the mapper can know, how much of its mapspace it has ruled out, it
claims in the proposal; a claim that the value contradicts is an error.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Workload, lone
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.quantity.errors import CoverageError, HwmodelError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.show.html import Notebook
from hwmodel.spine.certificate import Certificate


@dataclass(frozen=True)
class Proposal:
    """What a mapper chose, and what it claims of its search.

    Attributes:
        choice: what the machine is to do. On memories, buffers and arrays a loop nest
            (`hwmodel.spine.mapping.Mapping`); on a GPU `gpu_tiles.Launches`, on an FPGA
            `reuse.Factors`, on a microcontroller `patches.Patching`; of experts on devices the
            device of each, `(layers, experts)`.
        mapspace: name of the set that was searched; empty: the mapper's own name.
        candidates: members of it that were looked at.
        optimal: nothing in the mapspace is better, as the mapper has proven.
        expected: the value that the mapper counts on; another one is an error. None: none.
        least: least value that any member of it can have, as far as proven by the search; the
            certificate takes the bound for any schedule where that is higher, or where it is None.
        bound: a bound for any schedule that the mapper has proven, and the reason; None: the
            machine's general one.
        given: what the mapspace holds fixed.
        rules: how a loop nest's counts are charged.
        notes: what the answer is to say besides.
        work: the cascade that the choice is of, where its form was chosen too; None: as asked for.
        history: (elapsed seconds, value, bound) whenever one of them improved.
        interrupted: whether the user stopped the search.
    """

    choice: object
    mapspace: str = ""
    candidates: int = 1
    optimal: bool = False
    expected: float | None = None
    least: float | None = None
    bound: tuple[float, str] | None = None
    given: tuple[str, ...] = ()
    rules: Rules = OVERLAP
    notes: tuple[str, ...] = ()
    work: Cascade | None = None
    history: tuple[tuple[float, float, float], ...] = ()
    interrupted: bool = False

    def certificate(
        self, objective: str, unit: str, value: float, general: tuple[float, str], time_s: float
    ) -> Certificate:
        """What is proven of a value that was counted anew; `general` is the machine's own bound."""
        self._check(objective, unit, value)
        bound, reason = self.bound or general
        least = bound if self.least is None else max(bound, self.least)
        return Certificate(
            objective=objective,
            unit=unit,
            value=value,
            mapspace=self.mapspace,
            mapspace_bound=value if self.optimal else least,
            bound=bound,
            bound_reason=reason,
            candidates=self.candidates,
            solve_time_s=time_s,
            given=self.given,
        )

    def _check(self, objective: str, unit: str, value: float) -> None:
        """Bytes are counts, the same to the last one; seconds and joules may differ by rounding."""
        rounding = 0.0 if unit == "bytes" else 1e-9
        if self.expected is not None and not math.isclose(value, self.expected, rel_tol=rounding):
            raise HwmodelError(
                f"mapper of {self.mapspace}: it expects {objective} {self.expected:.15g} {unit},"
                f" its choice has {value:.15g}; one of the two is wrong\n{self.choice}"
            )


class Mapper(Protocol):
    """Chooses how a workload runs on a machine.

    `objective` is what to minimise, as the answer's certificate names it. `capacities` is what the
    choice may fill: bytes of one memory of each level, on an FPGA resources by name, of experts
    how many a device may hold of each layer. The hardware of experts is
    `placement.problem.Problem`: devices, what a transition between them costs, and what may stand
    where.
    """

    def __call__(  # noqa: D102
        self, workload: Any, hardware: Any, /, *, objective: str, capacities: Mapping[str, Any]
    ) -> Proposal: ...


@dataclass(frozen=True, eq=False, repr=False)
class Mapped(Notebook):
    """A mapper's answer, whatever the machine: what was chosen, in fields of its own, and proof."""

    certificate: Certificate

    @property
    def value(self) -> float:
        """What was minimised, counted anew, in the certificate's unit."""
        return self.certificate.value

    @property
    def bound(self) -> float:
        """The least value of any schedule."""
        return self.certificate.bound

    @property
    def gap(self) -> float:
        """(value - bound) / value."""
        return self.certificate.gap_to_bound

    def record(self) -> dict[str, Any]:
        """Every field, as JSON writes it."""
        return self.certificate.record()

    def __str__(self) -> str:
        """The value, and how good it is."""
        proof = self.certificate
        return (
            f"{proof.objective} {proof.value:.6g} {proof.unit}: {proof.words}; bound"
            f" {proof.bound:.6g} for any schedule, a gap of {proof.gap_to_bound:.1%}"
        )


def proposed(
    mapper: Callable[..., Proposal],
    workload: Any,
    hardware: Any,
    *,
    objective: str,
    capacities: Mapping[str, Any] | None = None,
    **options: Any,
) -> Proposal:
    """Ask a mapper; `capacities` are the machine's own where none are given.

    A proposal without a mapspace gets the mapper's name for one.
    """
    room = capacities_of(hardware) if capacities is None else capacities
    found: Any = mapper(workload, hardware, objective=objective, capacities=room, **options)
    if not isinstance(found, Proposal):
        raise InputError(
            f"mapper {name_of(mapper)}: expected a Proposal of hwmodel.mappers.mapper, found"
            f" {shown(found)}"
        )
    return found if found.mapspace else replace(found, mapspace=name_of(mapper))


LISTED = 8
"""Stages of a network that a refusal names."""


def only_cascade(
    workload: Workload, hardware: Hardware, check: Callable[[Cascade], object]
) -> Cascade:
    """The one cascade to map; `check` raises for those that the machine's mapper cannot take.

    Raises `CoverageError` for a network of several, which says the stages that can be mapped.
    """
    cascade = lone(workload)
    if cascade is not None:
        return cascade
    found: list[str] = []
    for place, stage in enumerate(workload.stages):
        if not stage.cascade.einsums:  # computes nothing, so that there is nothing to map
            continue
        try:
            check(stage.cascade)
        except HwmodelError:
            continue
        found.append(f"{place} ({stage.name})")
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    told = "none of its stages can be mapped"
    if found:
        listed = f"{', '.join(found[:LISTED])}{more}"
        told = f"map its stages one by one, .stages[i].cascade with i of {listed}"
    raise CoverageError(
        f"{hardware.name}: expected a cascade to map, found all of {workload.name}; {told}"
    )


def capacities_of(hardware: Hardware) -> dict[str, Any]:
    """Bytes of one memory of each level; of an FPGA its resources."""
    machine = limits(hardware)
    if hardware.kind == "fpga":
        return dict(machine.resources)
    return {
        level: size / machine.instances.get(level, 1)
        for level, size in machine.capacity_bytes.items()
    }


def name_of(mapper: Callable[..., Proposal]) -> str:
    """What an answer calls the mapspace of a mapper that has no name for it."""
    inner: Any = getattr(mapper, "func", mapper)  # of a partial
    return str(getattr(inner, "__name__", type(inner).__name__))
