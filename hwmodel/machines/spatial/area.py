"""Area of a spatial machine from its tables: elements, their registers, and the buffer, in m2.

An element has one circuit of each function that its array lists; what a function shares with
another is in the other's area. A memory's area grows with its capacity (`levers`).
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.peaks import WHAT_IF
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.remembered import remembered, single
from hwmodel.quantity.units import Amount

ON_CHIP = ("arrays.*", "processors.count", "resources.*", "memories.*.capacity")
"""Numbers that say how much lies on a chip."""


def areas_m2(hardware: Hardware) -> Mapping[str, Amount]:
    """Square metres of each array, with its elements' memories, and of the other memories.

    Raises `CoverageError` where the machine's tables have no areas.
    """
    if not any(np.any(memory.area_m2) for memory in hardware.memories.values()):
        raise CoverageError(f"{hardware.name}: its tables have no areas; fusemax has them")
    found: dict[str, Amount] = {}
    for name, array in hardware.arrays.items():
        each = sum(hardware.functions[function].area_m2 for function in array.cycles)
        own = sum(m.area_m2 for m in hardware.memories.values() if m.array == name)
        found[name] = hardware.elements(name) * (each + own)
    for name, memory in hardware.memories.items():
        if not memory.array and name != "dram":
            found[name] = memory.area_m2
    return found


@remembered(keep=single)
def area_of(hardware: Hardware) -> tuple[Amount | None, str]:
    """Square metres of one device, or None and why: from its tables, else as it was published.

    What was published of a whole holds no longer where a what-if has changed what lies on it.
    """
    if any(np.any(memory.area_m2) for memory in hardware.memories.values()):
        return sum(areas_m2(hardware).values()), ""
    if hardware.area_m2 is None:
        return None, f"area is null: nothing at hand states one for {hardware.name}"
    changed = [
        path
        for path, source in hardware.sources.items()
        if source == WHAT_IF and any(fnmatchcase(path, pattern) for pattern in ON_CHIP)
    ]
    if not changed:
        return hardware.area_m2, ""
    return None, (
        f"area is null: that of {hardware.name} was published as a whole, not of its parts, and"
        f" this what-if changes {', '.join(changed)}"
    )


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
