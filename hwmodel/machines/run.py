"""What a class of machine says of a workload's stages; the driver makes the estimate of it.

Every class has a module with `run(workload, hardware, kernel) -> Run`. It looks at stages, and at
what the workload carries, never at what made it. Collectives, bounds, memory and area are the
driver's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwmodel.bounds.roofline import Floor
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import ranked
from hwmodel.einsum.network import Workload, lone
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Rates, fold, totals
from hwmodel.spine.estimate import Part, Store
from hwmodel.spine.outside import Outside
from hwmodel.spine.power import settled

COLD, WARM = "cold", "warm"
L2 = (COLD, WARM)
"""State of the L2 that a prediction is of: inputs cycle over several capacities of it; or the work
is repeated on the same activations, with the weights of a few layers in turn (`gpu.warm`)."""


def l2_of(asked: str | None, workload: Workload, machine: Hardware, engine: bool) -> str:
    """The state of the L2 that is asked for; refuses what the work or the machine cannot have.

    A model's weights, and what is between its kernels, are many times an L2.
    """
    if asked is None or asked == COLD:
        return COLD
    if asked not in L2:
        raise InputError(f"l2: expected one of {', '.join(L2)}, found {shown(asked)}")
    if machine.kind != "gpu":
        raise CoverageError(
            f"l2: {WARM!r} is modelled on GPUs; {machine.name} is none; leave it out"
        )
    if engine or lone(workload) is None:
        raise InputError(
            f"l2: {WARM!r} is of one kernel's work, repeated; {workload.name} is a network of many;"
            " leave it out"
        )
    return asked


def limited_to(time_limit_s: float | None, machine: Hardware) -> dict[str, float]:
    """The limit of a search, for machines on which there is one; refuses it on others."""
    if time_limit_s is None:
        return {}
    if machine.kind != "spatial" or machine.binding:
        raise InputError(
            f"time_limit_s: expected none on {machine.name}, where no mapping is searched, found"
            f" {shown(time_limit_s)}; leave it out"
        )
    if not 0 <= time_limit_s < math.inf:
        raise InputError(f"time_limit_s: expected seconds, 0 or more, found {shown(time_limit_s)}")
    return {"time_limit_s": time_limit_s}


def need_no_sort(cascade: Cascade) -> None:
    """Raise `CoverageError` where an Einsum puts numbers in order, on a machine without a model."""
    if any(ranked(einsum.expression) for einsum in cascade.einsums):
        raise CoverageError(
            f"cascade {cascade.name!r}: sorts are modelled on GPUs alone; ask one, or leave it out"
        )


@dataclass(frozen=True, eq=False)
class Run:
    """A workload on one device: parts of each stage in order, and what they rest on.

    `busy_s` are the seconds that each unit needs at the least, at its peak, for the roofline; a
    `floor` stands in for bound and roofline where the machine has one of its own.
    """

    parts: tuple[tuple[Part, ...], ...]
    busy_s: Mapping[str, Amount] = field(default_factory=lambda: {})
    floor: Floor | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    stores: tuple[Store, ...] = ()
    outermost: str = "dram"
    """The memory whose traffic counts as the DRAM's."""
    by_layer: tuple[Mapping[str, Any], ...] = ()
    """A row for each layer of a network: what it takes of memories and fabric, by field."""


def timed(
    name: str,
    family: str,
    times: Amount,
    tree: Activity,
    speeds: Rates,
    work: Cascade | None,
    interval: tuple[Amount, Amount],
    *,
    tile: Any = None,
    outside: tuple[Outside, ...] = (),
) -> Part:
    """One part of an estimate: its tree folded, in seconds and joules by component."""
    folded, counts = fold(tree, speeds), totals(tree)
    steady = settled(counts, speeds, folded.time_s)
    return Part(
        name=name,
        family=family,
        times=times,
        counts=counts,
        time_s=folded.time_s,
        sustained_s=steady.time_s,
        busy_s=folded.busy_s,
        energy_j=steady.energy_j,
        interval=interval,
        tile=tile,
        work=work,
        energy_by_j=steady.by_component_j,
        outside=outside,
    )
