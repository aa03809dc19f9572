"""A workload on a CPU board: Einsum by Einsum, roofline over vector units, cache and DRAM.

Every kernel is started on all cores (a launch), and takes the longest of its operations, its
traffic through the shared cache and its traffic through the DRAM (`hwmodel.machines.streaming`).
Half of the shared cache keeps tensors between Einsums, half holds tiles.
"""

from hwmodel.bounds.bound import bound
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack, Stage
from hwmodel.einsum.pairwise import chained
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.cpu.rates import INTERVAL, cache, rates
from hwmodel.machines.streaming import Machine, least_s, leaves, part, wider
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.spine.activity import Serial, Work
from hwmodel.spine.estimate import Estimate, Part

KERNEL = "cpu"
UNIT = "vector"


def predict(workload: Cascade | Stack, hardware: Hardware, *, kernel: str | None) -> Estimate:
    """Estimate of a workload on one CPU board."""
    if kernel not in (None, KERNEL):
        raise UnknownNameError(f"kernel of {hardware.name}", kernel, (KERNEL,))
    workload = chained(workload)
    stages = workload.stages if isinstance(workload, Stack) else (Stage(workload),)
    room, speeds, fast = limits(hardware), rates(hardware), cache(hardware)
    machine = cores(room, fast)
    parts: list[Part] = []
    for stage in stages:
        if stage.collective is not None:
            raise CoverageError(f"{hardware.name}: one board runs it all; use tp 1")
        works = leaves(stage.cascade, machine)
        tree = Serial((Work(slots={"launch": 1}), *works))
        parts.append(part(stage.name, KERNEL, stage.times, tree, speeds, stage.cascade, INTERVAL))
    floor = bound(workload, room, outermost=True)
    return Estimate(
        name=workload.name,
        device=hardware.title,
        parts=tuple(parts),
        bound_bytes=floor.dram_bytes,
        bound_s=least_s(workload, hardware, floor.dram_bytes, machine),
        assumptions=(
            "stack: no library in particular; all cores on each kernel, half of the shared cache"
            " for tensors in between; stages hand on through the DRAM",
        ),
        warnings=(
            *getattr(workload, "warnings", ()),
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
