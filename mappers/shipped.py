"""Shipped: which mapper answers for which kind of machine, and who counts what it proposes.

A user's mapper takes the place of ours; its proposals are counted, and certified, by the same
function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.formats import natural
from hwmodel.machines.spatial.zeros import check_zeros
from hwmodel.mappers.mapper import Mapped, Mapper, name_of
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown


@dataclass(frozen=True)
class Kind:
    """How machines of one kind are mapped; functions are named, and loaded when they are needed.

    Attributes:
        mapper: ours; its keywords beside `objective` and `capacities` are what a user may ask.
        certified: asks a mapper, counts its proposal anew and certifies it.
        objectives: what can be minimised, the first where nothing is asked.
    """

    mapper: str
    certified: str
    objectives: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "spatial": Kind(
        mapper="cascades:map_nests",
        certified="nests.network:certified",
        objectives=("traffic", "energy", "latency", "edp"),
    ),
    "gpu": Kind(
        mapper="gpu_tiles:map_launches",
        certified="gpu_tiles:certified",
        objectives=("latency",),
    ),
    "fpga": Kind(
        mapper="reuse:map_reuse",
        certified="reuse:certified",
        objectives=("latency",),
    ),
    "mcu": Kind(
        mapper="patches:map_patches",
        certified="patches:certified",
        objectives=("latency", "energy", "traffic", "sram"),
    ),
}
"""Kind of machine -> how it is mapped."""

FIXED = ("objective", "capacities")


def mapped(
    workload: Any,
    hardware: Hardware,
    *,
    mapper: Mapper | None = None,
    objective: str | None = None,
    **options: Any,
) -> Mapped:
    """The answer of the machine's mapper, or of the user's, with its certificate.

    `options` are those of our mapper; what is None, or as if nothing was asked, is left to it.
    Raises `CoverageError` for a kind of machine without a mapper, `UnknownNameError` for an
    objective, `InputError` for options that the mapper does not have.
    """
    if hardware.kind not in KINDS:
        raise CoverageError(
            f"{hardware.name}: expected a machine of kind {', '.join(KINDS)} to map on, found kind"
            f" {hardware.kind!r}"
        )
    workload = natural(workload, hardware)
    check_zeros(workload, hardware)
    kind = KINDS[hardware.kind]
    if objective is not None and objective not in kind.objectives:
        raise UnknownNameError("objective", objective, kind.objectives)
    ours = _load(kind.mapper)
    asked = {name: value for name, value in options.items() if value is not None}
    chosen, known = ours, _options(ours)
    if mapper is not None:
        if not callable(mapper):
            raise InputError(f"map: mapper: expected a function, found {shown(mapper)}")
        chosen, known = mapper, ()
    for name in asked:
        if name not in known:
            listed = ", ".join(known) or "no options beside the objective"
            if name == "kernel" and "mapspace" in known:
                listed += f"; for a dataflow, mapspace={shown(asked[name])}"
            raise InputError(
                f"{hardware.name}: {name}: mapper {name_of(chosen)} of a machine of kind"
                f" {hardware.kind!r} takes {listed}"
            )
    certified = _load(kind.certified)
    return certified(chosen, workload, hardware, objective=objective or kind.objectives[0], **asked)


def _options(mapper: Any) -> tuple[str, ...]:
    keywords = (p.name for p in signature(mapper).parameters.values() if p.kind is p.KEYWORD_ONLY)
    return tuple(name for name in keywords if name not in FIXED)


def _load(name: str) -> Any:
    module, function = name.split(":")
    return getattr(import_module(f"hwmodel.mappers.{module}"), function)
