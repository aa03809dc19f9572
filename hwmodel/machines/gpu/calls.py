"""One kernel call on a GPU: given its best tile, counted, timed and priced, with its interval."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from hwmodel.einsum.cascade import Apply, Einsum
from hwmodel.hardware.calibration import PRIOR, WIDER, Calibration, Family, stretched
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.gpu import regimes, support
from hwmodel.machines.gpu.choose import choose
from hwmodel.machines.gpu.chunks import CHUNK, LONG_CHUNK, MANY, in_chunks
from hwmodel.machines.gpu.libraries.library import Launch, Library
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import Call
from hwmodel.machines.gpu.rates import ENERGY, rates
from hwmodel.machines.gpu.units import FREE
from hwmodel.machines.gpu.warm import found_again, served
from hwmodel.quantity.arithmetic import least, most
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.remembered import arrays_in, marked, remembered, same, single
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Folded, Rates, Work, fold, totals
from hwmodel.spine.estimate import Part
from hwmodel.spine.outside import Outside, farthest, outside
from hwmodel.spine.power import Settled, settled


@dataclass(frozen=True, eq=False)
class Result:
    """What one kernel call yields: the tile chosen, counts, seconds after a rest and steady."""

    tile: Any
    counts: Work
    folded: Folded
    steady: Settled
    """In unbroken repetition; joules by component at a single point, not in sweeps."""


def run(
    call: Call,
    hardware: Hardware,
    parameters: Mapping[str, float],
    energy: Mapping[str, float] | None = None,
) -> Result:
    """One call on `hardware` under the parameters of its family: tile, counts, times, joules."""
    call = placed(call, hardware)
    return _evaluated(call, limits(hardware), rates(hardware, parameters, energy))


def placed(call: Call, hardware: Hardware) -> Call:
    """The call as its library runs it on that generation of GPUs."""
    launch = _apart(call, hardware)
    if launch is None:
        return call
    how = {"activity": launch.activity, "menu": launch.menu, "resolve": launch.resolve}
    return replace(call, **how)


def _apart(call: Call, hardware: Hardware) -> Launch | None:
    return call.library.apart.get(hardware.architecture, {}).get(call.schedule)


def regimes_of(call: Call, hardware: Hardware) -> Sequence[regimes.Regime]:
    """Which of its library's calls there have intervals of their own: on a cold L2, as judged."""
    if call.touched_bytes is not None:
        return ()
    launch = launch_of(call, hardware)
    return launch.regimes if launch else ()


def launch_of(call: Call, hardware: Hardware) -> Launch | None:
    """How its library runs a call there."""
    return _apart(call, hardware) or call.library.launches.get(call.schedule)


def held(call: Call, hardware: Hardware, parameters: Mapping[str, float]) -> Call:
    """The call with the tiles that it chooses under some parameters, whatever comes after.

    Where the fastest tile changes, the time does not: so its slope is that of the tile chosen.
    """
    own = placed(call, hardware)
    sizes = arrays_in((own.problem, own.touched_bytes))
    if len(own.menu) == 1 or any(size.size >= MANY for size in sizes):
        return call
    tile = run(call, hardware, parameters).tile
    here = replace(own.library, apart={})
    return replace(own, library=here, menu=(tile,), resolve=None)


def _evaluated(call: Call, room: Limits, speeds: Rates) -> Result:
    def evaluate(given: Any) -> Result:
        (problem, touched), bounds_, speeds = given
        counted = _counted(call, touched)
        tile = choose(counted, call.menu, problem, bounds_, speeds, call.resolve)
        activity = counted(problem, tile, cast(Limits, bounds_))
        folded = fold(activity, speeds)
        counts = totals(activity)
        one = isinstance(folded.time_s, (int, float))
        steady = settled(counts, speeds, folded.time_s, components=one)
        return Result(tile, counts, folded, steady)

    chunk = CHUNK if len(call.menu) > 1 or fused(call) else LONG_CHUNK
    return in_chunks(evaluate, ((call.problem, call.touched_bytes), room, speeds), chunk)


def _counted(
    call: Call, touched: tuple[Amount, Amount, int] | None
) -> Callable[[Any, Any, Limits], Activity]:
    """What the call does, given that the L2 holds what earlier repetitions left of `touched`."""
    if touched is None:
        return call.activity

    passed = getattr(call.activity, "passed", None)
    activations, weights, layers = touched

    def counted(problem: Any, tile: Any, room: Limits) -> Activity:
        every = activations if passed is None else activations * passed(problem)
        share = found_again((every, weights, layers), room.capacity_bytes["l2"], room.copies["l2"])
        return served(call.activity(problem, tile, room), share)

    return counted


