"""A workload on a GPU: every stage lowered to kernel calls of the libraries that run it."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from hwmodel.einsum.cascade import Apply, Stage
from hwmodel.einsum.network import Workload
from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu import support
from hwmodel.machines.gpu.calls import formats_of, fused, launch_of, parts_of
from hwmodel.machines.gpu.least import busy_s
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.machines.gpu.transforms import butterflies
from hwmodel.machines.gpu.warm import repeated
from hwmodel.machines.run import COLD, WARM, Run
from hwmodel.network import collectives
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount

CONDITIONS = {
    COLD: "cold L2",
    WARM: "warm L2 (the same activations, weights of six layers in turn)",
}
"""State of the L2 -> what is told of it."""

ROTATED = "warm L2 (activations and weights of six layers in turn)"
"""The same of a library whose timings take activations in turn, too."""


def run(
    workload: Workload,
    hardware: Hardware,
    kernel: Kernel | Callable[[str], Kernel],
    *,
    launched: Sequence[Call] | None = None,
    l2: str = COLD,
) -> Run:
    """A workload on one GPU, or one GPU's share of it.

    `kernel` is what runs every stage, or says by a stage's name what runs that one.
    `launched` are the calls of a lone cascade with the tiles that they had, where that is known;
    `l2` is warm where the calls of a lone cascade are repeated.
    """
    calibration = hardware.calibration
    if calibration is None:
        raise CoverageError(f"{hardware.name}: has no calibration; load it with hwmodel.device()")
    stages = workload.stages
    every = [
        launched
        or support.placed(lower(stage.cascade, _of(kernel, stage)), hardware, layers=l2 == WARM)
        for stage in stages
    ]
    for calls in every:
        support.check(calls, hardware)
    if l2 == WARM:
        every = [repeated(calls) for calls in every]
    runs = [_named(stage, calls) for stage, calls in zip(stages, every, strict=True)]
    made = parts_of((run_ for each in runs for run_ in each), hardware, calibration)
    parts = tuple(tuple(islice(made, len(each))) for each in runs)
    families = dict.fromkeys(part.family for each in parts for part in each)
    if any(stage.collective for stage in stages):
        families[collectives.FAMILY] = None
    called = [call for calls in every for call in calls]
    return Run(
        parts=parts,
        busy_s=busy_s(stages, hardware),
        assumptions=(
            *_assumptions(calibration, families, _runs(kernel, len(stages)), _state(l2, called)),
            *_fused_maps(called),
        ),
        warnings=(
            *_warnings(calibration, called),
            *_transforms(called),
            *_costed_as(called, hardware, calibration),
        ),
    )


def _of(kernel: Kernel | Callable[[str], Kernel], stage: Stage) -> Kernel:
    return kernel(stage.name) if callable(kernel) else kernel


def _named(stage: Stage, calls: Sequence[Call]) -> list[tuple[Call, str, Amount]]:
    """The calls of a stage; one kind of call alone is called as the stage is."""
    alone = len({call.name for call in calls}) == 1
    return [(call, stage.name if alone else call.name, stage.times * call.times) for call in calls]


def _runs(kernel: Any, stages: int) -> str:
    """What runs the kernels: an engine (which says so itself), the plain stack, or nothing."""
    if callable(kernel):
        return ""
    return "torch, plain and unfused; " if stages > 1 else "lone kernels, no engine; "


def _assumptions(
    calibration: Calibration, families: Iterable[str], runs: str, state: str
) -> tuple[str, ...]:
    """What the prediction rests on: calibration, stack, conditions, and what the interval is of."""
    date = f", {calibration.date}" if calibration.date else ""
    return (
        f"calibration: {calibration.name}{date}",
        _stack(calibration, tuple(families), runs),
        f"{GRAPHED}, {state}; {NO_HOST}",
        INTERVAL,
    )


def _state(l2: str, calls: Sequence[Call]) -> str:
    """What is told of the L2."""
    rotated = l2 == WARM and any(call.library.rotated for call in calls)
    return ROTATED if rotated else CONDITIONS[l2]


GRAPHED, NO_HOST = "one call among many in a CUDA graph", "host time excluded"
"""What is told of kernels; whoever adds a host's launches says so instead."""

