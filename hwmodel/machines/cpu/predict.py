"""A workload on a CPU board: Einsum by Einsum, roofline over vector units, cache and DRAM.

Every kernel is started on all cores (a launch), and takes the longest of its operations, its
traffic through the shared cache and its traffic through the DRAM (`hwmodel.machines.streaming`).
Half of the shared cache keeps tensors between Einsums, half holds tiles.
"""

from hwmodel.bounds.roofline import peak_s
from hwmodel.einsum.network import Workload
from hwmodel.einsum.pairwise import chained
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.cpu.rates import INTERVAL, cache, rates
from hwmodel.machines.run import Run, timed
from hwmodel.machines.streaming import Machine, asked, leaves, wider
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.spine.activity import Serial, Work

KERNEL = "cpu"
UNIT = "vector"


def run(workload: Workload, hardware: Hardware, kernel: str | None) -> Run:
    """A workload on one CPU board, stage after stage."""
    if kernel not in (None, KERNEL):
        raise UnknownNameError(f"kernel of {hardware.name}", kernel, (KERNEL,))
    speeds, machine = rates(hardware), cores(limits(hardware), cache(hardware))
    stages = chained(workload)
    works = [leaves(stage.cascade, machine) for stage in stages]
    launch = Work(slots={"launch": 1})
    return Run(
        parts=tuple(
            (timed(s.name, KERNEL, s.times, Serial((launch, *each)), speeds, s.cascade, INTERVAL),)
            for s, each in zip(stages, works, strict=True)
        ),
        busy_s=peak_s(asked(stages, works), hardware),
        assumptions=(
            "stack: no library in particular; all cores on each kernel, half of the shared cache"
            " for tensors in between; stages hand on through the DRAM",
        ),
        warnings=(
            f"uncalibrated: {hardware.name} was not measured; shares of its peaks are priors",
        ),
    )


def cores(limits: Limits, fast: str) -> Machine:
    """How a CPU streams a cascade: one kind of unit, half of its shared cache for each use."""
    half = limits.capacity_bytes[fast] / 2
    return Machine(
        unit_of_product=lambda a, b: (UNIT, wider(a, b)),
        plain=(UNIT, "fp32"),
        resident_bytes=half,
        tile_bytes=half,
        fast=fast,
    )
