"""What is worked out once for many questions about one machine: kernels, collectives, networks.

Divisions of a model have most kernels and collectives in common. A `Kept` remembers them by what
they compute, for one machine, engine and topology: whoever asks many such questions gives the same
one each time.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack
from hwmodel.machines.run import Run
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part

Kind = TypeVar("Kind")


@dataclass(frozen=True, eq=False)
class Kept:
    """Runs of kernels by cascade, and whatever else is asked for by a key."""

    runs: dict[Hashable, tuple[Cascade, Run]] = field(
        default_factory=dict[Hashable, tuple[Cascade, Run]]
    )
    others: dict[Hashable, object] = field(default_factory=dict[Hashable, object])

    def run(self, network: Stack, runner: Callable[[Stack], Run]) -> Run:
        """What `runner` says of all stages, of which each kernel is asked for once.

        A cascade that is asked for again is the same value: workloads keep theirs.
        """
        found: list[Run] = []
        for stage in network.stages:
            key = id(stage.cascade), stage.name
            if key not in self.runs:
                alone = replace(stage, times=1, collective=None)
                made = runner(replace(network, stages=(alone,)))
                self.runs[key] = stage.cascade, made
            found.append(self.runs[key][1])
        times = [stage.times for stage in network.stages]
        return Run(
            parts=tuple(_often(run, n) for run, n in zip(found, times, strict=True)),
            busy_s=_busy_s(found, times),
            assumptions=tuple(dict.fromkeys(text for run in found for text in run.assumptions)),
            warnings=tuple(dict.fromkeys(text for run in found for text in run.warnings)),
        )

    def once(self, key: Hashable, made: Callable[[], Kind]) -> Kind:
        """What `made` makes, the first time that this key is asked for."""
        if key not in self.others:
            self.others[key] = made()
        found: Kind = self.others[key]  # pyright: ignore[reportAssignmentType]  # by this key
        return found


def _often(run: Run, times: Amount) -> tuple[Part, ...]:
    (parts,) = run.parts
    return tuple(replace(part, times=times * part.times) for part in parts)


def _busy_s(runs: list[Run], times: list[Amount]) -> dict[str, Amount]:
    busy: dict[str, Amount] = {}
    for run, count in zip(runs, times, strict=True):
        for unit, seconds in run.busy_s.items():
            busy[unit] = busy.get(unit, 0) + count * seconds
    return busy
