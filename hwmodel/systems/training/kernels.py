"""Seconds and joules of a piece's kernels in a step on one device, in the sustained state."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Stack
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import MODELS
from hwmodel.machines.run import Run
from hwmodel.spine.estimate import Part
from hwmodel.systems.training.efficiency import SCAN_SHARE, Software
from hwmodel.systems.training.layers import Kernel

ATTENTION = ("prefill", "backward")
"""Schedules of attention's kernels."""
SCAN = "scan"
"""Schedule of recurrences' kernels."""


@dataclass(frozen=True)
class Seconds:
    """Of one micro-batch: forward, gradients of inputs and of weights, scores computed again.

    Those that are busy are by resource, of kernels as they run alone; `each_s` kernel by kernel.
    """

    forward_s: float
    inputs_s: float
    weights_s: float
    again_s: float
    forward_j: float
    backward_j: float
    forward_busy_s: Mapping[str, float]
    backward_busy_s: Mapping[str, float]
    each_s: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Prices:
    """What a machine said of cascades, which steps that are divided otherwise have too."""

    _found: dict[Hashable, list[tuple[Cascade, Sequence[Part], Run]]] = field(
        default_factory=lambda: {}
    )

    def of(self, cascade: Cascade, library: str | None) -> tuple[Sequence[Part], Run] | None:
        """Its parts by a library, and with what they were looked at; None where it was not."""
        for earlier, parts, run in self._found.get((library, _alike(cascade)), ()):
            if earlier is cascade or (
                earlier.origin == cascade.origin and earlier.einsums == cascade.einsums
            ):
                return parts, run
        return None

    def keep(self, cascade: Cascade, library: str | None, parts: Sequence[Part], run: Run) -> None:
        """Remember a cascade's parts."""
        key = (library, _alike(cascade))
        self._found.setdefault(key, []).append((cascade, parts, run))


def _alike(cascade: Cascade) -> Hashable:
    """What equal cascades have alike, at little cost."""
    sizes = tuple([rank.size for rank in cascade.ranks.values()])
    return (cascade.name, sizes, tuple([(n, t.dtype) for n, t in cascade.tensors.items()]))


def timed(
    pieces: Sequence[tuple[Kernel, ...]],
    machine: Hardware,
    kernel: Any,
    runs: Software,
    prices: Prices,
) -> tuple[list[Seconds], Run]:
    """Each piece's seconds in a step, and what the machine said of all of it."""
    gpu = machine.kind == "gpu"
    chosen = {"attention": runs.attention} if kernel is None and gpu else kernel
    every = [each for kernels in pieces for each in kernels]
    for library in dict.fromkeys(each.library for each in every):
        mine = {id(each.cascade): each.cascade for each in every if each.library == library}
        missed = [each for each in mine.values() if prices.of(each, library) is None]
        if missed:
            asked = Stack("training", tuple(Stage(each) for each in missed))
            by = chosen if library is None else {"attention": library}
            run: Run = import_module(MODELS[machine.kind]).run(asked, machine, by)
            for cascade, parts in zip(missed, run.parts, strict=True):
                prices.keep(cascade, library, parts, run)
    found_of = (prices.of(each.cascade, each.library) for each in every)
    told = [found for found in found_of if found is not None]
    answers = iter(parts for parts, _ in told)
    found: list[Seconds] = []
    for kernels in pieces:
        seconds: dict[str, float] = dict.fromkeys(("forward", "inputs", "weights", "again"), 0.0)
        joules: dict[str, float] = dict.fromkeys(("forward", "inputs", "weights"), 0.0)
        busy: dict[str, list[Mapping[str, float]]] = {"forward": [], "backward": []}
        each_s: list[float] = []
        for each in kernels:
            parts = next(answers)
            way = "forward" if each.role == "forward" else "backward"
            for part in parts:
                often = each.times * float(part.times)
                busy[way].append({n: often * float(s) for n, s in part.busy_s.items()})
            took = each.times * sum(_seconds(part, runs) for part in parts)
            each_s.append(took)
            seconds[each.role] += took
            seconds["again"] += took * each.again
            joules[each.role] += each.times * sum(float(p.times * p.energy_j) for p in parts)
        found.append(
            Seconds(
                seconds["forward"],
                seconds["inputs"],
                seconds["weights"],
                seconds["again"],
                joules["forward"],
                joules["inputs"] + joules["weights"],
                added(busy["forward"]),
                added(busy["backward"]),
                tuple(each_s),
            )
        )
    return found, _together(run for _, run in told)


def _together(runs: Iterable[Run]) -> Run:
    """What several runs said, each thing once."""
    each = list({id(run): run for run in runs}.values())
    told = dict.fromkeys(text for run in each for text in run.assumptions)
    warned = dict.fromkeys(text for run in each for text in run.warnings)
    return replace(each[-1], assumptions=tuple(told), warnings=tuple(warned))


def added(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Seconds by resource of several together."""
    found: dict[str, float] = {}
    for each in several:
        for name, seconds in each.items():
            found[name] = found.get(name, 0.0) + seconds
    return found


def _seconds(part: Part, runs: Software) -> float:
    share, family = runs.share, part.family.partition(":")[0]
    if family in ATTENTION:
        share *= runs.attention_share
    elif family == SCAN:
        share *= SCAN_SHARE
    return float(part.times * part.sustained_s) / share
