"""A machine as a value: what it can hold (limits) and how fast it is (rates), each with a source.

A `Hardware` describes one device, or `devices` equal ones behind one switch. Compute units and
memory levels are named: "matrix", "vector", "exp"; "dram", "l2", "shared", "register". All numbers
are for the whole device at the clock that the source states, in SI units; a memory level that each
processor has for itself says so (`per_processor`), and then its capacity is of one processor.

`sources` names the origin of every number by its dotted path ("memories.dram.capacity"). A what-if
is a new value: `h200.but(hbm={"bandwidth": "9.6 TB/s"})`.

Peak rates of a GPU are processors x clock x rate a clock (`peaks`): a what-if on the number of
processors, or on the clock, takes them along, unless the user has named the rate himself.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, cast

import numpy as np
from pydantic import Field

from hwmodel.hardware import levers
from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.peaks import KINDS, WHAT_IF, follow
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.remembered import remembered, single
from hwmodel.quantity.units import Amount, bare_name, counted
from hwmodel.quantity.value import NonNegative, Positive, PositiveWhole, Value
from hwmodel.text.shown import Shown

Size: TypeAlias = Annotated[Any, Positive]
SizeOrZero: TypeAlias = Annotated[Any, NonNegative]
Count: TypeAlias = Annotated[Any, PositiveWhole]

UNLIMITED_BYTES_PER_S = 1e24
"""What stands for the bandwidth of a memory where none is said: it never binds."""

UNBOUNDED_BYTES = 1e18
"""What stands for the capacity of a memory without a limit."""

TWO_OF_FOUR = "~2:4"
STRUCTURED = frozenset({"bf16", "fp16", "tf32", "fp8", "int8"})
"""Formats that matrix units multiply with two in each four elements no zero (PTX ISA, mma.sp)."""


class Unit(Value):
    """One kind of compute unit, all of the device's together: operations/s and J by dtype."""

    rate_per_s: dict[str, Size] = Field(min_length=1)
    energy_j_per_flop: dict[str, SizeOrZero] = Field(default={})
    follows: str = ""
    """Paths of the numbers that the rates are proportional to, by their source (`levers`)."""
    structured: Size | None = None
    """Times as fast where the second operand's formats keep two in each four (`~2:4`); None or 1:
    it has no circuit that skips the others."""

    def rates_per_s(self) -> dict[str, Amount]:
        """Operations/s by format, those of structured operands too, zeros counted as operations."""
        found: dict[str, Amount] = dict(self.rate_per_s)
        if self.structured is not None and np.any(np.not_equal(self.structured, 1)):
            for dtype in STRUCTURED.intersection(self.rate_per_s):
                found[dtype + TWO_OF_FOUR] = self.rate_per_s[dtype] * self.structured
        return found


class Memory(Value):
    """One memory level; capacity is of one processor's share where `per_processor`."""

    capacity_bytes: Size
    bandwidth_bytes_per_s: Size
    latency_s: SizeOrZero = 0.0
    energy_j_per_byte: SizeOrZero = 0.0
    per_processor: bool = False
    array: str = ""
    """Name of the array whose elements each have such a memory; then capacity is of one element."""
    technology: str = ""
    channels: Size = 1
    """Equal channels that `bandwidth` is the sum of."""
    port_bytes_per_clock: SizeOrZero = 0
    """Bytes that the device's port to one channel carries in a clock; 0: no limit of its own."""
    area_m2: SizeOrZero = 0.0
    """Of one such memory."""
    copies: Size = 1
    """Copies that it keeps of what all processors read: one for each of its partitions."""
    follows: str = ""
    """What the bandwidth is proportional to, by its source: of a level that a GPU's processors
    share "clock", "processors" or "" (`peaks`), elsewhere paths of numbers (`levers`)."""
    energy_exponent: SizeOrZero = 0.0
    area_exponent: SizeOrZero = 0.0
    """Joules a byte and area go with the capacity to these powers; 0 where no source says so."""


