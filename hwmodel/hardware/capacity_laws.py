"""Energy and area of an array's parts from their sizes: memories by capacity, MACs by format.

At 45 nm, from published tables; `energy_tables.scaled` carries joules to another node.

    SRAM        10 pJ (KiB / 8)^0.48 for 64 bits   (Horowitz, ISSCC 2014: 8 KiB 10 pJ, 32 KiB 20 pJ,
                                                    1 MiB 100 pJ), from 8 KiB on
    registers   of 16 bits 0.258 pJ in a file of 8 bytes and 0.612 pJ in one of 24 (artifact of
                FuseMax, MICRO 2024: means of read and written)
    MAC         multiply and add of a format (Horowitz); what it lacks by the square of the width
    area        of SRAM in proportion to capacity, 94.18 mm2 for 16 MiB, from 8 KiB on; of registers
                1838 um2 for 8 bytes and 4256 for 24; of a 16-bit floating multiply-accumulate
                1545 um2, others by the square of the width (artifact of FuseMax)
    wires       0.2 pJ a bit and mm at 45 nm, 0.08 at 16 and less: a prior; a value goes half an
                array's side down and across on its way from the buffer to an element

Between the published sizes (8 and 24 bytes, 8 KiB) both go as a power of the capacity, below them
as from 8 to 24 bytes. Two files of 32 bytes in the same artifact take 2145 and 16,849 um2, 0.45 and
3.5 times the law: files differ by their ports, which the range of an area allows for
(`hwmodel.machines.spatial.area`).

Joules of an access are means of a read and a write. Areas go with the square of the node: a prior.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from hwmodel.hardware.energy_tables import scaled, table
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import InputError

NODE = 45
"""Nanometres of the tables that everything rests on."""

SRAM_BYTES = 8 * 1024
POWER = 0.48
"""From so many bytes on a memory is an SRAM, whose joules a byte go with the capacity to a power
(through Horowitz's three memories)."""

SRAM_M2_PER_BYTE = 94_176_255.9664e-12 / 2**24
POINTS = (
    (8, (0.2915e-12 + 0.2253e-12) / 2 / 2, 1838.15e-12),
    (24, (0.653431e-12 + 0.56957e-12) / 2 / 2, 4255.9342e-12),
    (SRAM_BYTES, 10e-12 / 8, SRAM_M2_PER_BYTE * SRAM_BYTES),
)
"""Bytes, joules a byte and square metres of the small memories that are published."""

MAC_M2 = 1545e-12
MAC_BITS = 16
WIRE_J_PER_BYTE_M = {45: 0.2e-12 * 8 / 1e-3, 16: 0.08e-12 * 8 / 1e-3}
"""By node: joules to move a byte along a metre of wire; in between along the logarithm."""


def memory_j_per_byte(capacity_bytes: float, node: int = NODE) -> float:
    """Joules of one access to a memory of a capacity, a byte.

    >>> round(memory_j_per_byte(32 * 1024) * 8e12, 1)
    19.5
    """
    _check(capacity_bytes)
    if capacity_bytes >= SRAM_BYTES:
        found = POINTS[-1][1] * (capacity_bytes / SRAM_BYTES) ** POWER
    else:
        found = _between(capacity_bytes, [(size, joules) for size, joules, _ in POINTS])
    return found * _shrunk(node, capacity_bytes)


def memory_m2(capacity_bytes: float, node: int = NODE) -> float:
    """Square metres of a memory of a capacity."""
    _check(capacity_bytes)
    if capacity_bytes >= SRAM_BYTES:
        found = SRAM_M2_PER_BYTE * capacity_bytes
    else:
        found = _between(capacity_bytes, [(size, area_m2) for size, _, area_m2 in POINTS])
    return found * (node / NODE) ** 2


def mac_j(name: str, node: int = NODE) -> float:
    """Joules of a multiply-accumulate of operands in a format, sums in the next wider one.

    >>> round(mac_j("int8") * 1e12, 2)
    0.3
    """
    found = table("horowitz-2014")
    found = found if node == NODE else scaled(found, node)
    times, plus = found.operations["multiply"].energy_j, found.operations["add"].energy_j
    given = dtype(name)
    whole = given.name.startswith("int")
    known = sorted((n for n in times if n.startswith("int") == whole), key=lambda n: dtype(n).bits)
    nearest = min(known, key=lambda n: abs(math.log2(dtype(n).bits / given.bits)))
    multiply = times[nearest] * (given.bits / dtype(nearest).bits) ** 2
    sums = plus["int32" if whole else "fp32"]
    return float(multiply + sums)


def mac_m2(name: str, node: int = NODE) -> float:
    """Square metres of a multiply-accumulate of a format."""
    return MAC_M2 * (dtype(name).bits / MAC_BITS) ** 2 * (node / NODE) ** 2


def wire_j_per_byte(array_m2: float, node: int = NODE) -> float:
    """Joules to bring a byte from the edge of an array of that area to an element, on average."""
    share = min(1.0, max(0.0, math.log(NODE / node) / math.log(NODE / 16)))
    each = WIRE_J_PER_BYTE_M[45] ** (1 - share) * WIRE_J_PER_BYTE_M[16] ** share
    return each * math.sqrt(array_m2)


def _between(size: float, points: Sequence[tuple[float, float]]) -> float:
    """The power of the size through the two points around it, below the first as above it."""
    (left, low), (right, high) = next(
        (pair for pair in pairwise(points) if size <= pair[1][0]), points[-2:]
    )
    return low * (size / left) ** (math.log(high / low) / math.log(right / left))


def _shrunk(node: int, capacity_bytes: float) -> float:
    """E(node) / E(45) of a memory of a capacity, through the published memories."""
    if node == NODE:
        return 1.0
    before = table("horowitz-2014").memories
    after = scaled(table("horowitz-2014"), node).memories
    ratios = [
        (float(each.capacity_bytes), float(after[name].energy_j / each.energy_j))
        for name, each in before.items()
    ]
    return _between(min(max(capacity_bytes, ratios[0][0]), ratios[-1][0]), ratios)


def _check(capacity_bytes: float) -> None:
    if not (math.isfinite(capacity_bytes) and capacity_bytes > 0):
        raise InputError(
            f"capacity: expected bytes above 0 that are finite, found {capacity_bytes!r}"
        )
