"""Energy and area of an array's parts from their sizes: memories by capacity, MACs by format.

At 45 nm, from published tables; `energy_tables.scaled` carries joules to another node.

    SRAM        10 pJ (KiB / 8)^0.48 for 64 bits   (Horowitz, ISSCC 2014: 8 KiB 10 pJ, 32 KiB 20 pJ,
                                                    1 MiB 100 pJ), down to 1 KiB
    registers   along the same power, from 0.61 pJ for 16 bits of a file of 24 bytes (artifact of
                FuseMax, MICRO 2024: read 0.653, written 0.570), up to where it meets the SRAM's
    MAC         multiply and add of a format (Horowitz); what it lacks by the square of the width
    area        of SRAM in proportion to capacity, 94.18 mm2 for 16 MiB; of registers 16,849 um2 for
                32 bytes, but no more than 1 KiB of SRAM; of a 16-bit floating multiply-accumulate
                1545 um2, others by the square of the width (artifact of FuseMax)
    wires       0.2 pJ a bit and mm at 45 nm, 0.08 at 16 and less: a prior; a value goes half an
                array's side down and across on its way from the buffer to an element

Joules of an access are means of a read and a write. Areas go with the square of the node: a prior.
"""

import math

from hwmodel.hardware.energy_tables import scaled, table
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import InputError

NODE = 45
"""Nanometres of the tables that everything rests on."""

SRAM_J_PER_BYTE = 10e-12 / 8
SRAM_BYTES = 8 * 1024
POWER = 0.48
"""Joules a byte at a capacity, and how they grow with it (through Horowitz's three memories)."""

REGISTER_J_PER_BYTE = (0.653431e-12 + 0.56957e-12) / 2 / 2
REGISTER_BYTES = 24
SRAM_M2_PER_BYTE = 94_176_255.9664e-12 / 2**24
REGISTER_M2_PER_BYTE = 16_849.2142e-12 / 32
SMALL_BYTES = 1024
"""Below so many bytes a memory is a file of registers."""

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
    sram = SRAM_J_PER_BYTE * (max(capacity_bytes, SMALL_BYTES) / SRAM_BYTES) ** POWER
    if capacity_bytes < SMALL_BYTES:
        file = REGISTER_J_PER_BYTE * (capacity_bytes / REGISTER_BYTES) ** POWER
        sram = min(sram, file)
    return sram * _shrunk(node, capacity_bytes)


def memory_m2(capacity_bytes: float, node: int = NODE) -> float:
    """Square metres of a memory of a capacity."""
    _check(capacity_bytes)
    small = capacity_bytes < SMALL_BYTES
    file = REGISTER_M2_PER_BYTE * capacity_bytes
    sram = SRAM_M2_PER_BYTE * max(capacity_bytes, SMALL_BYTES)
    return (min(file, SRAM_M2_PER_BYTE * SMALL_BYTES) if small else sram) * (node / NODE) ** 2


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


def _shrunk(node: int, capacity_bytes: float) -> float:
    """E(node) / E(45) of a memory of a capacity, by the published tables."""
    if node == NODE:
        return 1.0
    before, after = table("horowitz-2014"), scaled(table("horowitz-2014"), node)
    near = min(
        before.memories,
        key=lambda n: abs(math.log(float(before.memories[n].capacity_bytes) / capacity_bytes)),
    )
    return float(after.memories[near].energy_j / before.memories[near].energy_j)


def _check(capacity_bytes: float) -> None:
    if not (math.isfinite(capacity_bytes) and capacity_bytes > 0):
        raise InputError(
            f"capacity: expected bytes above 0 that are finite, found {capacity_bytes!r}"
        )
