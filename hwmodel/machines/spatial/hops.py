"""Hops: what brings words between a memory that all elements share and their own, and its joules.

    mesh    a word goes half of the rows and columns on average, (R + C) / 2 steps, to the first
            element that takes it, and one step more to each other: neighbours pass it on
    bus     a word is driven along a row's and a column's wires, R + C steps, however many take it

Sums go the same way back, added on their way. A step costs the array's `hop_energy`; words wait for
no other, as wires are taken to keep pace with the memory that they start from.
"""

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.counts import Counts


def steps_of(hardware: Hardware) -> tuple[float, float]:
    """Steps of each word that leaves the shared memory, and of each that an element takes."""
    for array in hardware.arrays.values():
        sides = float(array.rows) + float(array.columns)
        return (sides, 0.0) if array.network == "bus" else (max(0.0, sides / 2 - 1), 1.0)
    return 0.0, 0.0


def hop_j_per_byte(hardware: Hardware) -> float:
    """Joules of a byte's step; 0 where the machine states none."""
    return sum(float(array.hop_energy_j_per_byte) for array in hardware.arrays.values())


def hop_bytes(counts: Counts, hardware: Hardware) -> float:
    """Bytes times steps of all words between shared memories and elements' own."""
    leaving, taken = steps_of(hardware)
    total = 0.0
    for t in counts.transfers:
        if hardware.memories[t.inner].array and not hardware.memories[t.outer].array:
            inner = t.element_bytes if t.inner_bytes is None else t.inner_bytes
            total += (t.fills + t.drains + t.returns) * t.element_bytes * leaving
            total += (t.copies + t.partials + t.returned) * inner * taken
    return total
