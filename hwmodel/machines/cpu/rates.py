"""Rates of a CPU board or a matrix accelerator: units and memory at shares that code reaches.

None was measured here. The shares are priors by kind of machine, so that a what-if on a datasheet
number moves the prediction; their spread is the estimate's interval. A device of which published
rates are known has a family `streaming` in its calibration, which goes before.
"""

from hwmodel.hardware.calibration import Family, Parameter
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Rates

MATRIX, VECTOR, DRAM = "matrix", "vector", "dram"
FAMILY = "streaming"
INTERVAL = (0.6, 2.0)
"""(low, high) multiples of the predicted time: a prior from the spread of the shares."""


def _prior(**shares: tuple[float, str]) -> Family:
    told = {
        unit: Parameter(value=share, low=0.01, high=1.0, meaning=meaning)
        for unit, (share, meaning) in shares.items()
    }
    return Family(parameters=told, interval=INTERVAL, origin="prior")


PRIORS = {
    "cpu": _prior(
        matrix=(0.5, "share of the peak of matrix instructions: assumed, below vector units'"),
        vector=(0.6, "share of the vector units' peak: assumed; dense products reach 0.5 to 0.8"),
        dram=(0.6, "share of the DRAM's peak: 4 to 6 of 12.8 GB/s were seen on a Raspberry Pi 4"),
    ),
    "npu": _prior(
        matrix=(0.7, "share of the matrix units' peak: assumed, what large products reach on GPUs"),
        vector=(0.6, "share of the vector units' peak: assumed"),
        dram=(0.85, "share of the DRAM's peak: assumed, as of GPUs with such memories"),
    ),
}
"""Shares by kind of machine where nothing is published of a device. On a Raspberry Pi 5, too, 9 to
12 of the DRAM's 17.1 GB/s were seen."""

STORAGE = "storage"


def rates(hardware: Hardware) -> Rates:
    """Rates of all of the machine's cores together; storage is a link, with seconds a request."""
    shares = _family(hardware).values
    operations: dict[Operation, Amount] = {}
    joules: dict[Operation, Amount] = {}
    for name, unit in hardware.units.items():
        for kind, rate in unit.rate_per_s.items():
            operations[name, "flop", kind] = rate * shares.get(name, shares[VECTOR])
            joules[name, "flop", kind] = unit.energy_j_per_flop.get(kind, 0.0)
    drawn = {name: memory.bandwidth_bytes_per_s for name, memory in hardware.memories.items()}
    drawn[DRAM] = drawn[DRAM] * shares[DRAM]
    prices = {name: memory.energy_j_per_byte for name, memory in hardware.memories.items()}
    messages: dict[str, tuple[Amount, Amount]] = {}
    drive = hardware.storage
    if drive is not None:
        messages[STORAGE] = (drive.latency_s, drive.bandwidth_bytes_per_s)
        prices[STORAGE] = drive.energy_j_per_byte
    return Rates(
        of=hardware.name,
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


def interval(hardware: Hardware) -> tuple[float, float]:
    """Multiples of the predicted time that 90 % of measured ones lie between."""
    return _family(hardware).interval


def _family(hardware: Hardware) -> Family:
    told = hardware.calibration.families if hardware.calibration else {}
    return told.get(FAMILY) or PRIORS[hardware.kind]


def cache(hardware: Hardware) -> str:
    """The memory that all cores share, the level next to the DRAM."""
    names = [name for name in hardware.memories if name != DRAM]
    if not names:
        raise CoverageError(f"{hardware.name}: expected a cache beside its dram, found none")
    return names[0]
