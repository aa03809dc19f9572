"""Cascades: which search answers for a cascade on memories, buffers and arrays.

one Einsum, a memory and buffers      tiles     exact in `uniform` and `divisors`
one Einsum, an array of elements      levels    exact in its mapspaces
several Einsums                       fuse      exact in `uniform` and `divisors`; `pinned`
several Einsums, deeper, not traffic  levels    of `mappers.fusion`: best found, with its gap
several Einsums, fusion declined      unfused   every Einsum by itself
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Workload, lone
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import rules_named
from hwmodel.machines.spatial.view import view
from hwmodel.mappers.fusion.apart import apart
from hwmodel.mappers.fusion.compare import Compared, compare
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.fusion.levels import fuse_levels, fused_floor
from hwmodel.mappers.fusion.parts import over_parts
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.certify import check_kind, is_deep
from hwmodel.mappers.nests.costs import any_schedule
from hwmodel.mappers.nests.front import front
from hwmodel.mappers.nests.levels import front_levels, map_levels
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.mappers.nests.unfused import map_unfused
from hwmodel.quantity.errors import CoverageError

FUSED_S = 20.0
"""Seconds that a fused cascade on more than two memories may take, where nothing is asked."""


def map_nests(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str | None = None,
    rules: str = "overlap",
    double: bool = False,
    shares: Mapping[str, Sequence[str]] | None = None,
    fused: bool = True,
    time_limit_s: float | None = None,
) -> Proposal:
    """The best loop nest that the search in charge finds.

    `mapspace` None takes the search's own default; `time_limit_s` is the seconds that the search on
    an array, or of a fused cascade, may take. Raises `CapacityError` where nothing fits,
    `CoverageError` naming what no search covers, `UnknownNameError` for names.
    """
    single, deep = len(cascade.einsums) == 1, is_deep(hardware, shares)
    buffers = double or bool(shares)
    if (buffers and (deep or (fused and not single))) or (deep and not (single or fused)):
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: expected one Einsum on a memory and buffers for"
            " tiles kept twice and tensors with buffers of their own, and on deeper machines one"
            " Einsum, or a fused cascade's traffic at the outermost memory"
        )
    asked: dict[str, Any] = {"objective": objective, "capacities": capacities}
    asked |= {"rules": rules_named(rules)} | ({} if mapspace is None else {"mapspace": mapspace})
    if deep and single:
        return map_levels(cascade, hardware, time_limit_s=time_limit_s, **asked)
    if time_limit_s is not None and (single or not fused):
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: expected a fused cascade, or one Einsum on several"
            " memories or an array for a time limit; other searches end when they are done, leave"
            " it out"
        )
    if single:
        return map_tiles(cascade, hardware, double=double, shares=shares, **asked)
    if not fused:
        return map_unfused(cascade, hardware, double=double, shares=shares, **asked)
    work, told = apart(cascade)
    if told:
        found = _fused(work, hardware, deep, time_limit_s, asked)
        _, least, why = any_schedule(cascade, hardware, objective)
        notes = (*found.notes, *told)
        return replace(found, work=found.work or work, bound=(least, why), notes=notes)
    return _fused(cascade, hardware, deep, time_limit_s, asked)


def _fused(
    cascade: Cascade,
    hardware: Hardware,
    deep: bool,
    time_limit_s: float | None,
    asked: Mapping[str, Any],
) -> Proposal:
    """The best fused tree of several Einsums that each input enters in one way."""
    objective = asked["objective"]
    if deep and objective != "traffic":
        limit_s = FUSED_S if time_limit_s is None else time_limit_s

        def inside(work: Cascade, below: float, deadline_s: float) -> Proposal:
            return fuse_levels(work, hardware, deadline_s=deadline_s, **asked)

        told: dict[str, Any] = {"time_limit_s": limit_s, "first_s": limit_s / 3}
        told["floor"] = partial(fused_floor, hardware=hardware, objective=objective)
        return over_parts(inside, cascade, hardware, objective=objective, **told)

    def whole(work: Cascade, below: float, deadline_s: float) -> Proposal:
        return fuse(work, hardware, below=below, deadline_s=deadline_s, **asked)

    return over_parts(whole, cascade, hardware, objective=objective, time_limit_s=time_limit_s)


def map_front(
    cascade: Workload, hardware: Hardware, *, mapspace: str | None = None, rules: str = "overlap"
) -> tuple[NestMapped, ...]:
    """All mappings of one Einsum that no other beats in both of two objectives.

    On a memory and a buffer these are traffic and bytes held, on deeper ones energy and latency.
    """
    space: dict[str, Any] = {} if mapspace is None else {"mapspace": mapspace}
    check_kind(hardware)
    cascade, hardware = view(_alone(cascade, "a front"), hardware)
    if len(cascade.einsums) != 1:
        raise CoverageError(
            f"{cascade.name}: expected one Einsum for a front, found {len(cascade.einsums)}; map"
            " each by itself, or the cascade without a front"
        )
    search = front_levels if is_deep(hardware) else front
    return search(cascade, hardware, rules=rules_named(rules), **space)


def _alone(workload: Workload, what: str) -> Cascade:
    """The cascade that a workload is; refuses a network of several."""
    cascade = lone(workload)
    if cascade is None:
        raise CoverageError(
            f"{workload.name}: expected one cascade for {what}, found a network of"
            f" {len(workload.stages)} stages; ask of .stages[i].cascade"
        )
    return cascade


def map_forms(
    cascade: Workload, hardware: Hardware, *, mapspace: str = "uniform"
) -> tuple[Compared, ...]:
    """A cascade with a softmax in its forms of one, two and three passes, least traffic first.

    Raises `CoverageError` where there is no such softmax, without bands.
    """
    check_kind(hardware)
    answers = compare(*view(_alone(cascade, "forms"), hardware), mapspace=mapspace)
    if len(answers) == 1:
        raise CoverageError(
            f"{cascade.name}: expected a softmax between two sums over one rank, with its maximum,"
            " and no mask; found none, so there is no other form to compare with"
        )
    return answers
