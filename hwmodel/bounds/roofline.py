"""The least time of a workload: every resource at its datasheet peak, all of them overlapped.

    t >= max over units of (operations / peak rate),  least bytes / bandwidth

(Williams, Waterman, Patterson, CACM 52(4), 2009, with the bytes of `bound`). A class of machine
says which unit does which operation; the rest is the same for all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwmodel.bounds.bound import bound
from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation


@dataclass(frozen=True, eq=False)
class Floor:
    """Bytes across the outermost memory's boundary, and seconds, that no schedule goes below."""

    bytes: Amount
    time_s: Amount


def peak_s(
    asked: Iterable[tuple[Amount, Mapping[Operation, Amount]]], hardware: Hardware
) -> dict[str, Amount]:
    """Seconds that each unit needs at its peak, for operations that run so many times each."""
    busy: dict[str, Amount] = {}
    for times, operations in asked:
        for (unit, _, dtype), count in operations.items():
            busy[unit] = busy.get(unit, 0) + times * count / hardware.rate(unit, dtype)
    return busy


def roofline_s(busy_s: Mapping[str, Amount], least_bytes: Amount, bytes_per_s: Amount) -> Amount:
    """Least seconds, of units that are busy so long and a memory that carries so many bytes.

    >>> roofline_s({"matrix": 2.0, "vector": 1.0}, 30e9, 10e9)
    3.0
    """
    return most((*busy_s.values(), least_bytes / bytes_per_s))


def floor_of(
    workload: Workload, hardware: Hardware, busy_s: Mapping[str, Amount], *, kept: str = ""
) -> Floor:
    """The bound on the DRAM's traffic, and the roofline with it.

    Of repetitions on the same buffers each finds at most so many bytes, read or still to be written
    back, as the level `kept` holds: they lower the bound by no more.
    """
    least_bytes = bound(workload, limits(hardware), outermost=True).dram_bytes
    if kept:
        least_bytes = most((0.0, least_bytes - limits(hardware).capacity_bytes[kept]))
    speed = hardware.memory("dram").bandwidth_bytes_per_s
    return Floor(least_bytes, roofline_s(busy_s, least_bytes, speed))
