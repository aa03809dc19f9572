"""The machine of a specification: Timeloop's `architecture` (0.4), or AccelForge's `arch`.

Nodes stand from the outermost memory inwards; what has a `spatial` fan-out stands, with all that
follows, in every element of an array; fan-outs within one another are arrays in every element of
the one around, a new one where a memory stands between or a third direction begins. The outermost
memory is `dram` here, the others keep their names in lower case. Timeloop leaves joules to
Accelergy: here memories and multiply-accumulates have those of `capacity_laws` at 45 nm or the node
that is said, DRAM what is published of its type; AccelForge's say them action by action, of
`bits_per_action` (one) each, and these count. An action's `latency` is the seconds of one, one
after another: a rate of its bits (or a `throughput` of bits/s), the slower of reads and writes.
What a specification does not say, such as a bandwidth, never binds. Keys that change nothing are
told (`timeloop_keys`).
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from hwmodel.einsum.importers.specification import child, number, plain_table, tables, whole
from hwmodel.hardware.capacity_laws import NODE, mac_j, mac_m2, memory_j_per_byte, memory_m2
from hwmodel.hardware.energy_tables import table
from hwmodel.hardware.hardware import (
    UNBOUNDED_BYTES,
    UNLIMITED_BYTES_PER_S,
    Array,
    Hardware,
    Memory,
    Processors,
    Unit,
)
from hwmodel.hardware.timeloop_actions import joules_of, per_s, positive, said_of, scaled
from hwmodel.hardware.timeloop_keys import ACTION, ATTRIBUTES, COMPONENT, TENSORS, Unread
from hwmodel.hardware.timeloop_keys import NODE as NODE_KEYS
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.yaml import KIND

OUTERMOST = "dram"
BITS = {"bits_per_action": 1}
COMPUTES = ""
RUN = "run"
"""Key of what a memory does about zeros: bits of a place, where its formats do not say them."""
ELEMENTS = "elements"
"""The array of the outermost fan-out; those inside of it have the names of their nodes."""
CLOCK_HZ = 1e9
"""Where nothing is said: a cycle is a nanosecond."""

FASTEST_HZ = 1e15
MESH = ("meshX", "meshY")
SIZES = {"sizeKB": 8 * 1024, "entries": 1}
"""A capacity that is not said in lines: bits of one, or (`entries`) words."""
COMPUTE = ("mac", "compute", "alu", "fpu", "multiplier")
"""What names or classes of units that compute have in them, in lower case."""
PASSED = ("network", "wire", "noc", "adder", "shift", "dummy_")
"""And of what is neither a memory nor computes."""


@dataclass(frozen=True)
class Level:
    """A memory as the file calls it and as we do, and what it may hold; None: anything."""

    name: str
    memory: str
    holds: Any = None


@dataclass(frozen=True)
class Architecture:
    """A machine that was read: its memories from the outside in, and its fan-out's directions."""

    hardware: Hardware
    levels: tuple[Level, ...]
    axes: Mapping[str, str] = field(default_factory=lambda: {})
    """Direction of a fan-out in the file, as node.direction -> axis of an array, array.columns."""
    bits: int = 8
    notes: tuple[str, ...] = ()
    sparse: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {})
    """What each memory does about zeros, and the unit that computes (`COMPUTES`), as it is said."""

    def level(self, name: str, where: str) -> Level:
        """A memory by its name in the file; raises `InputError`."""
        for each in self.levels:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.levels)
        raise InputError(f"{where}: expected a memory ({known}), found {name!r}")


