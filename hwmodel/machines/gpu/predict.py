"""A workload on a GPU: lowered to kernel calls, each given its best tile, counted, and timed.

Sweeps run in chunks of points that stay in the cache, on a few threads (NumPy releases the lock).
Arrays of any number of dimensions that broadcast against each other are one sweep: they are
flattened here and take their shape again in the answer.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.bounds.bound import bound
from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.network import Stack
from hwmodel.hardware.calibration import WIDER, Calibration, Family, at_least_prior, lent
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.gpu import support
from hwmodel.machines.gpu.choose import choose
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.machines.gpu.rates import ENERGY, rates
from hwmodel.machines.gpu.roofline import roofline_s
from hwmodel.network import collectives
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Folded, Work, components_j, energy_j, fold, sustained_s, totals
from hwmodel.spine.estimate import Estimate, Note, Part, Store
from hwmodel.spine.unread import unread

CHUNK = 8_192
"""Points evaluated at once: a menu of tiles times this many floats stays near the cache."""

ROUNDING = 1 + 1e-12
"""Of sums of bytes in float64."""

CORES = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
THREADS: ContextVar[int] = ContextVar("THREADS", default=CORES)
"""Threads that share the chunks; 1 in processes that work beside others."""


def predict(
    workload: Cascade | Stack,
    hardware: Hardware,
    *,
    kernel: str | None,
    launched: Sequence[Call] | None = None,
) -> Estimate:
    """Estimate of a workload on one GPU, or of one GPU's share of it.

    `launched` are the calls of a lone cascade with the tiles that they had, where that is known.
    """
    calibration = hardware.calibration
    if calibration is None:
        raise CoverageError(f"{hardware.name}: has no calibration; load it with hwmodel.device()")
    stages = workload.stages if isinstance(workload, Stack) else (Stage(workload),)
    parts: list[Part] = []
    every: list[Call] = []
    for stage in stages:
        calls = launched or lower(stage.cascade, kernel)
        support.check(calls, hardware, kernel)
        every += calls
        alone = len({call.name for call in calls}) == 1
        for call in calls:
            name = stage.name if alone else call.name
            part = _part(call, stage.times * call.times, hardware, calibration)
            parts.append(replace(part, name=name, work=call.work))
        if stage.collective is not None:
            joint = stage.collective
            parts.append(
                collectives.part(joint.op, joint.bytes, joint.ranks, hardware, stage.times)
            )
    short = _short(workload, hardware)
    floor = bound(workload, limits(hardware), outermost=True)
    parts = _completed(parts, floor.dram_bytes, hardware)
    return Estimate(
        name=workload.name,
        device=hardware.title,
        parts=tuple(parts),
        window_s=hardware.power.window_s,
        bound_bytes=floor.dram_bytes,
        bound_s=roofline_s(workload, hardware, floor),
        assumptions=_assumptions(calibration, parts, model=isinstance(workload, Stack)),
        everywhere=(
            *getattr(workload, "warnings", ()),
            *_warnings(calibration, every),
            *_costed_as(every, hardware),
            *unread(hardware, parts),
        ),
        stores=(short,) if short else (),
        notes=(_does_not_fit(short),) if short else (),
    )


def _completed(parts: list[Part], least_bytes: Amount, hardware: Hardware) -> list[Part]:
    """Parts that together read no less than any schedule must.

    A schedule's closed form of what the L2 forgets is rough: for operands just beyond all storage
    on the chip it may fall a little below the proven bound. All parts then read as much more, at
    the DRAM's peak rate and price; what they already moved stays as it was.
    """
    moved = [(p, p.counts.read.get("dram", 0) + p.counts.written.get("dram", 0)) for p in parts]
    total = sum((part.times * size for part, size in moved), start=0)
    short = np.asarray(total * ROUNDING) < least_bytes
    if not short.any():
        return parts
    more = where(short, least_bytes / most((total, 1)) - 1, 0.0)
    dram = hardware.memory("dram")
    found: list[Part] = []
    for part, size in moved:
        extra, spent = more * size, more * size * dram.energy_j_per_byte
        extra_s = extra / dram.bandwidth_bytes_per_s
        read = {**part.counts.read, "dram": part.counts.read.get("dram", 0) + extra}
        by_j = {n: j + (spent if n == "dram" else 0) for n, j in part.energy_by_j.items()}
        changed = replace(
            part,
            counts=replace(part.counts, read=read),
            time_s=part.time_s + extra_s,
            sustained_s=part.sustained_s + extra_s,
            busy_s={**part.busy_s, "dram": part.busy_s.get("dram", 0) + extra_s},
            energy_j=part.energy_j + spent,
            energy_by_j=by_j,
        )
        found.append(changed)
    return found


def family_of(calibration: Calibration, name: str) -> Family:
    """Parameters of "schedule:library", or of the schedule where the library has none."""
    known = calibration.families
    if name not in known and name in support.STAND_INS:
        return lent(family_of(calibration, support.STAND_INS[name]))
    return known[name] if name in known else calibration.family(name.split(":")[0])


@dataclass(frozen=True, eq=False)
class Result:
    """What one kernel call yields: the tile chosen, counts, seconds and joules."""

    tile: Any
    counts: Work
    folded: Folded
    sustained_s: Amount
    energy_j: Amount
    energy_by_j: Mapping[str, Amount]
    """By component, at a single point; sweeps do without, for their speed."""


def run(
    call: Call,
    hardware: Hardware,
    parameters: Mapping[str, float],
    energy: Mapping[str, float] | None = None,
) -> Result:
    """One call on `hardware` under the parameters of its family: tile, counts, times, joules."""

    def evaluate(given: Any) -> Result:
        problem, bounds_, speeds = given
        tile = choose(call.activity, call.menu, problem, bounds_, speeds, call.resolve)
        activity = call.activity(problem, tile, cast(Limits, bounds_))
        folded = fold(activity, speeds)
        counts = totals(activity)
        slowed_s = sustained_s(counts, speeds, folded.time_s)
        by_component = {} if np.ndim(slowed_s) else components_j(counts, speeds, slowed_s)
        spent_j = energy_j(counts, speeds, slowed_s)
        return Result(tile, counts, folded, slowed_s, spent_j, by_component)

    speeds = rates(hardware, parameters, energy)
    return _in_chunks(evaluate, (call.problem, limits(hardware), speeds))


def _part(call: Call, times: Amount, hardware: Hardware, calibration: Calibration) -> Part:
    family = family_of(calibration, call.family)
    energy = calibration.values(ENERGY) if ENERGY in calibration.families else None
    values = {n: p.value for n, p in family.parameters.items()}
    if family.origin == "inherited":
        values = support.adapted(values, call.library, hardware.architecture)
    result = run(call, hardware, values, energy)
    beyond = _beyond(call, family)
    return Part(
        name=call.name,
        family=call.family,
        times=times,
        counts=result.counts,
        time_s=result.folded.time_s,
        sustained_s=result.sustained_s,
        busy_s=result.folded.busy_s,
        energy_j=result.energy_j,
        energy_by_j=result.energy_by_j,
        beyond=beyond,
        interval=_interval(call, family, hardware, beyond),
        tile=result.tile,
    )


def _beyond(call: Call, family: Family) -> Any:
    """Whether a size of the call, point by point, lies outside those that the fit saw."""
    outside: Any = False
    for name, (least_size, most_size) in family.ranges.items():
        size = getattr(call.problem, name, None)
        if size is not None:
            outside = outside | (size < least_size) | (size > most_size)
    return outside


def _interval(call: Call, family: Family, hardware: Hardware, beyond: Any) -> tuple[Amount, Amount]:
    """The family's interval for the call's formats; a prior's where another kernel stands in.

    It is wider at points `beyond` the sizes that the fit saw.
    """
    found = family.interval_of(_formats(call))
    passes = call.problem.passes if _fused(call) else 1
    if passes > 1 or (call.library, hardware.architecture) in support.COSTED_AS:
        found = at_least_prior(found)
    low, high = found
    return where(beyond, low**WIDER, low), where(beyond, high**WIDER, high)


def _fused(call: Call) -> bool:
    """Whether the call is fused attention, which makes one pass over its keys."""
    return call.schedule in ("prefill", "decode")


def _formats(call: Call) -> tuple[str, ...]:
    """Number formats of a call's operands, where its problem names them."""
    names = ("dtype_a", "dtype_b", "dtype", "kv_dtype")
    found = [str(getattr(call.problem, name)) for name in names if hasattr(call.problem, name)]
    return tuple(dict.fromkeys(found))


