"""Predicted: what a machine without a binding does, by the best loop nest that `map` finds.

One answer: seconds, joules and bytes are those of the mapper's nest for latency, counted under the
same rules; `kernel` names another objective, or a dataflow that the nest keeps to. On a
memory and a buffer a cascade runs fused; on deeper machines and arrays its Einsums run one after
the other, each at its best.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwmodel.bounds.roofline import Floor
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Workload
from hwmodel.einsum.pairwise import chained
from hwmodel.hardware.calibration import PRIOR
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.run import Run, timed
from hwmodel.machines.spatial.dataflow import SUFFIXES, dataflows
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import activity
from hwmodel.mappers.cascades import map_nests
from hwmodel.mappers.nests.costs import OBJECTIVES, any_schedule
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.mappers.nests.network import NETWORK_S, Layer, layers
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount, show
from hwmodel.spine.activity import totals
from hwmodel.spine.estimate import UNKNOWN, UNMEASURED, Part

LATENCY = "latency"
"""What is minimised where nothing is asked."""

_OF_A_PRIOR = "modelled, never measured: the machine is a prior, and the 90 % interval is a prior's"


def run(
    workload: Workload,
    hardware: Hardware,
    kernel: str | None,
    time_limit_s: float | None = None,
) -> Run:
    """A workload by its best nests; raises what the mapper does, and `UnknownNameError`.

    `time_limit_s` is that of all searches together (default: `network.NETWORK_S`).
    """
    objective = LATENCY if kernel is None or kernel not in OBJECTIVES else kernel
    flow = kernel if kernel not in (None, objective) else None
    if flow is not None and Path(flow).suffix not in SUFFIXES and flow not in dataflows():
        known = (*OBJECTIVES, *dataflows())
        raise UnknownNameError(
            f"kernel of {hardware.name}, an objective or a dataflow", flow, known
        )
    stages = chained(workload)
    found = layers(
        map_nests,
        stages,
        hardware,
        objective=objective,
        time_limit_s=NETWORK_S if time_limit_s is None else time_limit_s,
        split=flow is not None,
        **({} if flow is None else {"mapspace": flow}),
    )
    several = len(stages) > 1
    parts = tuple(
        tuple(_part(each.mapped, stage, hardware, several=several) for each in made)
        for stage, made in zip(stages, found, strict=True)
    )
    every = [each for some in found for each in some]
    made = [each.mapped for each in every]
    return Run(
        parts=parts,
        floor=_floor([(each.times, each.mapped) for each in every], hardware),
        by_layer=tuple(map(_line, every)) if several else (),
        assumptions=(
            "stack: the array alone; no host, driver or launch",
            f"mapped: the best nests for {objective} that hw.map finds, one after the other"
            + ("" if flow is None else f", {Path(flow).stem}"),
            *dict.fromkeys(f"rules: {each.rules.name}: {each.rules.words}" for each in made),
        ),
        warnings=(
            _OF_A_PRIOR if _assumed(hardware) else UNMEASURED,
            *_gaps(made),
            *dict.fromkeys(e.note for e in every if e.note),
        ),
        outermost=next(iter(hardware.memories)),
    )


def _line(layer: Layer) -> dict[str, Any]:
    """What a layer takes, and how far another mapping of it may be better."""
    record = layer.record()
    names = ("layer", "time_s", "energy_j", "utilisation", "mapspace_gap", "gap_to_bound")
    return {name: record[name] for name in names}


def _part(mapped: NestMapped, stage: Stage, hardware: Hardware, *, several: bool) -> Part:
    """One nest, its counts charged as the mapper charges them."""
    counts, array = mapped.costs.counts, bool(hardware.arrays)
    tree = activity(counts, mapped.rules, unit_of(hardware), array=array)
    speeds = rates(hardware, totals(tree).operations)
    name = mapped.cascade.name if len(mapped.cascade.einsums) > 1 else mapped.cascade.outputs[0]
    if several and len(stage.cascade.einsums) == 1:
        name = stage.cascade.name
    tile = mapped.tiles
    likely = PRIOR if _assumed(hardware) else UNKNOWN
    return timed(name, "mapped", stage.times, tree, speeds, mapped.cascade, likely, tile=tile)


def _assumed(hardware: Hardware) -> bool:
    """Whether the machine is itself a prior: its sides, or its clock, are taken to be so."""
    rates = ("clock", *(f"arrays.{name}.rows" for name in hardware.arrays))
    return any(hardware.sources.get(path, "").startswith("assumed: a prior") for path in rates)


def _floor(made: Sequence[tuple[Amount, NestMapped]], hardware: Hardware) -> Floor:
    """What any schedule of each nest's work needs, one after the other."""
    least_bytes: Amount = 0
    least_s: Amount = 0
    for times, each in made:
        bound, seconds, _ = any_schedule(each.cascade, hardware, LATENCY)
        least_bytes = least_bytes + times * bound.bytes
        least_s = least_s + times * seconds
    return Floor(least_bytes, least_s)


def _gaps(made: Sequence[NestMapped]) -> tuple[str, ...]:
    """How much better another mapping may be, where that is not ruled out."""
    worst = max(made, key=lambda each: each.certificate.mapspace_gap)
    gap = worst.certificate.mapspace_gap
    if gap == 0:
        return ()
    took = show(worst.certificate.solve_time_s, "s")
    return (f"mapping of {worst.cascade.name}: {worst.certificate.words} (searched for {took})",)