class Array(Value):
    """A grid of processing elements, each of which makes one step a cycle."""

    rows: Size
    columns: Size = 1
    inside: str = ""
    """Name of the array of which each element has such an array; empty: the device has one."""
    cycles: dict[str, Size] = Field(default={})
    """Steps that one action of each function of an element takes."""
    macs: dict[str, Size] = Field(default={})
    """Functions that an element composes of so many multiply-accumulates."""
    multicast: Literal["word", "tile"] = "word"
    """What is read once for several elements: every word that they share, or tiles alike."""
    network: Literal["mesh", "bus"] = "mesh"
    """What brings words to elements, and sums back (`hwmodel.machines.spatial.hops`)."""
    hop_energy_j_per_byte: SizeOrZero = 0.0
    """Of one step from element to element."""
    hop_latency_s: SizeOrZero = 0.0
    """The same: seconds."""
    link_bytes_per_s: Size = math.inf
    """What the wires from one element to the next carry; of a bus, all that it drives."""


class Function(Value):
    """One function of a processing element: joules an action, and the circuit's area."""

    energy_j: SizeOrZero
    area_m2: SizeOrZero = 0.0


class Processors(Value):
    """The replicated cores of a device (SMs, CUs), what one can hold, and its port to the L2.

    `pair` of them carry out one matrix instruction together, each with a share of its operands, and
    keep the sums in a memory of their own; 1 where each works by itself.
    """

    name: str = "SM"
    count: Count
    max_threads: Count = 2048
    max_blocks: Count = 32
    registers: Count = 65536
    shared_per_block_bytes: SizeOrZero = 0
    port_bytes_per_clock: Size = 64
    pair: Count = 1


class Atomics(Value):
    """Atomic additions/s: to addresses far apart, all processors together, and to one address."""

    rate_per_s: Size
    same_address_per_s: Size


class Storage(Value):
    """A drive beside the memory: reads by blocks, seconds a request."""

    technology: str
    capacity_bytes: Size
    bandwidth_bytes_per_s: Size
    latency_s: SizeOrZero = 0.0
    energy_j_per_byte: SizeOrZero = 0.0


class Link(Value):
    """The device's port into the switch: bytes/s in each direction, and seconds a message.

    `reduction_bytes_per_s` is the rate of the port in all_reduces that the switch itself adds up,
    where it can. Without a switch, `peers` is the number of links, one to each other device, whose
    bandwidths add up to the port's (XGMI between Instincts); None: a switch joins all.
    """

    technology: str
    bandwidth_bytes_per_s: Size
    reduction_bytes_per_s: Size | None = None
    latency_s: SizeOrZero
    energy_j_per_byte: SizeOrZero = 0.0
    max_devices: Size = 8
    peers: Size | None = None


class Power(Value):
    """Watts when idle, the limit at which the device lowers its clock, and how soon it does.

    `run_w` is what a device draws beyond idle while it runs, where that hardly depends on what.
    """

    idle_w: SizeOrZero
    run_w: SizeOrZero = 0.0
    limit_w: Size = math.inf
    window_s: SizeOrZero = 0.0


class LaunchTimes(Value):
    """Seconds from one kernel to the next: inside a captured graph, and launched one by one."""

    graph_s: SizeOrZero
    eager_s: SizeOrZero


class Price(Value):
    """What a device costs to buy, to rent by the hour, and reserved for years."""

    list_usd: Size | None = None
    rent_usd_per_hour: Size | None = None
    reserved_usd_per_hour: Size | None = None


