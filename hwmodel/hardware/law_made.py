"""Numbers of a machine that laws of capacity gave, by its sizes: what a what-if works out again.

A number whose source begins with `LAW` is that of `capacity_laws` for the capacities, sides and
node of its machine; with `WIRED` the wires over the array are in a memory's joules, too. Another
size then changes the number by what the law makes of it. An array's area is that of its elements,
each a multiply-accumulate of the formats that its unit computes in (between the narrowest and the
widest the geometric mean) with its own memories, and of all memories but the outermost.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from hwmodel.hardware.capacity_laws import (
    NODE,
    mac_j,
    mac_m2,
    memory_j_per_byte,
    memory_m2,
    wire_j_per_byte,
)
from hwmodel.hardware.hardware import UNBOUNDED_BYTES
from hwmodel.hardware.levers import FEED, LAW, WIRED
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.quantity.units import Amount

BASE = "int16"
"""Format whose multiply-accumulate others are scaled from, by the product of two widths."""


def lawful(hardware: Any) -> Iterator[tuple[str, Amount]]:
    """Path and number of all that stands to a machine's source as a law says."""
    at, said = node(hardware), hardware.sources
    for name, unit in hardware.units.items():
        for dtype in unit.energy_j_per_flop:
            path = f"units.{name}.energy"
            if said.get(f"{path}.{dtype}", said.get(path, "")).startswith(LAW):
                yield f"{path}.{dtype}", _each(mac_j, dtype, at) / 2
    for name, memory in hardware.memories.items():
        source = said.get(f"memories.{name}.energy", "")
        if source.startswith(LAW):
            found = _each(memory_j_per_byte, memory.capacity_bytes, at)
            if source.startswith(WIRED):
                area_m2 = sum(elements_m2(hardware, array) for array in hardware.arrays)
                found = found + _each(wire_j_per_byte, area_m2, at)
            yield f"memories.{name}.energy", found
        if said.get(f"memories.{name}.bandwidth", "").startswith(FEED):
            sides = sum(array.rows + array.columns for array in hardware.arrays.values())
            yield f"memories.{name}.bandwidth", sides * hardware.clock_hz
    area_m2 = None if hardware.area_m2 is None else parts_m2(hardware)
    if area_m2 is not None:
        yield "area", area_m2


def with_area(hardware: Any) -> Any:
    """The array with the area of its parts, where none is stated of the whole."""
    found = parts_m2(hardware) if hardware.area_m2 is None else None
    if found is None:
        return hardware
    by = "its tables" if _tabled(hardware) else f"laws of capacity at {node(hardware):g} nm"
    parts = len(hardware.arrays) + len(hardware.memories) - 1
    source = f"derived: the sum of its {parts} arrays and memories beside DRAM, by {by}"
    return hardware.model_copy(
        update={"area_m2": found, "sources": hardware.sources | {"area": source}}
    )


def parts_m2(hardware: Any) -> Amount | None:
    """Square metres of all parts, by the machine's tables where it has areas, else by law."""
    if _tabled(hardware):
        return sum(tabled_m2(hardware).values())
    return chip_m2(hardware)


def tabled_m2(hardware: Any) -> dict[str, Amount]:
    """Square metres of each array, with its elements' memories, and of the other memories."""
    found: dict[str, Amount] = {}
    for name, array in hardware.arrays.items():
        each = sum(hardware.functions[function].area_m2 for function in array.cycles)
        own = sum(m.area_m2 for m in hardware.memories.values() if m.array == name)
        found[name] = hardware.elements(name) * (each + own)
    for name, memory in hardware.memories.items():
        if not memory.array and name != "dram":
            found[name] = memory.area_m2
    return found


def _tabled(hardware: Any) -> bool:
    return any(np.any(memory.area_m2) for memory in hardware.memories.values())


def node(hardware: Any) -> Amount:
    """Nanometres that the laws are asked at."""
    return NODE if hardware.node is None else hardware.node


def chip_m2(hardware: Any) -> Amount | None:
    """Square metres of elements and memories; None where one on the chip has no limit."""
    total: Amount = 0.0
    for name in hardware.arrays or ("",):
        total = total + elements_m2(hardware, name)
    for memory in list(hardware.memories.values())[1:]:
        if memory.array:
            continue
        if np.any(np.greater_equal(memory.capacity_bytes, UNBOUNDED_BYTES)):
            return None
        total = total + _each(memory_m2, memory.capacity_bytes, node(hardware))
    return total


def elements_m2(hardware: Any, array: str) -> Amount:
    """Square metres of the elements of an array, of a machine without one of its processors."""
    at = node(hardware)
    each = _mac_m2(hardware, array, at)
    for memory in hardware.memories.values():
        if array and memory.array == array:
            each = each + _each(memory_m2, memory.capacity_bytes, at)
    return (hardware.elements(array) if array else hardware.processors.count) * each


def _mac_m2(hardware: Any, array: str, at: Amount) -> Amount:
    """A multiply-accumulate of the formats of an array's unit, or of all units."""
    units = hardware.units
    own = [units[array]] if array in units else list(units.values())
    widths = [_bits(name) for unit in own for name in unit.rate_per_s]
    return _each(mac_m2, BASE, at) * (min(widths) * max(widths) / _bits(BASE) ** 2)


def _bits(name: str) -> int:
    """Bits of a format; of one that has no table the number in its name, else 16."""
    if name in DTYPES:
        return DTYPES[name].bits
    said = re.search(r"\d+", name)
    return max(1, int(said[0])) if said else _bits(BASE)


def _each(law: Any, *given: Any) -> Amount:
    """A law of numbers or of arrays of them."""
    found = np.vectorize(law, otypes=[float])(*given)
    return float(found) if np.ndim(found) == 0 else found
