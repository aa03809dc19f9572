"""A workload on a CPU board or a matrix accelerator: Einsum by Einsum, roofline over its units.

A stage takes the longest of its operations, its traffic through the shared fast memory and its
traffic through the DRAM (`hwmodel.machines.streaming`). All cores are started for each stage with a
product, and for the first; stages between that only map or reduce rows (norms, rotary positions,
activations, residuals) go on in the threads that hold those rows, as engines fuse them. Half of the
fast memory keeps tensors between Einsums, half holds tiles. Products run on the matrix unit where
the machine has one that multiplies their format (AMX of a Xeon; TPU, Gaudi, Trainium), all else on
the vector units.
"""

from hwmodel.bounds.roofline import peak_s
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Workload
from hwmodel.einsum.pairwise import chained
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.cpu.rates import MATRIX, VECTOR, cache, interval, rates
from hwmodel.machines.run import Run, timed
from hwmodel.machines.streaming import Machine, asked, leaves, two_factors, wider
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.spine.activity import Serial, Work


def run(workload: Workload, hardware: Hardware, kernel: str | None) -> Run:
    """A workload on one such machine, stage after stage."""
    name = hardware.kind
    if kernel not in (None, name):
        raise UnknownNameError(f"kernel of {hardware.name}", kernel, (name,))
    formats = frozenset(hardware.units[MATRIX].rate_per_s if MATRIX in hardware.units else ())
    speeds, machine = rates(hardware), cores(limits(hardware), cache(hardware), formats)
    low_high = interval(hardware)
    stages = chained(workload)
    works = [leaves(stage.cascade, machine) for stage in stages]
    trees = (
        Serial((*_started(stage, first=not number), *each))
        for number, (stage, each) in enumerate(zip(stages, works, strict=True))
    )
    return Run(
        parts=tuple(
            (timed(s.name, name, s.times, tree, speeds, s.cascade, low_high),)
            for s, tree in zip(stages, trees, strict=True)
        ),
        busy_s=peak_s(asked(stages, works), hardware),
        assumptions=(
            "stack: no library in particular; all cores on each kernel, started for each product,"
            " half of the shared fast memory for tensors in between; stages hand on through the"
            " DRAM",
        ),
        warnings=(
            f"uncalibrated: {hardware.name} was not measured; shares of its peaks are priors",
        ),
    )


def _started(stage: Stage, *, first: bool) -> tuple[Work, ...]:
    """One start of all cores, where the stage needs one."""
    products = (two_factors(einsum) for einsum in stage.cascade.einsums)
    own = first or any(each and each[0].tensor != each[1].tensor for each in products)
    return (Work(slots={"launch": 1}),) if own else ()


def cores(limits: Limits, fast: str, formats: frozenset[str] = frozenset()) -> Machine:
    """How such a machine streams a cascade, half of its shared fast memory for each use.

    `formats` are those that its matrix unit multiplies.
    """
    half = limits.capacity_bytes[fast] / 2

    def unit_of_product(a: str, b: str) -> tuple[str, str]:
        kind = wider(a, b)
        return (MATRIX if kind in formats else VECTOR), kind

    return Machine(
        unit_of_product=unit_of_product,
        plain=(VECTOR, "fp32"),
        resident_bytes=half,
        tile_bytes=half,
        fast=fast,
    )