class Hardware(Shown, Value):
    """A device, or several equal devices behind one switch."""

    name: str
    title: str
    kind: Literal["gpu", "spatial", "fpga", "mcu", "cpu", "npu"]
    architecture: str = ""
    extends: str = ""
    """The shipped device that this one is a variant of, whose calibration it takes."""
    processors: Processors
    clock_hz: Size
    matrix_clock_hz: Size | None = None
    units: dict[str, Unit]
    memories: dict[str, Memory]
    """Memory levels, outermost first."""
    arrays: dict[str, Array] = Field(default={})
    functions: dict[str, Function] = Field(default={})
    binding: str = ""
    """Of a spatial array: which Einsum runs on which array (`catalogue/bindings`)."""
    sparsity: str = ""
    """Of a spatial array: what it does about zeros (`devices/sparsities`): name, path or JSON."""
    resources: dict[str, Size] = Field(default={})
    """Numbers of other things that a mapping can use up: DSPs, LUTs, block RAMs, flash bytes."""
    link: Link | None = None
    storage: Storage | None = None
    atomics: Atomics | None = None
    power: Power = Power(idle_w=0.0)
    launch: LaunchTimes = LaunchTimes(graph_s=0.0, eager_s=0.0)
    price: Price = Price()
    area_m2: Size | None = None
    node: Size | None = None
    """Process that area by laws of capacity is stated at, a name in nanometres: a count."""
    devices: int = Field(default=1, ge=1)
    calibration: Calibration | None = None
    sources: dict[str, str] = Field(default={})

    aliases: ClassVar[dict[str, str]] = {"hbm": "dram", "gddr": "dram", "sms": "processors"}

    def __mul__(self, devices: int) -> Self:
        """That many of this device: `h200 * 8`; behind one switch, if no topology is named."""
        given: Any = devices
        if not isinstance(given, (int, np.integer)) or isinstance(given, bool):
            raise InputError(
                f"{self.name} * devices: expected one whole number, found {shown(given)}; a sweep"
                " walks numbers of devices one by one where its axis is marked by hw.each"
            )
        devices = counted(devices, where=f"{self.name} * devices")
        return self.but(devices=self.devices * devices)

    def __rmul__(self, devices: int) -> Self:
        """The same as `h200 * 8`."""
        return self * devices

    def but(self, **changes: Any) -> Self:
        """A changed copy; units and memory levels go by their names (`dram`, `hbm`, `matrix`).

        Rates follow processors and clocks (see `peaks`), joules and area of a memory its capacity
        where its source has a law (`levers`), but for those that this or an earlier what-if has
        named; a change that could have no effect is refused. The copy's title says what was
        changed, and the source of a changed number is "what-if".
        """
        return self._changed(changes, alone=False)

    def alone(self, **changes: Any) -> Self:
        """`but` where no rate follows: of fewer processors each then does more."""
        return self._changed(changes, alone=True)

    def _changed(self, changes: Mapping[str, Any], *, alone: bool) -> Self:
        nested: dict[str, Any] = {}
        for name, change in changes.items():
            name = self.aliases.get(name, name)
            if name in self.memories:
                nested.setdefault("memories", {})[name] = change
            elif name in self.units:
                nested.setdefault("units", {})[name] = change
            else:
                nested[name] = change
        told = {p: v for p, v in _numbers(nested) if p.split(".")[0] not in _UNTOLD}
        levers.check(self, tuple(told))
        changed = super().but(**nested)
        if not told:
            return changed
        following = follow if self.kind in KINDS else levers.follow
        notes: dict[str, Any] = {} if alone else following(self, changed, tuple(told))
        if "sources" not in nested:
            sources = notes.get("sources", changed.sources)
            notes["sources"] = {**sources, **dict.fromkeys(told, WHAT_IF)}
        if "title" not in nested:
            words = ", ".join(f"{path.split('.', 1)[-1]} {value}" for path, value in told.items())
            notes["title"] = f"{self.title} with {words}"
        return changed.model_copy(update=notes)

    def memory(self, level: str) -> Memory:
        """A memory level by name; raises `UnknownNameError`."""
        level = self.aliases.get(level, level)
        if level not in self.memories:
            raise UnknownNameError(f"memory level of {self.name}", level, self.memories)
        return self.memories[level]

    def elements(self, array: str) -> Amount:
        """Elements of an array, in all elements of those around it; raises `UnknownNameError`."""
        if array not in self.arrays:
            raise UnknownNameError(f"array of {self.name}", array, self.arrays)
        found = self.arrays[array]
        return found.rows * found.columns * (self.elements(found.inside) if found.inside else 1)

    def rate(self, unit: str, dtype: str) -> Amount:
        """Operations/s of a unit on a dtype; raises `CoverageError` where it has none."""
        if unit in self.units and dtype in self.units[unit].rate_per_s:
            return self.units[unit].rate_per_s[dtype]
        if unit in self.units and dtype in (skipping := self.units[unit].rates_per_s()):
            return skipping[dtype]
        known = {u: sorted(self.units[u].rate_per_s) for u in self.units}
        if unit not in self.units:
            raise CoverageError(f"{self.name} has no {unit!r} unit; it has {known}")
        raise CoverageError(f"{self.name}: unit {unit!r} has no rate for {dtype}; {known[unit]}")


