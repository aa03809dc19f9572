"""Specifications of Timeloop or AccelForge in `map`: machine, work and, where one is given, nest.

A mapping that is given is counted as it stands. Without one our own mapper searches, which lets
every tensor pass every memory: memories of an element that hold some tensors alone are one memory
there, of their bytes together, and what constraints say of loops and tensors is not kept. Both is
said in the answer.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.specification import child, read, tables
from hwmodel.einsum.importers.timeloop_problem import einsum_names, problem
from hwmodel.hardware.hardware import Array, Hardware, Memory
from hwmodel.hardware.timeloop import ELEMENTS, Architecture, architecture
from hwmodel.hardware.timeloop_keys import SECTIONS, SHAPE, Unread
from hwmodel.machines.spatial.timeloop import mapping
from hwmodel.machines.spatial.timeloop_sparsity import sparsity_of
from hwmodel.mappers.cascades import map_nests
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs

GIVEN = "all mappings, of which that of the files is counted"
PROBLEM = ("shape", "instance")
JOINED = "element"
"""The memory that stands for all of an element."""


def specified(
    files: Sequence[str], ranks: str | None, *, objective: str | None, **options: Any
) -> NestMapped:
    """The mapping of a specification's files, or the best that is found; raises as readers do.

    `ranks` are variables of templates, `NAME=NUMBER,...`.
    """
    specification = read(files, pairs(ranks, "--ranks") if ranks else {})
    found = architecture(specification)
    cascade = problem(specification, found.bits)
    found = thinned(found, cascade)
    found = replace(found, notes=(*found.notes, *unread(specification)))
    aim = objective or "traffic"
    if "mapping" in specification:
        for name, value in options.items():
            told = "expected none beside the files' own mapping, which is counted as it stands"
            raise InputError(f"map: {name}: {told}, found {shown(value)}")
        names = einsum_names(specification)
        nest = mapping(specification["mapping"], found, cascade, names)

        def given(workload: Any, hardware: Any, /, **_: Any) -> Proposal:
            return Proposal(nest, mapspace=GIVEN, notes=found.notes)

        return certified(given, cascade, found.hardware, objective=aim)
    machine, notes = searched(found)

    def ours(
        workload: Any,
        hardware: Any,
        /,
        *,
        objective: str,
        capacities: Mapping[str, Any],
        **more: Any,
    ) -> Proposal:
        proposed = map_nests(
            workload, hardware, objective=objective, capacities=capacities, **options, **more
        )
        return replace(proposed, notes=(*proposed.notes, *found.notes, *notes))

    return certified(ours, cascade, machine, objective=aim)


def unread(specification: Mapping[str, Any]) -> tuple[str, ...]:
    """Notes of sections, and of names in a problem, that change nothing."""
    found = Unread()
    found.look("specification", specification, SECTIONS)
    if "problem" in specification:
        shape, instance = (child(specification["problem"], n, "problem") for n in PROBLEM)
        found.look("problem: shape", shape, SHAPE)
        sized = [str(rank) for rank in shape["dimensions"]]
        sized += [str(each.get("name")) for each in tables(shape.get("coefficients"), "problem")]
        read = " ".join((*sized, "densities"))
        found.look("problem: instance", instance, {"read": read, "known": ""})
    return found.told()


def thinned(found: Architecture, cascade: Cascade) -> Architecture:
    """The machine with what it does about zeros, where tensors have any.

    Without a fan-out the innermost memory is that of one element.
    """
    dense = all(tensor.density is None for tensor in cascade.tensors.values())
    text, notes = sparsity_of(found, cascade)
    if dense:
        passed = ("no data space has a density: nothing is left out",) if found.sparse else ()
        return replace(found, notes=(*found.notes, *passed))
    machine = found.hardware.model_copy(update={"sparsity": text})
    if not machine.arrays:
        *_, nearest = machine.memories
        own = machine.memories[nearest].model_copy(update={"array": ELEMENTS})
        alone = {"arrays": {ELEMENTS: Array(rows=1, columns=1, multicast="tile")}}
        machine = machine.model_copy(
            update={**alone, "memories": {**machine.memories, nearest: own}}
        )
    if not text:
        notes = (*notes, "the machine says nothing of zeros: they are moved and multiplied")
    return replace(found, hardware=machine, notes=(*found.notes, *notes))


def searched(found: Architecture) -> tuple[Hardware, tuple[str, ...]]:
    """The machine as our mapper searches it, and what that changes."""
    machine = found.hardware
    notes: list[str] = []
    own = {name: memory for name, memory in machine.memories.items() if memory.array}
    limited = [each for each in found.levels if each.holds not in (None, "All")]
    if limited:
        told = ", ".join(each.name for each in limited)
        notes.append(f"any tensor may be in {told}: what constraints keep out is let in")
    if len(own) < 2:
        return machine, tuple(notes)
    kept = {name: memory for name, memory in machine.memories.items() if name not in own}
    notes.append(f"{', '.join(own)} are one memory of their bytes together, {JOINED}")
    memories = {**kept, JOINED: _joined(list(own.values()))}
    update: dict[str, Any] = {"memories": memories, "sparsity": _moved(machine.sparsity, own)}
    return machine.model_copy(update=update), tuple(notes)


def _moved(text: str, own: Collection[str]) -> str:
    """What a machine does about zeros, where memories of an element are one."""
    if not text:
        return ""
    said = json.loads(text)
    formats: dict[str, dict[str, str]] = {}
    for level, kept in said["formats"].items():
        formats.setdefault(JOINED if level in own else level, {}).update(kept)
    rules = {
        name: [
            {k: v for k, v in rule.items() if k != "out_of" or v not in own} for rule in said[name]
        ]
        for name in ("gates", "skips")
    }
    return json.dumps({**said, "formats": formats, **rules})


def _joined(memories: Sequence[Memory]) -> Memory:
    """One memory of all bytes, of the mean joules of a byte that is held."""
    total = sum(float(each.capacity_bytes) for each in memories)
    joules = sum(float(m.energy_j_per_byte) * float(m.capacity_bytes) for m in memories) / total
    return memories[0].but(
        capacity_bytes=total,
        energy_j_per_byte=joules,
        bandwidth_bytes_per_s=sum(float(each.bandwidth_bytes_per_s) for each in memories),
    )
