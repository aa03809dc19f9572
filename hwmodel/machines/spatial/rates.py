"""Rates of a spatial machine: what its units, memories and arrays do per second and per joule.

All rates are of the whole device, at its clock. A kind of operation runs on the unit of its name
("exp") where the machine has one, else on the machine's first unit. Each element of an array makes
one step a cycle, whether or not a last, partial tile gives it something to do.
"""

from collections.abc import Callable, Iterable

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.hops import has_network, hop_j_per_byte, links_bytes_per_s, waits_s
from hwmodel.machines.spatial.rules import NETWORK, STEP, WAY
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Rates


def unit_of(hardware: Hardware) -> Callable[[str], str]:
    """Which unit runs a kind of operation."""
    first = next(iter(hardware.units))
    return lambda kind: kind if kind in hardware.units else first


def rates(hardware: Hardware, operations: Iterable[Operation]) -> Rates:
    """The machine's rates for these operations; raises `CoverageError` for a dtype it lacks."""
    keys = tuple(operations)
    joules: dict[Operation, Amount] = {
        key: hardware.units[key[0]].energy_j_per_flop.get(key[2], 0.0) for key in keys
    }
    bandwidths = {n: memory.bandwidth_bytes_per_s for n, memory in hardware.memories.items()}
    byte_j = {n: memory.energy_j_per_byte for n, memory in hardware.memories.items()}
    if has_network(hardware):
        bandwidths[NETWORK] = links_bytes_per_s(hardware)
        byte_j[NETWORK] = hop_j_per_byte(hardware)
    return Rates(
        of=hardware.name,
        operations={key: hardware.rate(key[0], key[2]) for key in keys},
        read=bandwidths,
        written=bandwidths,
        slots={STEP: ("array", 1 / hardware.clock_hz), WAY: (NETWORK, waits_s(hardware))},
        operation_j=joules,
        byte_j=byte_j,
        static_w=hardware.power.idle_w,
    )
