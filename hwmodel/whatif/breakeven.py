"""Break-even values: where along one number of a machine another resource begins to bind.

What binds is the resource with the most busy seconds. Along one number it changes at single values,
found in two steps: the number is laid out on a logarithmic grid (one vectorised call for rates),
then each interval whose ends differ is halved until it is narrower than `TOLERANCE` of its value.
A change and its reverse between two neighbours of the grid would be missed; at 129 points over two
decades to each side they lie 7 % apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.parameters import Number, number
from hwmodel.machines.driver import Machine, Network, Workload
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, SolverError
from hwmodel.quantity.units import amount, show
from hwmodel.show.json import plain
from hwmodel.text.markup import Brief
from hwmodel.whatif.variants import Question, answers, machine_of

POINTS = 129
DECADES = 2.0
"""How far the search goes to each side of the machine's own value."""

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Change:
    """One value at which what binds changes, from `below` to `above`, and the time there."""

    value: float
    below: str
    above: str
    time_s: float


@dataclass(frozen=True, eq=False, repr=False)
class BreakEven(Brief):
    """All changes of what binds along one number, from low to high; `value` is the nearest.

    `bottleneck` is what binds at the machine's own value.
    """

    workload: str
    machine: str
    number: Number
    bottleneck: str
    time_s: float
    low: float
    high: float
    changes: tuple[Change, ...]

    @property
    def nearest(self) -> Change:
        """The change that lies the smallest factor away from the machine's own value."""
        return min(self.changes, key=lambda c: abs(np.log(c.value / self.number.value)))

    @property
    def value(self) -> float:
        """The nearest value at which what binds changes, in SI."""
        return self.nearest.value

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        told = ("workload", "machine", "bottleneck", "time_s", "low", "high", "changes")
        return plain(
            {
                "number": self.number.path,
                "machine_value": self.number.value,
                "value": self.value,
                **{name: getattr(self, name) for name in told},
            }
        )

    def __str__(self) -> str:
        """A sentence for the machine as it is, and one for each change."""
        own = self.number
        lines = [
            f"{self.workload} on {self.machine}: {self.bottleneck} binds at {own.path} ="
            f" {own.text()} ({show(self.time_s, 's')})"
        ]
        for change in self.changes:
            factor = change.value / own.value
            lines.append(
                f"  {change.below} binds below {own.text(change.value)} ({factor:.3g}x),"
                f" {change.above} above; {show(change.time_s, 's')} there"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from hwmodel.text.markup import answer_html

        rows = [
            [self.number.text(c.value), c.below, c.above, show(c.time_s, "s")] for c in self.changes
        ]
        heads = (self.number.path, "binds below", "binds above", "time there")
        return answer_html(str(self).splitlines()[0], [(heads, rows)])


@checked
def break_even(
    workload: Workload,
    on: Machine,
    name: str,
    *,
    to: str | None = None,
    low: float | str | None = None,
    high: float | str | None = None,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
    topology: Network = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
) -> BreakEven:
    """The values of one number, such as "hbm.bandwidth", at which another resource binds.

    `to` keeps the changes that make this resource bind or stop ("matrix": where it turns compute
    bound); `low` and `high` are the ends of the search, a hundredth and a hundred times the
    machine's own value by default. Raises `UnknownNameError`, `InputError`, and `SolverError`
    where nothing changes between the ends.
    """
    machine, question = machine_of(on), Question(workload, kernel, parallel, topology, engine, l2)
    own = number(machine, name)
    first, last = _end(low, own, -1), _end(high, own, 1)
    if first >= last:
        raise InputError(f"{own.path}: expected low below high, found {first:g} and {last:g}")
    base = question.ask(machine)
    if np.ndim(base.time_s):
        raise InputError(f"{base.name}: expected one point, found {np.size(base.time_s)} of them")
    here = min(max(float(own.value), first), last)
    grid = _distinct([*np.geomspace(first, last, POINTS).tolist(), here], own)
    words = _words(question, machine, own, grid)
    found = [
        _refined(question, machine, own, (grid[i], grid[i + 1]), (words[i], words[i + 1]))
        for i in range(len(grid) - 1)
        if words[i] != words[i + 1] and words[i] and words[i + 1]
    ]
    kept = tuple(change for change in found if to is None or to in (change.below, change.above))
    if not kept:
        ran = sorted({word for word in words if word})
        wanted = f"{to} to bind in a part of it" if to else "what binds to change"
        raise SolverError(
            f"{own.path}: expected {wanted} between {own.text(first)} and {own.text(last)},"
            f" found {', '.join(ran) or 'nothing that runs'} throughout; search elsewhere with low"
            " and high, or along another number"
        )
    return BreakEven(
        workload=base.name,
        machine=base.device,
        number=own,
        bottleneck=str(base.bottleneck),
        time_s=float(base.time_s),
        low=first,
        high=last,
        changes=kept,
    )


def _end(given: float | str | None, own: Number, side: int) -> float:
    if given is None:
        far = own.value * 10 ** (side * DECADES)
        return max(1.0, round(far)) if own.whole else far
    return float(amount(given, own.dimension, where=own.path))


def _distinct(values: Sequence[float], own: Number) -> list[float]:
    """Values in order, each once; whole ones where the number counts things."""
    return sorted({float(round(value)) if own.whole else value for value in values})


def _words(
    question: Question, machine: Hardware, own: Number, values: Sequence[float]
) -> list[str]:
    """What binds at each value."""
    return answers(question, machine, [{own.path: value} for value in values]).bottleneck.tolist()


def _refined(
    question: Question,
    machine: Hardware,
    own: Number,
    ends: tuple[float, float],
    words: tuple[str, str],
) -> Change:
    """Narrow an interval by looking at its inner points, many at once."""
    (low, high), (below, above) = ends, words
    while high - low > (1 if own.whole else TOLERANCE * high):
        inner = _distinct(np.geomspace(low, high, 33).tolist(), own)
        found = [below, *_words(question, machine, own, inner[1:-1]), above]
        first = next(i for i, word in enumerate(found) if word != below)
        low, high, above = inner[first - 1], inner[first], found[first]
    value = high if own.whole else (low * high) ** 0.5
    there = answers(question, machine, [{own.path: value}])
    return Change(value, below, above, float(there.time_s[0]))