def _in_chunks(evaluate: Callable[[Any], Any], inputs: Any) -> Any:
    """Evaluate flattened pieces of `inputs` and join the pieces of the answer."""
    shapes: set[tuple[int, ...]] = set()
    _each(inputs, lambda array: shapes.add(array.shape) or array)
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise InputError(f"sizes: arrays of shapes {sorted(shapes)} do not broadcast") from None
    points = int(np.prod(shape))
    if len(shape) <= 1 and points <= CHUNK:
        return evaluate(inputs)
    flat = _each(inputs, lambda a: (np.broadcast_to(a, shape) if a.size > 1 else a).reshape(-1))
    varies = [_varies(value) for value in flat]
    starts, threads = range(0, points, CHUNK), THREADS.get()

    def piece(start: int) -> Any:
        def cut(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return array[start : start + CHUNK] if array.size > 1 else array

        pairs = zip(flat, varies, strict=True)
        return evaluate(tuple(_each(v, cut) if changes else v for v, changes in pairs))

    if len(starts) == 1 or threads == 1:
        pieces = [piece(start) for start in starts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            pieces = list(pool.map(piece, starts))
    return _joined(pieces, [slice(s, min(s + CHUNK, points)) for s in starts], shape)


def _varies(value: Any) -> bool:
    """Whether a nested value holds an array of more than one number."""
    sizes: list[int] = []
    _each(value, lambda array: sizes.append(array.size) or array)
    return any(size > 1 for size in sizes)


def _each(value: Any, change: Callable[[NDArray[np.float64]], Any]) -> Any:
    """The same nested value with every array in it changed."""
    if isinstance(value, np.ndarray):
        return change(cast(NDArray[np.float64], value))
    if isinstance(value, Mapping):
        return {key: _each(item, change) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, tuple):
        return tuple(_each(item, change) for item in cast(tuple[Any, ...], value))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _each(getattr(value, f.name), change) for f in fields(value)}
        return replace(value, **changed)
    return value


def _joined(pieces: list[Any], places: list[slice], shape: tuple[int, ...]) -> Any:
    """One nested value from the values of consecutive chunks, each with its place in the whole."""
    first: Any = pieces[0]
    if isinstance(first, (np.ndarray, float, int, np.generic)):
        if all(np.ndim(p) == 0 for p in pieces):
            return cast(Any, first)
        whole = np.empty(places[-1].stop)
        for place, part in zip(places, pieces, strict=True):
            whole[place] = part
        return whole.reshape(shape)
    if isinstance(first, Mapping):
        keys = cast(Mapping[Any, Any], first)
        return {key: _joined([p[key] for p in pieces], places, shape) for key in keys}
    if isinstance(first, tuple):
        items = range(len(cast(tuple[Any, ...], first)))
        return tuple(_joined([p[i] for p in pieces], places, shape) for i in items)
    if is_dataclass(first) and not isinstance(first, type):
        joined = {
            f.name: _joined([getattr(p, f.name) for p in pieces], places, shape)
            for f in fields(first)
        }
        return replace(first, **joined)
    return first


def _short(workload: Cascade | Stack, hardware: Hardware) -> Store | None:
    """The device's memory, where what a kernel reads and writes does not fit into it at a point.

    A whole model is looked at where it is served: its weights stay.
    """
    origin = workload.origin
    if isinstance(workload, Stack) and origin is not None and origin.workload == "llm":
        return None
    stages = workload.stages if isinstance(workload, Stack) else (Stage(workload),)
    needed = most(_outer_bytes(stage.cascade) for stage in stages)
    capacity = hardware.memory("dram").capacity_bytes
    store = Store("dram", needed, capacity, f"what {workload.name} reads and writes")
    return store if np.any(store.short_by_bytes) else None


def _outer_bytes(cascade: Cascade) -> Amount:
    """Bytes of all inputs and outputs of a cascade."""
    names = (*cascade.inputs, *(cascade.outputs or (cascade.einsums[-1].name,)))
    return sum(footprint_bytes(name, cascade) for name in dict.fromkeys(names))


def _does_not_fit(store: Store) -> Note:
    return Note(
        f"does not fit: {store.where} is {{}} more than the memory holds",
        np.asarray(store.short_by_bytes) > 0,
        store.short_by_bytes,
        "bytes",
    )


def _assumptions(
    calibration: Calibration, parts: Sequence[Part], *, model: bool
) -> tuple[str, ...]:
    """What the prediction rests on: calibration, stack, conditions, and what the interval is of."""
    date = f", {calibration.date}" if calibration.date else ""
    return (
        f"calibration: {calibration.name}{date}",
        _stack(calibration, parts, model=model),
        "one call among many in a CUDA graph, cold L2; host time excluded",
        INTERVAL,
    )


INTERVAL = (
    "90 % interval: of these kernels on boards of this kind; other engines and versions, and the"
    " host, are outside it"
)
"""What the ends of the interval hold: DESIGN section 14's time, under the stack that is named."""


def _stack(calibration: Calibration, parts: Sequence[Part], *, model: bool) -> str:
    """The software that runs: engine, library of each family of kernels, versions measured."""
    families = dict.fromkeys(part.family for part in parts)
    named = {collectives.FAMILY: "NCCL"} | dict(f.split(":", 1) for f in families if ":" in f)
    by = [family.replace(":", " by ") for family in families if ":" in family]
    by += [f"{f} by {named[f]}" if f in named else f for f in families if ":" not in f]
    libraries = set(named.values())
    engine = "torch, plain and unfused" if model else "lone kernels, no engine"
    versions = [
        f"{name} {version}"
        for name, version in calibration.versions.items()
        if name in ("torch", "cuda", "driver") or name in libraries
    ]
    told = f" ({', '.join(versions)})" if versions else ", of no version that was measured here"
    return f"stack: {engine}; {', '.join(by)}{told}"


def _warnings(calibration: Calibration, calls: Sequence[Call]) -> tuple[str, ...]:
    """Families, and number formats, that were never measured on this device."""
    found: list[str] = []
    for origin, words in UNMEASURED.items():
        names = dict.fromkeys(
            c.family for c in calls if family_of(calibration, c.family).origin == origin
        )
        if names:
            found.append(f"uncalibrated: {', '.join(names)}: {words.format(calibration.source)}")
    for call in calls:
        family = family_of(calibration, call.family)
        found += [
            f"uncalibrated: {call.family} in {each}: measured in {', '.join(family.formats)} only;"
            " its interval is widened"
            for each in family.unseen(_formats(call))
        ]
        if _fused(call) and call.problem.passes > 1:
            found.append(
                f"{call.name}: a cascade of {call.problem.passes} passes over its keys is priced as"
                f" {call.library}'s fused kernel, which makes one; its interval is widened"
            )
    return tuple(dict.fromkeys(found))


def _costed_as(calls: Sequence[Call], hardware: Hardware) -> list[str]:
    """What is told of kernels that are costed as those of another generation."""
    places = dict.fromkeys((call.library, hardware.architecture) for call in calls)
    return [support.COSTED_AS[place] for place in places if place in support.COSTED_AS]


UNMEASURED = {
    "prior": "efficiencies are priors, not measurements",
    "inherited": "efficiencies are {0}, with wider intervals",
}
"""What a warning says of a family that was not measured on the device."""
