"""Clocks that each unit of one processor is busy: the tables per tile by which kernels are made.

Activities are folded as everywhere, at rates of operations and bytes *per clock and processor*, so
that the fold's busy seconds are busy clocks. These widths come from the machine: its rate over its
processors and clock (the matrix unit's own clock, where datasheets state its peak at another), and
since units are built in powers of two or a few of them while datasheets round, to four significant
bits: 2250 TFLOP/s / 148 SMs / 1.856 GHz = 8191 is 8192 FLOP a clock.
"""

import math
from collections.abc import Mapping

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.rates import PRIVATE
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Rates, fold

SIGNIFICANT_BITS = 4
TIED = 0.05
"""Units whose clocks lie within this share of the busiest one's limit together."""


def width(per_clock: float) -> float:
    """The nearest number with four significant bits.

    >>> width(8191.1)
    8192.0
    """
    if not (per_clock > 0 and math.isfinite(per_clock)):
        raise InputError(f"rate per clock: expected a positive number, found {per_clock}")
    step = 2.0 ** (math.floor(math.log2(per_clock)) - SIGNIFICANT_BITS + 1)
    return round(per_clock / step) * step


def widths(hardware: Hardware) -> Rates:
    """Operations and bytes per clock of one processor; rates must be scalars."""
    count, clock = hardware.processors.count, hardware.clock_hz
    matrix_clock = hardware.matrix_clock_hz or clock

    def each(rate: Amount, hertz: Amount) -> float:
        return width(float(rate) / float(count) / float(hertz))

    operations: dict[Operation, Amount] = {
        (unit, "exp" if unit == "exp" else "flop", dtype): each(
            rate, matrix_clock if unit == "matrix" else clock
        )
        for unit, spec in hardware.units.items()
        for dtype, rate in spec.rates_per_s().items()
    }
    levels: dict[str, Amount] = {
        level: each(memory.bandwidth_bytes_per_s, clock)
        for level, memory in hardware.memories.items()
        if level in PRIVATE
    }
    return Rates(
        of=hardware.name, operations=operations, read=levels, written=levels, private=PRIVATE
    )


def clocks(activity: Activity, hardware: Hardware) -> Mapping[str, Amount]:
    """Clocks of each unit of one processor for an activity, such as a tile's step."""
    return fold(activity, widths(hardware)).busy_s


def limiting(busy: Mapping[str, Amount]) -> tuple[str, ...]:
    """The units that limit, busiest first: those within a twentieth of the busiest one."""
    longest = max(float(count) for count in busy.values())
    near = [name for name, count in busy.items() if float(count) >= (1 - TIED) * longest]
    return tuple(sorted(near, key=lambda name: -float(busy[name])))
