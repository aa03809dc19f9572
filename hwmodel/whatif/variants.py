"""Times and joules of a workload on many variants of a machine, in as few calls as the model takes.

Numbers that are rates (`Number.rate`) go in as arrays, all variants in one call; variants that
change a capacity or a count, or whose machine's model takes no arrays, are predicted one by one,
and those that change a number which others follow apart from the rest. A variant on which the
workload cannot run (a buffer too small for any tile) has no time: NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.parameters import changed, numbers
from hwmodel.hardware.peaks import LEADERS
from hwmodel.machines.driver import Machine, Network, Workload, predict
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.errors import HwmodelError
from hwmodel.spine.answer import Answer

ARRAYS = frozenset({"gpu", "spatial", "fpga"})
"""Kinds of machine whose models take arrays of rates."""

Variant = Mapping[str, float]
"""Path of a number -> its value; what is not named stays."""


@dataclass(frozen=True)
class Question:
    """What is predicted whatever the machine's numbers: a workload, and how it runs."""

    workload: Workload
    kernel: Kernel = None
    parallel: Mapping[str, int] | None = None
    topology: Network = None
    engine: str | Engine | None = None
    l2: str | None = None

    @property
    def takes_arrays(self) -> bool:
        """Whether many machines can be asked about at once: not of many runs in time."""
        return getattr(self.workload, "answered_by", None) is None

    def ask(self, machine: Hardware) -> Answer:
        """The prediction on a machine."""
        how: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        return predict(how.pop("workload"), machine, **how)


def machine_of(on: Machine) -> Hardware:
    """The machine that is meant: itself, or one by name or file."""
    return on if isinstance(on, Hardware) else device(on)


@dataclass(frozen=True, eq=False)
class Answers:
    """Seconds, joules and what binds, for each variant; NaN and "" where nothing runs."""

    time_s: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    bottleneck: NDArray[np.str_]


def answers(
    question: Question, machine: Hardware, variants: Sequence[Variant], *, alone: bool = False
) -> Answers:
    """Predict each variant of `machine`; rates follow its clocks and processors unless `alone`."""
    known = numbers(machine)
    time_s, energy_j = np.full(len(variants), np.nan), np.full(len(variants), np.nan)
    words: list[str] = [""] * len(variants)

    def fill(places: Sequence[int], estimate: Answer) -> None:
        size = len(places)
        time_s[places] = np.broadcast_to(estimate.time_s, (size,))
        energy_j[places] = np.broadcast_to(estimate.energy_j, (size,))
        found = np.broadcast_to(np.asarray(estimate.bottleneck, dtype=str), (size,)).tolist()
        for place, word in zip(places, found, strict=True):
            words[place] = word

    def ask(places: Sequence[int]) -> None:
        """Predict these variants together; halve them where one of them cannot run."""
        rows = [variants[place] for place in places]
        try:
            changes = rows[0] if len(rows) == 1 else _columns(rows, machine)
            fill(places, question.ask(changed(machine, changes, alone=alone)))
        except HwmodelError:
            half = len(places) // 2
            for part in (places[:half], places[half:]) if half else ():
                ask(part)

    leaders = frozenset[str]() if alone else LEADERS
    groups: dict[frozenset[str], list[int]] = {}
    apart: list[list[int]] = []
    together = question.takes_arrays and machine.kind in ARRAYS
    for place, variant in enumerate(variants):
        if not together or not all(known[path].rate for path in variant):
            apart.append([place])
            continue
        # A column for every path of the group names them all, which would pin what follows.
        led = frozenset(variant) if leaders & set(variant) else frozenset[str]()
        groups.setdefault(led, []).append(place)
    for places in (*groups.values(), *apart):
        ask(places)
    return Answers(time_s, energy_j, np.array(words))


def _columns(variants: Sequence[Variant], machine: Hardware) -> dict[str, Any]:
    """Each path that any variant changes, as an array over the variants."""
    known = numbers(machine)
    paths = dict.fromkeys(path for variant in variants for path in variant)
    return {
        path: np.array([variant.get(path, known[path].value) for variant in variants], float)
        for path in paths
    }
