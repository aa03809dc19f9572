"""Rates of a CPU board: vector units and memory at the shares of their peaks that code reaches.

No board was measured here. The shares are priors, the same for every board, so that a what-if on a
datasheet number moves the prediction; their spread is the estimate's interval.
"""

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Rates

COMPUTE = 0.6
"""Share of the vector units' peak: assumed; dense products reach 0.5 to 0.8."""

STREAM = 0.6
"""Share of the DRAM's peak: assumed; 4 to 6 of 12.8 GB/s were seen on a Raspberry Pi 4, 9 to 12 of
17.1 on a Raspberry Pi 5."""

INTERVAL = (0.6, 2.0)
"""(low, high) multiples of the predicted time: a prior from the spread of both shares."""

STORAGE = "storage"


def rates(hardware: Hardware) -> Rates:
    """Rates of all of the board's cores together; storage is a link, with seconds a request."""
    operations: dict[Operation, Amount] = {}
    joules: dict[Operation, Amount] = {}
    for name, unit in hardware.units.items():
        for kind, rate in unit.rate_per_s.items():
            operations[name, "flop", kind] = rate * COMPUTE
            joules[name, "flop", kind] = unit.energy_j_per_flop.get(kind, 0.0)
    drawn = {name: memory.bandwidth_bytes_per_s for name, memory in hardware.memories.items()}
    drawn["dram"] = drawn["dram"] * STREAM
    prices = {name: memory.energy_j_per_byte for name, memory in hardware.memories.items()}
    messages: dict[str, tuple[Amount, Amount]] = {}
    drive = hardware.storage
    if drive is not None:
        messages[STORAGE] = (drive.latency_s, drive.bandwidth_bytes_per_s)
        prices[STORAGE] = drive.energy_j_per_byte
    return Rates(
        operations=operations,
        read=drawn,
        written=drawn,
        messages=messages,
        slots={"launch": ("launch", hardware.launch.graph_s)},
        operation_j=joules,
        byte_j=prices,
        static_w=hardware.power.idle_w,
        limit_w=hardware.power.limit_w,
    )


def cache(hardware: Hardware) -> str:
    """The cache that all cores share, the level next to the DRAM."""
    names = [name for name in hardware.memories if name != "dram"]
    if not names:
        raise CoverageError(f"{hardware.name}: expected a cache beside its dram, found none")
    return names[0]
