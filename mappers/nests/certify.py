"""Certify: a mapper asked for a loop nest, which is counted anew and gets its certificate.

The machine is seen as `hwmodel.machines.spatial.view` shows it. Everything that is said of the
nest, its bytes, seconds and joules, is worked out by `costs`, whatever the mapper promised.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.attention_shape import attention
from hwmodel.einsum.cascade import Cascade, Rank
from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import unheard
from hwmodel.machines.spatial.area import area_of
from hwmodel.machines.spatial.asking import needed
from hwmodel.machines.spatial.projection import projections
from hwmodel.machines.spatial.view import view
from hwmodel.mappers.mapper import Proposal, only_cascade, proposed
from hwmodel.mappers.nests.costs import OBJECTIVES, any_schedule, check_objective, cost
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.spine.mapping import Mapping as LoopNest


def certified(
    mapper: Callable[..., Proposal],
    workload: Workload,
    hardware: Hardware,
    *,
    objective: str = "traffic",
    shares: Mapping[str, Sequence[str]] | None = None,
    **options: Any,
) -> Any:
    """What a mapper proposes for a cascade on memories, buffers and arrays, with its certificate.

    That is a `NestMapped`; of seconds or joules of attention on arrays with a binding, the best of
    all bindings (`mappers.bindings`). `options` go to the mapper, as does `shares` (tensors by
    buffer) where it is given. Raises `CoverageError` for other machines and workloads, and what the
    mapper and the nest's counts raise, such as `CapacityError` where a tile does not fit.
    """
    check_objective(objective)
    check_kind(hardware)
    cascade = only_cascade(workload, hardware, check_accesses)
    started_s = time.perf_counter()
    seen, machine = view(cascade, hardware)
    _check_one(machine)
    left_out = [name for name in hardware.memories if name not in machine.memories]
    notes = [f"mapping and bound leave out {', '.join(left_out)}"] if left_out else []
    notes += unheard(hardware) if objective != "traffic" else ()
    alone = len(seen.einsums) > 1 and (bool(left_out) or is_deep(machine, shares))
    if alone and objective != "traffic":
        if hardware.binding and attention(cascade) is not None and not options and not shares:
            from hwmodel.mappers import bindings  # which predicts, as this module does not

            return bindings.certified(cascade, hardware, objective=objective)
        if left_out:
            raise CoverageError(
                f"{seen.name} on {machine.name}: expected objective 'traffic' for several Einsums"
                f" on a machine with a binding, whose outermost boundary alone is searched; found"
                f" {objective!r}; hw.predict says time and joules of a binding"
            )
        alone = False
    if alone:
        notes.append(
            "time and joules are null: the outermost boundary alone was searched, not what runs on"
            " which elements; hw.predict says both for a machine with a binding"
        )
    given = {"shares": shares} if shares else {}
    found = proposed(mapper, seen, machine, objective=objective, **given, **options)
    said = replace(found, notes=(*found.notes, *notes))
    chip = area_of(hardware).m2
    told: dict[str, Any] = {"timed": not alone, "area_m2": None if chip is None else float(chip)}
    return certify(seen, machine, said, objective=objective, started_s=started_s, **told)


def _check_one(hardware: Hardware) -> None:
    """Raises `InputError` for numbers that are arrays: a nest is of one machine."""
    records = (*hardware.memories.values(), *hardware.arrays.values(), *hardware.units.values())
    told: list[Any] = [hardware.clock_hz, hardware.power.idle_w]
    for record in records:
        for name in type(record).model_fields:
            given: Any = getattr(record, name)
            told += given.values() if isinstance(given, dict) else [given]
    several = [int(np.size(value)) for value in told if np.ndim(value)]
    if several:
        raise InputError(
            f"{hardware.name}: expected one point to map, found an array of {several[0]}; a sweep"
            " walks machines one by one where its axis is marked by hw.each"
        )


def certify(
    cascade: Cascade,
    hardware: Hardware,
    proposal: Proposal,
    *,
    objective: str,
    started_s: float,
    timed: bool = True,
    area_m2: float | None = None,
) -> NestMapped:
    """Count a proposal anew; `started_s` is `time.perf_counter()` when its search began."""
    nest = proposal.choice
    if not isinstance(nest, LoopNest):
        raise InputError(
            f"{cascade.name} on {hardware.name}: expected a loop nest"
            f" (hwmodel.spine.mapping.Mapping) as a proposal's choice, found {shown(nest)}"
        )
    chosen = proposal.work is not None
    cascade = proposal.work or cascade
    costs = cost(cascade, hardware, nest, proposal.rules)
    least, general, why = any_schedule(cascade, hardware, objective, costs.counts)
    value, unit = costs.value(objective), OBJECTIVES[objective]
    fixed = replace(proposal, given=(*proposal.given, *fixed_by(cascade, nest, chosen)))
    took_s = time.perf_counter() - started_s
    return NestMapped(
        certificate=fixed.certificate(objective, unit, value, (general, why), took_s),
        mapping=nest,
        costs=costs,
        rules=proposal.rules,
        least=least,
        cascade=cascade,
        hardware=hardware,
        notes=proposal.notes,
        timed=timed,
        area_m2=area_m2,
    )


def check_accesses(cascade: Cascade) -> None:
    """Raises `CoverageError` for indices whose tiles are not known beforehand."""
    for einsum in cascade.einsums:
        projections(einsum, cascade, bands=len(cascade.einsums) > 1)


def is_deep(hardware: Hardware, shares: Mapping[str, Sequence[str]] | None = None) -> bool:
    """Whether there is more than a memory and buffers beside each other."""
    return bool(hardware.arrays) or (len(hardware.memories) > 2 and not shares)


def check_kind(hardware: Hardware) -> None:
    """Raises `CoverageError` for a machine that runs no loop nest."""
    if hardware.kind != "spatial":
        raise CoverageError(
            f"{hardware.name}: expected memories with buffers and arrays, such as peer-a2, for a"
            f" loop nest; found a machine of kind {hardware.kind!r}, whose mapper hw.map() chooses"
        )


def fixed_by(cascade: Cascade, nest: LoopNest, chosen: bool = False) -> tuple[str, ...]:
    """What no mapspace of loop nests chooses for a cascade: its partitions, and halos.

    A partitioned rank is walked in the parts that it is written in, or that were `chosen` (see
    `mappers.fusion.parts`). A tile of a window is fetched anew when one of its ranks moves on,
    though the tile before may have had a part of it, or all; but for nests whose windows slide.
    """
    parts: dict[str, list[Rank]] = {}
    for rank in cascade.ranks.values():
        if rank.parent is not None:
            parts.setdefault(rank.parent, []).append(rank)
    told = "the best that divide it, or an eighth more" if chosen else "as it is written"
    words = [
        f"{parent} in parts {' x '.join(r.name for r in ranks)} of"
        f" {' x '.join(f'{r.size:g}' for r in ranks)}, {told}"
        for parent, ranks in parts.items()
        for ranks in (sorted(ranks, key=lambda rank: -rank.part),)
    ]
    windowed = any(
        len(index.terms) > 1
        for einsum in cascade.einsums
        for access in einsum.reads
        for index in access.indices
    )
    if windowed and not needed(cascade, nest.nest):
        words.append("a tile of a window fetched anew whenever one of its ranks moves on")
    return tuple(words)
