"""A workload on a spatial array with a 2D and a 1D array of elements, a buffer and DRAM.

Attention, in whatever form it is written, runs as the machine's binding says (`kernel` names
another one): which Einsum on which array, what interleaves, what stays in the buffer. Every other
Einsum runs by itself. Time is the fold of the activity at a step a cycle, energy its actions and
bytes times the machine's tables, by component.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from hwmodel.bounds.roofline import Floor, floor_of
from hwmodel.einsum.attention_shape import attention
from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import points
from hwmodel.einsum.network import Workload
from hwmodel.einsum.pairwise import chained
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.gpu.libraries.importable import imported
from hwmodel.machines.run import Run, need_no_sort, timed
from hwmodel.machines.spatial import spatten
from hwmodel.machines.spatial.bind import BoundAttention
from hwmodel.machines.spatial.binding import Binding, binding
from hwmodel.machines.spatial.functions import actions, rates
from hwmodel.machines.spatial.linear import alone
from hwmodel.machines.spatial.problem import problem
from hwmodel.machines.spatial.streams import streams
from hwmodel.machines.spatial.view import in_words
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, totals
from hwmodel.spine.estimate import UNKNOWN, UNMEASURED, Part

MAPPED = "hwmodel.mappers.nests.predicted:run"
"""What runs work on a machine that no binding is of: the best loop nests of it."""
NEEDED = {"arrays": ("matrix", "vector"), "memories": ("dram", "buffer", "lane", "register")}
"""What a machine must have, by these names, for its Einsums to be bound."""


def run(
    workload: Workload,
    hardware: Hardware,
    kernel: str | None,
    time_limit_s: float | None = None,
) -> Run:
    """A workload on one array; `kernel` is a binding: its name, or a YAML file of the user's.

    A machine without a binding runs what the mapper finds best within `time_limit_s`; `kernel` is
    then an objective or a dataflow. Raises `CoverageError` for machines without arrays of named
    functions and for Einsums that no array can do, `CapacityError` where not even a tile fits the
    buffer, `UnknownNameError`.
    """
    if hardware.binding == spatten.NAME:
        return spatten.run(workload, hardware, kernel)
    if not hardware.binding:
        found: Run = imported(MAPPED)(workload, hardware, kernel, time_limit_s)
        return found
    _check(hardware)
    chosen = binding(kernel or hardware.binding)
    stages = chained(workload)
    every = [_calls(stage.cascade, hardware, chosen) for stage in stages]
    parts = tuple(
        tuple(_part(call, stage.times, hardware) for call in calls)
        for stage, calls in zip(stages, every, strict=True)
    )
    return Run(
        parts=parts,
        floor=_floor([part for each in parts for part in each], hardware),
        assumptions=(
            "stack: the array alone, as its binding orders it; no host, driver or launch",
            *_bound_as(parts, chosen),
            "a function of an element makes a result a cycle; partial tiles take whole steps",
            "values between Einsums have the operands' format",
            "energy: actions and accesses times published tables at 45 nm; no leakage",
        ),
        warnings=(UNMEASURED,),
    )


def _floor(parts: Sequence[Part], hardware: Hardware) -> Floor:
    """The sum of what each thing that runs needs at the least, since they follow one another."""
    least_bytes: Amount = 0
    least_s: Amount = 0
    for part in parts:
        assert part.work is not None
        floor = floor_of(part.work, hardware, _busy_s(part.work, hardware))
        least_bytes = least_bytes + part.times * floor.bytes
        least_s = least_s + part.times * floor.time_s
    return Floor(least_bytes, least_s)


def _bound_as(parts: Iterable[Iterable[Part]], chosen: Binding) -> tuple[str, ...]:
    """What a reader must know of attention, where there is any."""
    bound_here = any(part.family == chosen.name for each in parts for part in each)
    return (f"attention is bound as {chosen.name!r}: {chosen.title}",) if bound_here else ()


_Call: TypeAlias = tuple[str, str, Activity, Cascade, object]
"""Name, family, activity, the cascade that runs, and its tile."""


def _calls(cascade: Cascade, hardware: Hardware, chosen: Binding) -> list[_Call]:
    """Each thing that runs."""
    need_no_sort(cascade)
    shape = attention(cascade)
    if shape is None:
        cascade = in_words(cascade)
        return [
            (einsum.name, "linear", alone(einsum, cascade, hardware), _only(cascade, einsum), None)
            for einsum in cascade.einsums
        ]
    made = problem(shape, chosen.passes, limits(hardware))
    plan = streams(chosen, made, hardware.memory("buffer").capacity_bytes)
    activity = BoundAttention(chosen, made, hardware, plan).activity()
    return [(cascade.name, chosen.name, activity, made.cascade, {"queries": plan.block})]


def _part(call: _Call, times: Amount, hardware: Hardware) -> Part:
    name, family, activity, work, tile = call
    speeds = rates(hardware, totals(activity).operations)
    found = timed(name, family, times, activity, speeds, work, UNKNOWN, tile=tile)
    return replace(
        found, busy_s={n: s for n, s in found.busy_s.items() if n not in hardware.functions}
    )


def _only(cascade: Cascade, einsum: Einsum) -> Cascade:
    """The cascade of one Einsum."""
    names = {einsum.name, *(access.tensor for access in einsum.reads)}
    return Cascade(
        name=einsum.name,
        ranks=cascade.ranks,
        tensors={name: cascade.tensors[name] for name in cascade.tensors if name in names},
        einsums=(einsum,),
        outputs=(einsum.name,),
    )


def _busy_s(cascade: Cascade, hardware: Hardware) -> dict[str, Amount]:
    """Least seconds of each function, on every element that has it."""
    needed: dict[str, Amount] = {}
    for einsum in cascade.einsums:
        count = points(einsum, cascade)
        for name, times in _fewest(einsum, hardware).items():
            needed[name] = needed.get(name, 0) + count * times
    busy: dict[str, Amount] = {}
    for name, count in needed.items():
        able = [a for a in hardware.arrays.values() if name in a.cycles]
        per_cycle = sum(a.rows * a.columns / a.cycles[name] for a in able)
        busy[name] = count / (per_cycle * hardware.clock_hz)
    return busy


def _fewest(einsum: Einsum, hardware: Hardware) -> dict[str, Amount]:
    """Actions at one point, on the array that needs fewest of them."""
    found: list[dict[str, Amount]] = []
    for name, array in hardware.arrays.items():
        try:
            found.append(actions(einsum, array, name))
        except CoverageError:
            continue
    return min(found, key=lambda each: float(sum(each.values())))


def _check(hardware: Hardware) -> None:
    for what, names in NEEDED.items():
        missing = [name for name in names if name not in getattr(hardware, what)]
        if missing:
            raise CoverageError(
                f"{hardware.name}: lacks {what} {', '.join(missing)}, so that Einsums cannot be"
                " bound to its arrays as on fusemax; leave the binding out, and it runs the loop"
                " nests that `hwmodel map` finds"
            )
