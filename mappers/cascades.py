"""Map: which mapper answers for which machine and cascade.

one Einsum, a memory and buffers      tiles     exact in `uniform` and `divisors`
one Einsum, an array of elements      levels    exact in its mapspaces
several Einsums                       fusion    exact in `uniform` and `divisors`; `pinned`
several Einsums, fusion declined      unfused   every Einsum by itself

A GPU's tiles are ranked by `gpu_tiles`, a microcontroller's patches chosen by `patches`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import unheard
from hwmodel.machines.spatial.rules import rules_named
from hwmodel.machines.spatial.view import view
from hwmodel.mappers.nests.answer import Mapped, answer, check_objective
from hwmodel.mappers.nests.front import front
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.mappers.nests.unfused import map_unfused
from hwmodel.quantity.errors import CoverageError

if TYPE_CHECKING:
    from hwmodel.mappers.fusion.reformulate import Compared

MAPPERS: Mapping[str, str] = {"nests.levels": "map_levels", "fusion.fuse": "fuse"}
"""Mappers loaded when they are needed: module of `hwmodel.mappers` -> its function."""


def map_cascade(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str = "traffic",
    mapspace: str | None = None,
    rules: str = "overlap",
    double: bool = False,
    shares: Mapping[str, Sequence[str]] | None = None,
    fused: bool = True,
) -> Mapped:
    """The best mapping that the mapper in charge finds, with its certificate.

    `mapspace` None takes the mapper's own default. Raises `CapacityError` where nothing fits,
    `CoverageError` naming what no mapper covers, `UnknownNameError` for names.
    """
    check_objective(objective)
    charged = rules_named(rules)
    space: dict[str, Any] = {} if mapspace is None else {"mapspace": mapspace}
    found: Mapped
    _check_kind(hardware)
    seen = view(cascade, hardware)
    left_out = [name for name in hardware.memories if name not in seen[1].memories]
    notes = [f"mapping and bound leave out {', '.join(left_out)}"] if left_out else []
    notes += unheard(hardware) if objective != "traffic" else ()
    cascade, hardware = seen
    single = len(cascade.einsums) == 1
    deep = bool(hardware.arrays) or (len(hardware.memories) > 2 and not shares)
    traffic_alone = not single and (bool(left_out) or deep)
    if traffic_alone:
        if objective != "traffic":
            raise CoverageError(
                f"{cascade.name} on {hardware.name}: expected objective 'traffic' for several"
                f" Einsums on arrays, whose outermost boundary alone is searched; found"
                f" {objective!r}; hw.predict says time and joules of a binding"
            )
        notes.append(
            "time and joules are null: the outermost boundary alone was searched, not what runs on"
            " which elements; hw.predict says both for a machine with a binding"
        )
    if not deep and (single or not fused):
        mapper = map_tiles if single else map_unfused
        space |= {"objective": objective, "rules": charged}
        found = mapper(cascade, hardware, double=double, shares=shares, **space)
        return _noted(found, notes, timed=not traffic_alone)
    if double or shares or (deep and not single and (objective != "traffic" or not fused)):
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: expected one Einsum on a memory and buffers for"
            " tiles kept twice and tensors with buffers of their own, and on deeper machines one"
            " Einsum, or a fused cascade's traffic at the outermost memory"
        )
    if single:
        found = _late("nests.levels")(
            cascade, hardware, objective=objective, rules=charged, **space
        )
        return _noted(found, notes)
    started_s = time.perf_counter()
    found = _late("fusion.fuse")(cascade, hardware, rules=charged, **space)
    if deep:
        notes.append(f"nothing is kept in {', '.join(list(hardware.memories)[2:])}")
    if _late("fusion.reformulate", "softmax_of")(cascade) is not None:
        notes.append("a softmax in three passes: its other forms are compared by `forms`")
    found = _noted(found, notes, timed=not traffic_alone)
    if objective == "traffic":
        return found
    # With one buffer, time and energy grow with bytes and operations alone: a tree that moves least
    # and computes nothing twice is the best for them too.
    # Tiles kept twice are steps of recurrent tensors, which move nothing.
    once = sum(found.costs.work.operations.values()) == sum(cascade_counts(cascade).values())
    proven = once and found.certificate.optimal_in_mapspace
    return answer(
        cascade,
        hardware,
        found.mapping,
        objective=objective,
        rules=charged,
        mapspace=found.certificate.mapspace,
        candidates=found.certificate.candidates,
        started_s=started_s,
        mapspace_bound=None if proven else 0.0,
        notes=found.notes,
    )


def _noted(found: Mapped, notes: Sequence[str], *, timed: bool = True) -> Mapped:
    return replace(found, notes=(*found.notes, *notes), timed=timed) if notes else found


def map_front(
    cascade: Cascade, hardware: Hardware, *, mapspace: str | None = None, rules: str = "overlap"
) -> tuple[Mapped, ...]:
    """All mappings of one Einsum that no other beats in both of two objectives.

    On a memory and a buffer these are traffic and bytes held, on deeper ones energy and latency.
    """
    space: dict[str, Any] = {} if mapspace is None else {"mapspace": mapspace}
    _check_kind(hardware)
    cascade, hardware = view(cascade, hardware)
    if len(cascade.einsums) != 1:
        raise CoverageError(
            f"{cascade.name}: expected one Einsum for a front, found {len(cascade.einsums)}; map"
            " each by itself, or the cascade without a front"
        )
    deep = bool(hardware.arrays) or len(hardware.memories) > 2
    mapper = _late("nests.levels", "front_levels") if deep else front
    return mapper(cascade, hardware, rules=rules_named(rules), **space)


def map_forms(
    cascade: Cascade, hardware: Hardware, *, mapspace: str = "uniform"
) -> "tuple[Compared, ...]":
    """A cascade with a softmax in its forms of one, two and three passes, least traffic first.

    Raises `CoverageError` where there is no such softmax, without bands.
    """
    _check_kind(hardware)
    answers = _late("fusion.reformulate", "compare")(*view(cascade, hardware), mapspace=mapspace)
    if len(answers) == 1:
        raise CoverageError(
            f"{cascade.name}: expected a softmax between two sums over one rank, with its maximum,"
            " and no mask; found none, so there is no other form to compare with"
        )
    return answers


def _check_kind(hardware: Hardware) -> None:
    if hardware.kind != "spatial":
        raise CoverageError(
            f"{hardware.name}: expected memories with buffers and arrays, such as peer-a2, for a"
            f" loop nest; found a machine of kind {hardware.kind!r}, whose mapper hw.map() chooses"
        )


def _late(name: str, function: str | None = None) -> Any:
    return getattr(import_module(f"hwmodel.mappers.{name}"), function or MAPPERS[name])
