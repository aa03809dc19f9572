"""An array of processing elements from its sizes: joules and area by the laws of capacity.

    DRAM, a buffer that all tensors share, rows x columns elements with registers and a
    multiply-accumulate each

What stands in no table here is an assumption, and its source says so: the buffer feeds a value to
every row and column in a clock; a value on its way between buffer and elements crosses half of the
array each way, whose wires are charged to the buffer's accesses.
"""

from typing import Any

from hwmodel.hardware.capacity_laws import (
    NODE,
    mac_j,
    mac_m2,
    memory_j_per_byte,
    memory_m2,
    wire_j_per_byte,
)
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
from hwmodel.hardware.levers import FEED, LAW, WIRED
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import amount, counted

SOURCES = {
    "law": LAW,
    "wires": WIRED,
    "asked": "specification: as it was asked for",
    "feed": FEED,
    "unlimited": "assumed: a number that never binds",
    "dram": "derived: the middle of what is published for this type of memory",
}


def array(
    rows: int,
    columns: int | None = None,
    *,
    buffer: Any = "128 KiB",
    registers: Any = "64 B",
    dtype: str = "int8",
    bandwidth: Any = "16 GB/s",
    dram: str = "lpddr4",
    clock: Any = "1 GHz",
    node: int = NODE,
) -> Hardware:
    """An array of `rows` x `columns` elements (default: square) that `map` takes.

    `buffer` and `registers` (of one element) are sizes, `bandwidth` is the DRAM's, of the type
    `dram`; `dtype` is the format of the multiply-accumulates, `node` 7 to 45 nm. `area_m2` is that
    of buffer and elements. Raises `InputError` for sizes, `UnknownNameError` for names.

    >>> array(16).area_m2 < array(32).area_m2
    True
    """
    high = counted(rows, where="rows")
    wide = high if columns is None else counted(columns, where="columns")
    known = table("interfaces").interfaces
    if dram not in known:
        raise UnknownNameError("type of DRAM", dram, known)
    held, own = _one(buffer, "bytes", "buffer"), _one(registers, "bytes", "registers")
    speed, clock_hz = _one(bandwidth, "bytes_per_s", "bandwidth"), _one(clock, "hz", "clock")
    elements_m2 = high * wide * (mac_m2(dtype, node) + memory_m2(own, node))
    dram_j = float(known[dram].low_j_per_byte + known[dram].high_j_per_byte) / 2
    return Hardware(
        name=f"array-{high}x{wide}",
        title=f"array of {high} x {wide} elements, {held / 1024:g} KiB, {node} nm",
        kind="spatial",
        processors=Processors(name="element", count=high * wide),
        clock_hz=clock_hz,
        units={
            "mac": Unit(
                rate_per_s={dtype: 2 * high * wide * clock_hz},
                energy_j_per_flop={dtype: mac_j(dtype, node) / 2},
                follows="arrays.elements.rows arrays.elements.columns clock",
            )
        },
        memories={
            "dram": Memory(
                capacity_bytes=UNBOUNDED_BYTES,
                bandwidth_bytes_per_s=speed,
                energy_j_per_byte=dram_j,
                technology=dram,
            ),
            "buffer": Memory(
                capacity_bytes=held,
                bandwidth_bytes_per_s=(high + wide) * bytes_of(dtype) * clock_hz,
                energy_j_per_byte=memory_j_per_byte(held, node)
                + wire_j_per_byte(elements_m2, node),
            ),
            "register": Memory(
                capacity_bytes=own,
                bandwidth_bytes_per_s=UNLIMITED_BYTES_PER_S,
                energy_j_per_byte=memory_j_per_byte(own, node),
                array="elements",
            ),
        },
        arrays={"elements": Array(rows=high, columns=wide)},
        area_m2=elements_m2 + memory_m2(held, node),
        node=node,
        sources=_sources(),
    )


def _one(value: Any, dimension: str, where: str) -> float:
    return float(amount(value, dimension, where=where))


def _sources() -> dict[str, str]:
    """Where each number comes from, by its path."""
    said = {
        "law": ("units.mac.energy", "memories.register.energy", "area"),
        "wires": ("memories.buffer.energy",),
        "asked": (
            *("arrays.elements.rows", "arrays.elements.columns", "clock"),
            *("memories.buffer.capacity", "memories.register.capacity", "memories.dram.bandwidth"),
        ),
        "feed": ("memories.buffer.bandwidth",),
        "unlimited": ("memories.dram.capacity", "memories.register.bandwidth"),
        "dram": ("memories.dram.energy",),
    }
    return {path: SOURCES[name] for name, paths in said.items() for path in paths}