@remembered(keep=single)
def _speeds(hardware: Hardware, calibration: Calibration, name: str, library: Library) -> Rates:
    """The device's rates for a family's kernels; those of another board's are adapted to it."""
    family = family_of(calibration, name, library)
    energy = calibration.values(ENERGY) if ENERGY in calibration.families else None
    values = family.values
    if family.origin == "inherited":
        values = support.adapted(values, library, hardware.architecture)
    return rates(hardware, values, energy)


def parts_of(
    runs: Iterable[tuple[Call, str, Amount]], hardware: Hardware, calibration: Calibration
) -> Iterator[Part]:
    """Calls, each with its name and how often it runs, as parts of an estimate.

    What several calls do alike is worked out once: a decoder norms and adds in many places.
    """
    found: dict[Hashable, tuple[Call, Part]] = {}
    for call, name, times in runs:
        key = (call.family, marked(call.problem))
        earlier = found.get(key)
        if earlier is not None and _alike(earlier[0], call):
            yield replace(earlier[1], name=name, times=times, work=call.work)
        else:
            part = _part_of(call, name, times, hardware, calibration)
            found[key] = call, part
            yield part


def _alike(one: Call, other: Call) -> bool:
    """Whether two calls are the same kernel of a library on the same problem."""
    return one.library is other.library and same(one.problem, other.problem)


def _part_of(
    call: Call, name: str, times: Amount, hardware: Hardware, calibration: Calibration
) -> Part:
    """A call as a part of an estimate, under its family's parameters and with its interval."""
    family = family_of(calibration, call.family, call.library)
    speeds = _speeds(hardware, calibration, call.family, call.library)
    result = _evaluated(placed(call, hardware), limits(hardware), speeds)
    sizes = outside(
        call.family, family.ranges, lambda name: _size(call.problem, name, family.ranges)
    )
    return Part(
        name=name,
        family=call.family,
        times=times,
        counts=result.counts,
        time_s=result.folded.time_s,
        sustained_s=result.steady.time_s,
        busy_s=result.folded.busy_s,
        energy_j=result.steady.energy_j,
        energy_by_j=result.steady.by_component_j,
        outside=sizes,
        interval=_interval(call, family, hardware, sizes, result),
        tile=result.tile,
        work=call.work,
    )


def _size(problem: Any, name: str, ranges: Mapping[str, tuple[float, float]]) -> Amount | None:
    """A size of a problem, as it says itself what makes a difference; None of one it has not."""
    own = getattr(problem, "size", None)
    return getattr(problem, name, None) if own is None else own(name, ranges)


def _interval(
    call: Call, family: Family, hardware: Hardware, sizes: Sequence[Outside], result: Result
) -> tuple[Amount, Amount]:
    """The family's interval for formats and regime; a prior's where another kernel stands in.

    It grows with how far `sizes` are outside those that the fit saw. Far outside its fast end is
    the launch, which every kernel takes; an estimate keeps it above the roofline. A warm L2 is none
    that a fit to rows of one's own has seen, which are timed with a cold one (tables name theirs).
    """
    every, room = regimes_of(call, hardware), limits(hardware)
    found = regimes.ends(family, formats_of(call), every, call.problem, result.tile, room)
    if call.touched_bytes is not None and family.origin == "measured" and not family.source:
        found = found[0] ** WIDER, found[1] ** WIDER
    passes = call.problem.passes if fused(call) else 1
    elsewhere = family.origin != "measured" and hardware.architecture in call.library.costed_as
    if passes > 1 or elsewhere:
        found = least((found[0], PRIOR[0])), most((found[1], PRIOR[1]))
    if not sizes:
        return found
    launch = result.folded.busy_s.get("launch", 0.0) / result.folded.time_s
    return stretched(found, farthest(sizes), fastest=found[0] * launch)


def fused(call: Call) -> bool:
    """Whether the call is fused attention, which makes one pass over its keys."""
    return call.schedule in ("prefill", "decode", "backward")


def formats_of(call: Call) -> tuple[str, ...]:
    """Number formats of a call's operands, where its problem names them.

    Of row kernels, which tell no formats apart, the floating ones that they compute with and that
    no framework takes as it does 16 or 32 bits.
    """
    names = ("dtype_a", "dtype_b", "dtype", "kv_dtype")
    found = [str(getattr(call.problem, name)) for name in names if hasattr(call.problem, name)]
    if call.schedule in ("rows", "reduction") and any(map(_computes, call.work.einsums)):
        kinds = {call.work.tensors[name].dtype for name in call.work.inputs}
        found += sorted(k for k in kinds if "fp" in k and dtype(k).bits not in (16, 32))
    return tuple(dict.fromkeys(found))


def _computes(einsum: Einsum) -> bool:
    """Whether an Einsum does more than to move or convert what it reads."""
    moves = isinstance(einsum.expression, Apply) and einsum.expression.operator in FREE
    return not moves or bool(einsum.reductions)