INTERVAL = (
    "90 % interval: of these kernels on boards of this kind; other engines and versions, and the"
    " host, are outside it"
)
"""What the ends of the interval hold: DESIGN section 14's time, under the stack that is named."""


def _stack(calibration: Calibration, families: Sequence[str], runs: str) -> str:
    """The software that runs: engine, library of each family of kernels, versions measured."""
    named = dict(f.split(":", 1) for f in families if ":" in f)
    if collectives.FAMILY in families:
        named[collectives.FAMILY] = "NCCL"
    by = [family.replace(":", " by ", 1) for family in families if ":" in family]
    by += [f"{f} by {named[f]}" if f in named else f for f in families if ":" not in f]
    libraries = {f.split(":", 1)[1] if ":" in f else named.get(f) for f in families}
    versions = [
        f"{name} {version}"
        for name, version in calibration.versions.items()
        if name in ("torch", "cuda", "driver") or name in libraries
    ]
    told = f" ({', '.join(versions)})" if versions else ", of no version that was measured here"
    return f"stack: {runs}{', '.join(by)}{told}"


def _warnings(calibration: Calibration, calls: Sequence[Call]) -> tuple[str, ...]:
    """Families, and number formats, that were never measured on this device."""
    found: list[str] = []
    for origin, words in UNMEASURED.items():
        names = dict.fromkeys(
            c.family for c in calls if family_of(calibration, c.family, c.library).origin == origin
        )
        if names:
            found.append(f"uncalibrated: {', '.join(names)}: {words.format(calibration.source)}")
    for call in calls:
        family = family_of(calibration, call.family, call.library)
        found += [
            f"uncalibrated: {call.family} in {each}: measured in {', '.join(family.formats)} only;"
            " its interval is widened"
            for each in family.unseen(formats_of(call))
        ]
        if fused(call) and call.problem.passes > 1:
            found.append(
                f"{call.name}: a cascade of {call.problem.passes} passes over its keys is priced as"
                f" {call.library.name}'s fused kernel, which makes one; its interval is widened"
            )
    return tuple(dict.fromkeys(found))


def _fused_maps(calls: Sequence[Call]) -> list[str]:
    """What is assumed of sums over a map, which plain torch runs as a kernel for each."""
    names = dict.fromkeys(call.name for call in calls if _sums_a_map(call))
    return [
        f"{name}: its map and its sum are priced as one fused kernel, as a compiler makes; torch"
        " alone runs the map first, and writes what it sums"
        for name in names
    ]


def _transforms(calls: Sequence[Call]) -> list[str]:
    """What is told of networks of butterflies."""
    return [
        f"{call.name}: a transform by as many kernels as cuFFT has, each of which moves all signals"
        " once, priced as an elementwise one; where they are several, or of 16 bits, they take up"
        " to 1.8 times as long"
        for call in calls
        if call.schedule == "rows" and butterflies(call.work)
    ]


def _sums_a_map(call: Call) -> bool:
    """Whether a call that is no product reduces what a lone Einsum computes of its operands."""
    if call.schedule not in ("rows", "reduction") or len(call.work.einsums) != 1:
        return False
    (einsum,) = call.work.einsums
    return bool(einsum.reductions) and isinstance(einsum.expression, Apply)


def _costed_as(calls: Sequence[Call], hardware: Hardware, calibration: Calibration) -> list[str]:
    """What is told of kernels costed as another generation's, unmeasured here, and of launches."""
    told = (
        call.library.costed_as.get(hardware.architecture)
        for call in calls
        if family_of(calibration, call.family, call.library).origin != "measured"
    )
    launches = (launch_of(call, hardware) for call in calls)
    every = (*told, *(launch.told for launch in launches if launch))
    return list(dict.fromkeys(text for text in every if text))


UNMEASURED = {
    "prior": "efficiencies are priors, not measurements",
    "inherited": "efficiencies are {0}, with wider intervals",
}
"""What a warning says of a family that was not measured on the device."""
