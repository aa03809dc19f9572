"""Area of a spatial machine in m2: from its tables, as it was published, or by laws of capacity.

From tables an element has one circuit of each function that its array lists; what a function shares
with another is in the other's area, and a memory's area grows with its capacity (`levers`).

By law (`hwmodel.hardware.capacity_laws`) every element has a multiply-accumulate of the formats
that its unit computes in (between the narrowest and the widest the geometric mean), and every
memory but the outermost the area of its capacity, at the machine's node, or 45 nm where none is
stated:

    area = sum over arrays of elements (MAC + memories of an element) + other memories

Control, networks and pads are in none of it: the core of Eyeriss, 12.25 mm2 in 65 nm, is 1.7 times
what the law gives for it, and cells alone are half of its SRAM, so that the range is `RANGE`; below
45 nm chips shrank more slowly than with the square of the node that the law takes (`SHRUNK`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from hwmodel.hardware.capacity_laws import NODE
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.law_made import chip_m2, node, tabled_m2
from hwmodel.hardware.peaks import WHAT_IF
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.remembered import remembered, single
from hwmodel.quantity.units import Amount

ON_CHIP = ("arrays.*", "processors.count", "resources.*", "memories.*.capacity", "node")
"""Numbers that say how much lies on a chip."""

RANGE = (0.4, 4.0)
"""Low and high multiples of an area by law: a prior."""

SHRUNK = 0.6
"""Power of 45 nm over the node by which the high end rises: a cell of SRAM takes 0.346 um2 at 45 nm
and 0.027 at 7 (recalled), 3.2 times the square of the node."""

INSTEAD = {
    "fpga": "; what a design takes of its fabric stands in the place of it",
    "mcu": "; makers of microcontrollers publish none",
}
"""Kind of machine -> what is said instead of an area."""


@dataclass(frozen=True)
class Area:
    """Square metres, with a range (low, high) where laws gave them; None, and why, where none.

    `said` is how they were found, for assumptions.
    """

    m2: Amount | None
    range_m2: tuple[Amount, Amount] | None = None
    reason: str = ""
    said: tuple[str, ...] = ()

    def of(self, count: Amount) -> "Area":
        """Of so many devices, or of so many times as much."""
        ends = self.range_m2
        return replace(
            self,
            m2=None if self.m2 is None else self.m2 * count,
            range_m2=None if ends is None else (ends[0] * count, ends[1] * count),
        )

    def missing(self, kind: str) -> tuple[str, ...]:
        """What a machine of a kind warns of: an array has an area."""
        return (self.reason,) if self.reason and kind == "spatial" else ()


def areas_m2(hardware: Hardware) -> Mapping[str, Amount]:
    """Square metres of each array, with its elements' memories, and of the other memories.

    Raises `CoverageError` where the machine's tables have no areas.
    """
    if not any(np.any(memory.area_m2) for memory in hardware.memories.values()):
        raise CoverageError(f"{hardware.name}: its tables have no areas; fusemax has them")
    return tabled_m2(hardware)


@remembered(keep=single)
def area_of(hardware: Hardware) -> Area:
    """Square metres of one device: from its tables, as published, or by law on arrays.

    What was published of a whole holds no longer where a what-if has changed what lies on it: a
    shipped array's then went as the law does (`levers`).
    """
    if any(np.any(memory.area_m2) for memory in hardware.memories.values()):
        return Area(sum(areas_m2(hardware).values()))
    changed = [
        path
        for path, source in hardware.sources.items()
        if source == WHAT_IF and any(fnmatchcase(path, pattern) for pattern in ON_CHIP)
    ]
    if hardware.kind == "spatial":
        stated = hardware.area_m2
        if stated is not None and not changed and not _derived(hardware):
            return Area(stated)
        return _scaled(by_law(hardware), stated)
    if hardware.area_m2 is not None and not changed:
        return Area(hardware.area_m2)
    if hardware.area_m2 is None:
        instead = INSTEAD.get(hardware.kind, "")
        return Area(
            None, reason=f"area is null: nothing at hand states one for {hardware.name}{instead}"
        )
    return Area(
        None,
        reason=f"area is null: that of {hardware.name} was published as a whole, not of its parts,"
        f" and this what-if changes {', '.join(changed)}",
    )


def _derived(hardware: Hardware) -> bool:
    """Whether the area that a machine states is itself by law."""
    return hardware.sources.get("area", "derived").startswith("derived")


def _scaled(found: Area, stated: Amount | None) -> Area:
    """The range of a law around an area that is stated, where one is."""
    if stated is None or found.m2 is None:
        return found
    return replace(found.of(stated / found.m2), m2=stated)


def by_law(hardware: Hardware) -> Area:
    """An array's area by laws of capacity, with its range."""
    at, total = node(hardware), chip_m2(hardware)
    if total is None:
        return Area(
            None,
            reason=f"area is null: {hardware.name} has a memory on the chip without a limit;"
            " say its capacity",
        )
    low, high = RANGE
    high = high * np.maximum(1.0, NODE / np.asarray(at)) ** SHRUNK
    words = f"{float(np.max(at)):g} nm" + ("" if hardware.node is not None else " (assumed)")
    said = (
        f"area: by laws of capacity at {words}, elements and memories alone;"
        " a prior, hence the range"
    )
    above = total * (float(high) if np.ndim(high) == 0 else high)
    return Area(total, (low * total, above), said=(said,))


def sized(
    hardware: Hardware, *, side: int, head_dim: int, keys: int, doublings: int = 0
) -> Hardware:
    """The machine with arrays of another side and the buffer that attention needs for them.

    The buffer is that of the sizing rule in FuseMax's artifact (MICRO 2024): 16 bytes for each word
    of a tile of E words a query, of as many tiles as the elements' pipelines need at once:

        16 side E max(1, floor(2 max(1, side / E) side / keys))

    doubled as often as asked, which the artifact does until DRAM keeps pace with the 1D array. Its
    area changes with its capacity, and its rows are as wide as the arrays.
    """
    widened = side / hardware.arrays["matrix"].columns
    together = 2 * max(1, side // head_dim)
    least = 16 * side * head_dim * max(1, together * side // keys)
    capacity = least * 2**doublings
    buffer = hardware.memory("buffer")
    return hardware.but(
        arrays={"matrix": {"rows": side, "columns": side}, "vector": {"rows": side}},
        buffer={
            "capacity_bytes": capacity,
            "bandwidth_bytes_per_s": buffer.bandwidth_bytes_per_s * widened,
            "area_m2": buffer.area_m2 * capacity / buffer.capacity_bytes,
        },
        title=f"{hardware.name}, {side} x {side}",
    )