_UNTOLD = ("name", "title", "devices", "calibration", "sources", "kind", "architecture", "extends")
"""Fields whose change is no what-if on a number."""


def _numbers(changes: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Changed numbers by their dotted path, bare names as sources have them."""
    found: list[tuple[str, Any]] = []
    for name, change in changes.items():
        here = f"{path}{bare_name(name)}"
        if isinstance(change, Mapping):
            found += _numbers(cast(Mapping[str, Any], change), f"{here}.")
        else:
            array = isinstance(change, np.ndarray)
            found.append((here, f"({change.size} values)" if array else change))
    return found


@dataclass(frozen=True)
class Limits:
    """All that the upstream half sees of a machine: capacities and numbers of things."""

    processors: Amount
    capacity_bytes: Mapping[str, Amount]
    max_threads: Amount
    max_blocks: Amount
    registers: Amount
    shared_per_block_bytes: Amount
    devices: int = 1
    pair: Amount = 1
    """Processors that share the operands of a matrix instruction."""
    arrays: Mapping[str, tuple[Amount, Amount]] = field(default_factory=lambda: {})
    """(rows, columns) of each array of processing elements."""
    multicast: Mapping[str, str] = field(default_factory=lambda: {})
    """What each array reads once for several elements: a "word", or a "tile"."""
    within: Mapping[str, str] = field(default_factory=lambda: {})
    """The array whose elements each have a level; arrays stand from the outside in."""
    resources: Mapping[str, Amount] = field(default_factory=lambda: {})
    instances: Mapping[str, Amount] = field(default_factory=lambda: {})
    """How many equal memories a level's total capacity is divided into."""
    copies: Mapping[str, Amount] = field(default_factory=lambda: {})
    """How often a level keeps what all processors read."""

    @property
    def on_chip_bytes(self) -> Amount:
        """All storage on the chip together: the fast memory of a bound at the DRAM boundary."""
        return sum(size for level, size in self.capacity_bytes.items() if level != "dram")


@remembered(keep=single)
def limits(hardware: Hardware) -> Limits:
    """The machine's capacities, without a second in any unit; levels are device totals."""
    processors = hardware.processors
    arrays = {name: (array.rows, array.columns) for name, array in hardware.arrays.items()}

    def owners(memory: Memory) -> Amount:
        if memory.array:
            return hardware.elements(memory.array)
        return processors.count if memory.per_processor else 1

    return Limits(
        processors=processors.count,
        pair=processors.pair,
        capacity_bytes={
            level: memory.capacity_bytes * owners(memory)
            for level, memory in hardware.memories.items()
        },
        max_threads=processors.max_threads,
        max_blocks=processors.max_blocks,
        registers=processors.registers,
        shared_per_block_bytes=processors.shared_per_block_bytes,
        devices=hardware.devices,
        arrays=arrays,
        multicast={name: array.multicast for name, array in hardware.arrays.items()},
        within={level: memory.array for level, memory in hardware.memories.items() if memory.array},
        resources=hardware.resources,
        instances={level: owners(memory) for level, memory in hardware.memories.items()},
        copies={level: memory.copies for level, memory in hardware.memories.items()},
    )
