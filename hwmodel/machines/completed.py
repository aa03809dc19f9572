"""Parts of an estimate that read no less than the proven bound."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part

ROUNDING = 1 + 1e-12
"""Of sums of bytes in float64."""


def completed(
    parts: Sequence[Part], least_bytes: Amount, machine: Hardware, outermost: str
) -> tuple[Part, ...]:
    """Parts that together read no less than any schedule must.

    A schedule's closed form of what a cache forgets is rough: for operands just beyond all storage
    on the chip it may fall a little below the proven bound. All parts then read as much more, at
    the memory's peak rate and price; what they already moved stays as it was.
    """
    moved = [p.counts.read.get(outermost, 0) + p.counts.written.get(outermost, 0) for p in parts]
    pairs = tuple(zip(parts, moved, strict=True))
    total = sum([part.times * size for part, size in pairs])
    short = total * ROUNDING < least_bytes
    if not (np.any(short) if np.ndim(short) else short):
        return tuple(parts)
    more = where(short, least_bytes / most((total, 1)) - 1, 0.0)
    memory = machine.memory(outermost)
    found: list[Part] = []
    for part, size in pairs:
        extra, spent = more * size, more * size * memory.energy_j_per_byte
        extra_s = extra / memory.bandwidth_bytes_per_s
        read = {**part.counts.read, outermost: part.counts.read.get(outermost, 0) + extra}
        by_j = {n: j + (spent if n == outermost else 0) for n, j in part.energy_by_j.items()}
        changed = replace(
            part,
            counts=replace(part.counts, read=read),
            time_s=part.time_s + extra_s,
            sustained_s=part.sustained_s + extra_s,
            busy_s={**part.busy_s, outermost: part.busy_s.get(outermost, 0) + extra_s},
            energy_j=part.energy_j + spent,
            energy_by_j=by_j,
        )
        found.append(changed)
    return tuple(found)
