"""What one more KiB of fast memory, or one more byte a second, is worth at each boundary.

Exact differences of the bound, not slopes: where the bound is compulsory a KiB buys nothing, and
where it falls as 1/sqrt(S) it buys less and less. With bytes Q and bandwidth B the least time of a
boundary is Q / B, of which one more byte a second takes away Q / (B (B + 1)).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwmodel.bounds.bound import bound_of, boundaries
from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import UNLIMITED_BYTES_PER_S, Hardware, Limits, limits
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount

KIB = 1024


@dataclass(frozen=True, eq=False)
class Gain:
    """What the bound at `level` gains; times are None where no bandwidth is known.

    Attributes:
        bytes_saved_per_kib: bytes that need not cross `level` with 1 KiB more inside it.
        time_saved_per_kib_s: seconds of transfer that this KiB saves.
        time_saved_per_byte_per_s_s: seconds that one more byte a second saves.
    """

    level: str
    bytes: Amount
    bytes_saved_per_kib: Amount
    time_saved_per_kib_s: Amount | None = None
    time_saved_per_byte_per_s_s: Amount | None = None


def sensitivity(
    workload: Workload,
    limits: Limits,
    bandwidth_bytes_per_s: Mapping[str, Amount] | None = None,
) -> tuple[Gain, ...]:
    """One entry for each boundary, outermost first; bandwidths by level where they are known.

    Raises `UnknownNameError` for a bandwidth of a level that is no boundary.
    """
    speeds = bandwidth_bytes_per_s or {}
    levels = dict(boundaries(limits))
    for name in speeds:
        if name not in levels:
            raise UnknownNameError("boundary of the memory hierarchy", name, levels)
    return tuple(
        _at(workload, level, inside, speeds.get(level)) for level, inside in levels.items()
    )


def on_machine(workload: Workload, hardware: Hardware) -> tuple[Gain, ...]:
    """What a KiB and a byte/s more are worth at each boundary of a machine, at its bandwidths.

    A memory that never binds has none to add to.
    """
    known = limits(hardware)
    speeds = {n: hardware.memories[n].bandwidth_bytes_per_s for n, _ in boundaries(known)}
    bind = {n: speed for n, speed in speeds.items() if np.any(speed < UNLIMITED_BYTES_PER_S)}
    return sensitivity(workload, known, bind)


def _at(workload: Workload, level: str, inside: Amount, speed: Amount | None) -> Gain:
    now = bound_of(workload, inside, level=level).bytes
    saved = now - bound_of(workload, inside + KIB, level=level).bytes
    if speed is None:
        return Gain(level, now, saved)
    return Gain(level, now, saved, saved / speed, now / (speed * (speed + 1)))
