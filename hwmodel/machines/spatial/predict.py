"""A workload on a spatial array with a 2D and a 1D array of elements, a buffer and DRAM.

Attention, in whatever form it is written, runs as the machine's binding says (`kernel` names
another one): which Einsum on which array, what interleaves, what stays in the buffer. Every other
Einsum runs by itself. Time is the fold of the activity at a step a cycle, energy its actions and
bytes times the machine's tables, by component.
"""

from hwmodel.bounds.bound import bound
from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import points
from hwmodel.einsum.network import Stack
from hwmodel.einsum.pairwise import chained
from hwmodel.einsum.structure import attention
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial import spatten
from hwmodel.machines.spatial.bind import BoundAttention
from hwmodel.machines.spatial.binding import Binding, binding
from hwmodel.machines.spatial.functions import actions, rates
from hwmodel.machines.spatial.linear import alone
from hwmodel.machines.spatial.problem import problem
from hwmodel.machines.spatial.streams import streams
from hwmodel.machines.spatial.view import in_words
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, components_j, fold, sustained_s, totals
from hwmodel.spine.estimate import UNKNOWN, UNMEASURED, Estimate, Part

NEEDED = {"arrays": ("matrix", "vector"), "memories": ("dram", "buffer", "lane", "register")}
"""What a machine must have, by these names, for its Einsums to be bound."""


def predict(
    workload: Cascade | Stack, hardware: Hardware, *, kernel: str | None = None
) -> Estimate:
    """Estimate of a workload on one array; `kernel` is the name of a binding.

    Raises `CoverageError` for machines without arrays of named functions and for Einsums that no
    array can do, `CapacityError` where not even a tile fits the buffer, `UnknownNameError`.
    """
    if hardware.binding == spatten.NAME:
        return spatten.predict(workload, hardware, kernel=kernel)
    _check(hardware)
    chosen = binding(kernel or hardware.binding)
    stages = chained(workload)
    parts: list[Part] = []
    bounds: list[tuple[Amount, Amount]] = []
    for stage in stages:
        if stage.collective is not None:
            raise InputError(f"{workload.name}: expected one {hardware.name}, found several")
        for name, family, activity, work, tile in _calls(stage.cascade, hardware, chosen):
            parts.append(_part(name, family, activity, work, tile, stage.times, hardware))
            floor = bound(work, limits(hardware), outermost=True).dram_bytes
            bounds.append((stage.times * floor, stage.times * _roofline_s(work, hardware, floor)))
    return Estimate(
        name=workload.name,
        device=hardware.title,
        parts=tuple(parts),
        bound_bytes=sum(size for size, _ in bounds),
        bound_s=sum(seconds for _, seconds in bounds),
        assumptions=(
            "stack: the array alone, as its binding orders it; no host, driver or launch",
            *_bound_as(parts, chosen),
            "a function of an element makes a result a cycle; partial tiles take whole steps",
            "values between Einsums have the operands' format",
            "energy: actions and accesses times published tables at 45 nm; no leakage",
        ),
        everywhere=(*(workload.warnings if isinstance(workload, Stack) else ()), UNMEASURED),
    )


def _bound_as(parts: list[Part], chosen: Binding) -> tuple[str, ...]:
    """What a reader must know of attention, where there is any."""
    bound_here = any(part.family == chosen.name for part in parts)
    return (f"attention is bound as {chosen.name!r}: {chosen.title}",) if bound_here else ()


def _calls(
    cascade: Cascade, hardware: Hardware, chosen: Binding
) -> list[tuple[str, str, Activity, Cascade, object]]:
    """Name, family, activity, the cascade that runs, and its tile, of each thing that runs."""
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


def _part(
    name: str,
    family: str,
    activity: Activity,
    work: Cascade,
    tile: object,
    times: Amount,
    hardware: Hardware,
) -> Part:
    counts = totals(activity)
    speeds = rates(hardware, counts.operations)
    folded = fold(activity, speeds)
    slowed_s = sustained_s(counts, speeds, folded.time_s)
    by_component = components_j(counts, speeds, slowed_s)
    return Part(
        name=name,
        family=family,
        times=times,
        counts=counts,
        time_s=folded.time_s,
        sustained_s=slowed_s,
        busy_s={n: s for n, s in folded.busy_s.items() if n not in hardware.functions},
        energy_j=sum(by_component.values()),
        interval=UNKNOWN,
        tile=tile,
        work=work,
        energy_by_j=by_component,
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


def _roofline_s(cascade: Cascade, hardware: Hardware, floor: Amount) -> Amount:
    """No schedule is faster: each function on every element that has it, DRAM at full rate."""
    busy: dict[str, Amount] = {}
    for einsum in cascade.einsums:
        count = points(einsum, cascade)
        for name, times in _fewest(einsum, hardware).items():
            busy[name] = busy.get(name, 0) + count * times
    seconds = [floor / hardware.memory("dram").bandwidth_bytes_per_s]
    for name, count in busy.items():
        able = [a for a in hardware.arrays.values() if name in a.cycles]
        per_cycle = sum(a.rows * a.columns / a.cycles[name] for a in able)
        seconds.append(count / (per_cycle * hardware.clock_hz))
    return most(seconds)


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
        if missing or not hardware.binding:
            lacks = f"{what} {', '.join(missing)}" if missing else "a binding"
            raise CoverageError(
                f"{hardware.name}: lacks {lacks}, so that Einsums cannot be bound to its arrays as"
                " on fusemax; `hwmodel map` finds loop nests for it"
            )
