"""Hops: what brings words between a memory that all elements share and their own: joules and time.

    mesh    a word goes half of the rows and columns on average, (R + C) / 2 steps, to the first
            element that takes it, and one step more to each other: neighbours pass it on
    bus     a word is driven along a row's and a column's wires, R + C steps, however many take it

Sums go the same way back, added on their way. A step costs the array's `hop_energy`. Words follow
one another: an Einsum waits for the first to reach the farthest element, R + C steps of
`hop_latency`, and for its last sum to come back. All steps together keep the links busy,

    bytes x steps / (links x `link_bytes_per_s`)

of R (C - 1) + C (R - 1) links of a mesh and one into it, all at work in the mean (a lower bound: of
uneven ways the busiest link takes longer); a bus drives its R + C wires for one word at a time.
"""

import math

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


def links_bytes_per_s(hardware: Hardware) -> float:
    """Bytes times steps that an array's links carry in a second; infinity where none is stated."""
    total = 0.0
    for array in hardware.arrays.values():
        rows, columns = float(array.rows), float(array.columns)
        inside = rows * (columns - 1) + columns * (rows - 1) + 1
        total += float(array.link_bytes_per_s) * (
            rows + columns if array.network == "bus" else inside
        )
    return total if hardware.arrays else math.inf


def waits_s(hardware: Hardware) -> float:
    """Seconds in which an Einsum's first word comes to the farthest element, its last sum back."""
    each = hardware.arrays.values()
    return sum(2 * (float(a.rows) + float(a.columns)) * float(a.hop_latency_s) for a in each)


def has_network(hardware: Hardware) -> bool:
    """Whether a step costs joules, or links have a rate."""
    return hop_j_per_byte(hardware) > 0 or links_bytes_per_s(hardware) < math.inf


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
