"""What is worked out once for many questions about one machine: kernels, collectives, networks.

Divisions of a model have most kernels and collectives in common. A `Kept` remembers them by what
they compute, for one machine, engine and topology: whoever asks many such questions gives the same
one each time.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

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
        """What `runner` says of all stages, of which each kernel is asked for once."""
        found: list[Run] = []
        for stage in network.stages:
            key = alike(stage.cascade), stage.name
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


PLAIN = (int, float, str, bool, type(None))


def alike(cascade: Cascade) -> Hashable:
    """The same for cascades that say the same of the same numbers, arrays among them.

    Of one that was made from something else than numbers and words, that one alone.
    """
    origin = cascade.origin
    given = (origin.workload, *origin.arguments.items()) if origin is not None else ()
    spread = (rank.distribution for rank in cascade.ranks.values())
    numbers = (
        *(rank.size for rank in cascade.ranks.values()),
        *(
            each and (each.kind, each.draws, each.picks, each.exponent, each.ways)
            for each in spread
        ),
        *((each.density, each.probability) for each in cascade.einsums),
        *((band.low, band.high) for each in cascade.einsums for band in each.bands),
    )
    try:
        return cascade.form, cascade.name, _told(numbers), _told(given)
    except TypeError:
        return id(cascade)


def _told(value: Any) -> Hashable:
    """A number, a word or an array of numbers by what it says; `TypeError` for all else."""
    if type(value) in PLAIN:
        return type(value).__name__, value
    if isinstance(value, tuple):
        return tuple([_told(each) for each in cast(tuple[Any, ...], value)])
    if isinstance(value, np.ndarray):
        numbers = cast(NDArray[Any], value)
        if numbers.dtype.kind in "iuf":
            return numbers.shape, numbers.dtype.str, numbers.tobytes()
    raise TypeError


def _often(run: Run, times: Amount) -> tuple[Part, ...]:
    (parts,) = run.parts
    return tuple(replace(part, times=times * part.times) for part in parts)


def _busy_s(runs: list[Run], times: list[Amount]) -> dict[str, Amount]:
    busy: dict[str, Amount] = {}
    for run, count in zip(runs, times, strict=True):
        for unit, seconds in run.busy_s.items():
            busy[unit] = busy.get(unit, 0) + count * seconds
    return busy