@dataclass
class _Found:
    """What is known so far, from the outside in."""

    where: str
    memories: dict[str, Memory] = field(default_factory=lambda: {})
    levels: list[Level] = field(default_factory=lambda: [])
    arrays: dict[str, dict[str, int]] = field(default_factory=lambda: {})
    """Of each array, from the outside in, its directions: node.direction -> elements."""
    node: int = NODE
    clock_hz: float = CLOCK_HZ
    bits: int = 0
    word_bits: int = 0
    compute: Mapping[str, Any] | None = None
    notes: list[str] = field(default_factory=lambda: [])
    unread: Unread = field(default_factory=Unread)
    variables: Mapping[str, float] = field(default_factory=lambda: {})
    zeros: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {})
    """By name of a node, what a list of targets beside the architecture says of zeros."""
    memories_m2: float = 0.0
    sparse: dict[str, Mapping[str, Any]] = field(default_factory=lambda: {})
    own: dict[str, float] = field(default_factory=lambda: {})
    """Attributes of the node at hand that are numbers."""

    def number(self, value: Any, where: str) -> float:
        """A number, in which variables and the node's own attributes may stand."""
        return number(value, where, {**self.variables, **self.own})

    def surround(self) -> None:
        """Put an endless memory without cost around the only one."""
        (level,), (memory,) = self.levels, self.memories.values()
        name = re.sub(r"\W+", "_", level.name).lower()
        name = f"{name}_inside" if name == OUTERMOST else name
        outside = Memory(
            capacity_bytes=UNBOUNDED_BYTES, bandwidth_bytes_per_s=UNLIMITED_BYTES_PER_S
        )
        self.memories = {OUTERMOST: outside, name: memory}
        self.levels = [Level("outside", OUTERMOST), replace(level, memory=name)]
        self.sparse = {name if at == OUTERMOST else at: said for at, said in self.sparse.items()}
        self.notes.append(f"{level.name} is the only memory: an endless one without cost feeds it")

    def area_of(self, each_m2: float) -> None:
        """One more memory's area, in every element where it stands in one."""
        self.memories_m2 += each_m2 * self.elements

    @property
    def elements(self) -> int:
        """Elements of all arrays within one another; one where there is none."""
        return prod(size for sides in self.arrays.values() for size in sides.values())

    def count(self, value: Any, where: str) -> int:
        """A whole number of 1 or more, in which names may stand."""
        return whole(self.number(value, where), where)

    def note_own(self, attributes: Mapping[str, Any], where: str) -> None:
        """Keep the attributes of a node that are numbers by themselves."""
        self.own = {}
        for name, value in attributes.items():
            with suppress(InputError):
                self.own[name] = number(value, where, self.variables)

    def note_sparse(self, name: str, place: str, said: Mapping[str, Any]) -> None:
        """Keep what a node says of zeros, itself or in a list of targets of the specification."""
        if merged := {**said, **self.zeros.get(name, {})}:
            self.sparse[place] = merged

    @property
    def inside(self) -> str:
        """The array that what follows stands in."""
        return next(reversed(self.arrays), "")

    def add(self, name: str, memory: Memory, holds: Any) -> None:
        own = re.sub(r"\W+", "_", name).lower() if self.levels else OUTERMOST
        if own in self.memories:
            raise InputError(f"{self.where}: {name} stands here a second time")
        self.memories[own] = memory
        self.levels.append(Level(name, own, holds))

    def fan_out(self, name: str, sides: Mapping[str, int]) -> None:
        """A node's fan-out: direction -> elements."""
        wide = {axis: size for axis, size in sides.items() if size > 1}
        if not wide:
            return
        sides_of = {f"{name}.{axis}": size for axis, size in wide.items()}
        if len(sides_of) > 2:
            raise CoverageError(
                f"{self.where}: {name}: expected a fan-out of two directions, found"
                f" {', '.join(sides_of)}"
            )
        held = any(memory.array == self.inside for memory in self.memories.values())
        if self.arrays and not held and len(self.arrays[self.inside]) + len(sides_of) <= 2:
            self.arrays[self.inside] |= sides_of
        else:
            own = re.sub(r"\W+", "_", name).lower()
            self.arrays[own if self.arrays else ELEMENTS] = sides_of

    def made(self) -> dict[str, Array]:
        """The arrays, each inside of the one before."""
        found: dict[str, Array] = {}
        for name, sides in self.arrays.items():
            columns, rows = [*sides.values(), 1][:2]
            around = next(reversed(found), "")
            found[name] = Array(columns=columns, rows=rows, inside=around, multicast="tile")
        return found

    def axes(self) -> dict[str, str]:
        """Axis of an array by the direction of a fan-out in the file."""
        return {
            path: f"{name}.{axis}" if len(self.arrays) > 1 else axis
            for name, sides in self.arrays.items()
            for path, axis in zip(sides, ("columns", "rows"), strict=False)
        }


def architecture(specification: Mapping[str, Any]) -> Architecture:
    """The machine of a specification; raises `InputError` and `CoverageError`."""
    if "architecture" in specification:
        given = child(specification, "architecture", "specification")
        found = _Found(
            "architecture", variables=_variables(specification), zeros=_zeros(specification)
        )
        for node in _nodes(given):
            _component(found, node)
        return _finished(found)
    if "arch" in specification:
        given, found = child(specification, "arch", "specification"), _Found("arch")
        for node in _nodes(given):
            _element(found, node)
        return _finished(found)
    raise InputError(
        "specification: expected an architecture (Timeloop) or an arch (AccelForge), found"
        f" {', '.join(specification) or 'nothing'}"
    )


def _variables(specification: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among a specification's variables."""
    said = plain_table(specification.get("variables"), "variables")
    return {name: float(value) for name, value in said.items() if isinstance(value, (int, float))}


def _zeros(specification: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What `sparse_optimizations` beside the architecture say of each target."""
    said = plain_table(specification.get("sparse_optimizations"), "sparse_optimizations")
    targets = tables(said.get("targets"), "sparse_optimizations: targets")
    return {
        str(each.get("name")): {k: v for k, v in each.items() if k not in ("name", KIND)}
        for each in targets
    }


def _nodes(given: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All nodes in their order, those of groups in their place."""
    for each in tables(given.get("nodes"), "architecture: nodes"):
        if "nodes" in each:
            yield from _nodes(each)
        else:
            yield each


def _component(found: _Found, node: Mapping[str, Any]) -> None:
    """A node of Timeloop."""
    name = str(node.get("name", "container"))
    where = f"{found.where}: {name}"
    attributes = plain_table(node.get("attributes"), f"{where}: attributes")
    found.unread.look(name, node, COMPONENT)
    found.unread.look(name, attributes, ATTRIBUTES)
    found.note_own(attributes, where)
    _technology(found, attributes.get("technology"))
    if "global_cycle_seconds" in attributes:
        cycle_s = found.number(attributes["global_cycle_seconds"], where)
        found.clock_hz = 1 / positive(cycle_s, f"{where}: global_cycle_seconds")
    spatial = plain_table(node.get("spatial"), f"{where}: spatial")
    sides = {axis: found.count(spatial.get(axis, 1), f"{where}: {axis}") for axis in MESH}
    found.fan_out(name, sides)
    if node.get(KIND) == "Container":
        return
    sparse = plain_table(node.get("sparse_optimizations"), f"{where}: sparse_optimizations")
    kind = f"{node.get('class', '')} {node.get('subclass', '')} {name}".lower()
    held = [key for key in (*SIZES, "depth") if key in attributes]
    if not held and any(word in kind for word in PASSED):
        found.notes.append(f"{name} is passed over: it is no memory and computes nothing")
        return
    if not held and any(word in kind for word in COMPUTE):
        found.compute = attributes
        found.note_sparse(name, COMPUTES, sparse)
        return
    kinds = f"{node.get('class', '')} {node.get('subclass', '')}"
    found.unread.look_class(name, kinds.strip())
    bits = found.count(attributes.get("datawidth", attributes.get("word-bits", 8)), where)
    width = positive(found.number(attributes.get("width", bits), where), f"{where}: width")
    found.bits = found.bits or bits
    words = None
    if held:
        said = positive(found.number(attributes[held[0]], where), f"{where}: {held[0]}")
        words = said * SIZES.get(held[0], width) / (1 if held[0] == "entries" else bits)
    elif found.levels:  # the outermost has none by right
        found.notes.append(f"{name} says no depth: it holds everything, at a DRAM's energy")
    places = (attributes.get(f"metadata_storage_{each}", 0) for each in ("depth", "width"))
    metadata_bits = prod(found.number(each, f"{where}: metadata_storage") for each in places)
    size = UNBOUNDED_BYTES if words is None else words * found.bits / 8 + metadata_bits / 8
    rates = [
        positive(found.number(attributes[key], where), f"{where}: {key}")
        for key in ("read_bandwidth", "write_bandwidth", "bandwidth")
        if key in attributes
    ]
    if "shared_bandwidth" in attributes:  # of reads and writes together
        both = found.number(attributes["shared_bandwidth"], where)
        rates = [min(positive(both, f"{where}: shared_bandwidth"), sum(rates) or math.inf)]
    words_per_s = sum(rates) * found.clock_hz * found.elements  # said of one such memory
    speed = words_per_s * found.bits / 8 if rates else UNLIMITED_BYTES_PER_S
    off_chip = words is None or "dram" in kinds.lower().split()
    energy = _dram_j(attributes) if off_chip else memory_j_per_byte(size, found.node)
    found.area_of(0.0 if off_chip else memory_m2(size, found.node))
    memory = Memory(
        capacity_bytes=size,
        bandwidth_bytes_per_s=speed,
        energy_j_per_byte=energy,
        array=found.inside,
    )
    found.add(name, memory, _kept(node))
    found.note_sparse(name, found.levels[-1].memory, sparse)
    if "metadata_datawidth" in attributes and found.levels[-1].memory in found.sparse:
        place = found.levels[-1].memory
        found.sparse[place] = {**found.sparse[place], RUN: attributes["metadata_datawidth"]}


def _kept(node: Mapping[str, Any]) -> Any:
    """What constraints let a memory hold: names, or None for anything."""
    where = f"{node.get('name')}: constraints"
    constraints = plain_table(node.get("constraints"), where)
    said = plain_table(constraints.get("dataspace"), f"{where}: dataspace")
    return said.get("keep_only") or said.get("keep") or None


def _element(found: _Found, node: Mapping[str, Any]) -> None:
    """A node of AccelForge."""
    name = str(node.get("name", "container"))
    where = f"{found.where}: {name}"
    sides = {
        str(each.get("name", at)): whole(each.get("fanout", 1), f"{where}: fanout")
        for at, each in enumerate(tables(node.get("spatial"), f"{where}: spatial"))
    }
    found.fan_out(name, sides)
    given_actions = tables(node.get("actions"), f"{where}: actions")
    actions = {str(each.get("name")): each for each in given_actions}
    tensors = plain_table(node.get("tensors"), f"{where}: tensors")
    found.unread.look(name, node, NODE_KEYS)
    found.unread.look(name, tensors, TENSORS)
    for each in given_actions:
        found.unread.look(f"{name} {each.get('name')}", each, ACTION)
    if node.get(KIND) == "Compute":
        if found.compute is None:
            found.compute = {**node, "actions": actions}
        return
    if node.get(KIND) != "Memory":
        if node.get(KIND) != "Container":
            found.notes.append(f"{name} is passed over: {node.get(KIND)} is no kind that is read")
        return
    if "total_latency" in node:
        found.notes.append(f"{name}: its expression of latency is passed over")
    found.bits = found.bits or 8
    size = number(node.get("size", "inf"), where, {"weight": 1, "weight.bits_per_value": 8}) / 8
    size = size if size == math.inf else positive(size, f"{where}: size")
    given = [actions[key] for key in ("read", "write") if key in actions]
    bits = (said_of({**BITS, **node, **each}, "bits_per_action", where) for each in given)
    each_bits = (positive(n, f"{where}: bits_per_action") for n in bits)
    pairs = list(zip(given, each_bits, strict=True))
    rates = [rate / 8 for each, n in pairs if (rate := per_s(each, node, n, where)) is not None]
    joules = [
        joules_of(each, node, where) * 8 / n for each, n in pairs if each.get("energy") is not None
    ]
    finite = size < UNBOUNDED_BYTES
    law = memory_j_per_byte(size, found.node) if finite else _dram_j(node)
    memory = Memory(
        capacity_bytes=size if finite else UNBOUNDED_BYTES,
        bandwidth_bytes_per_s=min(
            [rate * found.elements for rate in rates] + [UNLIMITED_BYTES_PER_S]
        ),
        energy_j_per_byte=sum(joules) / len(joules) if joules else law,
        array=found.inside,
    )
    found.area_of(
        said_of({"area": 0, **node}, "area", where) * scaled((node,), "area_scale", where)
    )
    found.add(name, memory, tensors.get("may_keep") or tensors.get("keep"))


def _technology(found: _Found, said: Any) -> None:
    match = re.fullmatch(r"\s*(\d+)\s*(?:nm)?\s*", str(said)) if said is not None else None
    if match:
        found.node = max(7, min(NODE, int(match[1])))
        if found.node != int(match[1]):
            found.notes.append(f"{said}: joules and areas are those of {found.node} nm")


def _dram_j(attributes: Mapping[str, Any]) -> float:
    """Joules a byte of a DRAM's type, the middle of what is published; DDR4 where none is said."""
    known = table("interfaces").interfaces
    said = str(attributes.get("type", attributes.get("component_class", ""))).lower()
    name = said if said in known else "ddr4"
    return float(known[name].low_j_per_byte + known[name].high_j_per_byte) / 2


def _finished(found: _Found) -> Architecture:
    if not found.levels or found.compute is None:
        raise InputError(
            f"{found.where}: expected memories and a unit that computes, found"
            f" {', '.join(level.name for level in found.levels) or 'no memory'}"
            + ("" if found.compute else " and no unit that computes")
        )
    if len(found.levels) == 1:
        found.surround()
    elements = found.elements
    where = f"{found.where}: compute"
    actions = plain_table(found.compute.get("actions"), where)
    action = plain_table(actions.get("compute"), where)
    timed = per_s(action, found.compute, 1, where)
    throughput = min(found.clock_hz if timed is None else timed, FASTEST_HZ)
    stated = None
    if action.get("energy") is not None:
        stated = joules_of(action, found.compute, where)
    kind = f"int{found.bits}" if f"int{found.bits}" in DTYPES else "int8"
    kinds = [name for name in DTYPES if name.startswith("int") and name != "int64"]
    unit = Unit(
        rate_per_s=dict.fromkeys(kinds, 2 * elements * throughput),
        energy_j_per_flop={
            name: (mac_j(name, found.node) if stated is None else stated) / 2 for name in kinds
        },
    )
    memories = dict(found.memories)
    return Architecture(
        hardware=Hardware(
            name=found.where,
            title="machine of a specification",
            kind="spatial",
            processors=Processors(name="element", count=elements),
            clock_hz=throughput,
            units={"mac": unit},
            memories=memories,
            arrays=found.made(),
            area_m2=found.memories_m2 + elements * mac_m2(kind, found.node),
            node=found.node,
        ),
        levels=tuple(found.levels),
        axes=found.axes(),
        bits=found.bits or 8,
        notes=(*found.notes, *found.unread.told()),
        sparse=found.sparse,
    )
