"""Attribution: what the difference between two estimates is due to.

Causes are what differs: numbers of the machine, arguments of the workload, and all that is no
number (calibration, units that only one machine has). Effects of several changes overlap (twice the
bandwidth buys nothing once another resource binds), so that each cause is given its Shapley value
(Shapley 1953, "A value for n-person games"): its effect, averaged over all orders in which the
changes can be made,

    v_i = sum over sets S without i of  |S|! (n - |S| - 1)! / n!  (t(S and i) - t(S))

These sum to t(all) - t(none), whatever the interactions. All 2^n combinations are predicted, rates
of the machine in one vectorised call, so that more than `MOST` causes of a kind are taken together
by the part of the machine that they belong to.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.parameters import Number, changed, numbers
from hwmodel.machines.driver import Machine, Network, Workload
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.quantity.units import show
from hwmodel.show.json import plain
from hwmodel.spine.answer import Answer
from hwmodel.text.grid import grid, wrapped
from hwmodel.text.markup import Brief
from hwmodel.whatif.variants import Question, answers, machine_of

MOST = {"rates": 8, "steps": 2}
"""Causes of a kind told apart: rates are one call, each other one doubles the calls."""

DUST = 1e-12
"""Effects below this share of the whole are rounding."""

REST = "calibration and structure"


@dataclass(frozen=True)
class Cause:
    """One difference: what it was, what it is, and the seconds and joules that it brings."""

    name: str
    before: str
    after: str
    time_s: float
    energy_j: float


@dataclass(frozen=True, eq=False, repr=False)
class Attribution(Brief):
    """Two estimates, and the causes of their difference, the largest effect on time first."""

    before: Answer
    after: Answer
    causes: tuple[Cause, ...]

    @property
    def time_s(self) -> float:
        """Seconds after less seconds before: the sum over causes."""
        return math.fsum(cause.time_s for cause in self.causes)

    @property
    def energy_j(self) -> float:
        """Joules after less joules before: the sum over causes."""
        return math.fsum(cause.energy_j for cause in self.causes)

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        pair = {"before": self.before, "after": self.after}
        told = {
            side: {"name": e.name, "device": e.device, "time_s": e.time_s, "energy_j": e.energy_j}
            for side, e in pair.items()
        }
        return plain(
            {**told, "time_s": self.time_s, "energy_j": self.energy_j, "causes": self.causes}
        )

    def __str__(self) -> str:
        """The difference in one line, then a row a cause."""
        head, heads, rows = _table(self)
        return f"{wrapped('', head)}\n\n{grid(heads, rows, left=(0,))}"

    def _repr_html_(self) -> str:
        from hwmodel.text.markup import answer_html

        head, heads, rows = _table(self)
        return answer_html(head, [(heads, rows)])


@checked
def attribute(
    workload: Workload | Sequence[Workload],
    on: Machine | Sequence[Machine],
    *,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
    topology: Network = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
) -> Attribution:
    """What the difference between two estimates is due to: `on=[before, after]`.

    Workloads too may be two, or one for both machines. Raises `InputError` for machines of two
    kinds, `CapacityError` where a machine with some of the changes alone can run nothing.
    """
    works, (one, other) = _pair(workload, "workload"), _pair(on, "on")
    machines = machine_of(one), machine_of(other)
    if machines[0].kind != machines[1].kind:
        kinds = " and ".join(machine.kind for machine in machines)
        raise InputError(f"attribute: expected two machines of one kind, found {kinds}")
    asked = [Question(work, kernel, parallel, topology, engine, l2) for work in works]
    before, after = (each.ask(machine) for each, machine in zip(asked, machines, strict=True))
    if np.ndim(before.time_s) or np.ndim(after.time_s):
        raise InputError("attribute: expected one point on each side, found a sweep")
    rates, steps = _machine_causes(*machines)
    arguments = _arguments(*works)
    rest = REST if machines[0].devices == machines[1].devices else f"devices, {REST}"
    names = [*rates, *steps, *arguments, rest]

    def at(chosen: Sequence[bool]) -> tuple[Question, Hardware, dict[str, float]]:
        """Workload, machine and capacities under a choice of the causes that are no rates."""
        picked = dict(zip([*steps, *arguments, rest], chosen, strict=True))
        work = _mixed(*works, {n: n in picked and picked[n] for n in arguments}, arguments)
        sized = {p: v[picked[n]] for n, pairs in steps.items() for p, v in pairs.items()}
        return Question(work, kernel, parallel, topology, engine, l2), machines[picked[rest]], sized

    time_s, energy_j = _every(at, rates, len(names) - len(rates))
    effects = [_shapley(values, len(names)) for values in (time_s, energy_j)]
    told = [_told(pairs, machines[0]) for pairs in (*rates.values(), *steps.values())]
    told += [(_short(old), _short(new)) for old, new in arguments.values()]
    told += [(_devices(machines[0]), _devices(machines[1]))]
    causes = [
        Cause(name, old, new, t, e)
        for name, (old, new), t, e in zip(names, told, *effects, strict=True)
    ]
    least = DUST * float(before.time_s), DUST * float(before.energy_j)
    kept = [c for c in causes if abs(c.time_s) > least[0] or abs(c.energy_j) > least[1]]
    return Attribution(before, after, tuple(sorted(kept, key=lambda c: -abs(c.time_s))))


Pairs = dict[str, tuple[float, float]]
"""Path of a number -> its value before and after."""


def _pair(given: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(given, (list, tuple)):
        return given, given
    two = tuple(cast(Sequence[Any], given))
    if len(two) != 2:
        raise InputError(f"attribute: {name}: expected two of them, found {len(two)}")
    return two[0], two[1]


def _machine_causes(before: Hardware, after: Hardware) -> tuple[dict[str, Pairs], dict[str, Pairs]]:
    """Numbers that both machines have and that differ: rates; capacities and counts."""
    old, new = numbers(before), numbers(after)
    differing = {p: n for p, n in old.items() if p in new and n.value != new[p].value}
    found: list[dict[str, Pairs]] = []
    for kind, is_rate in (("rates", True), ("steps", False)):
        mine = {p: n for p, n in differing.items() if n.rate == is_rate}
        single = len(mine) <= MOST[kind]
        groups: dict[str, Pairs] = {}
        for path, each in mine.items():
            name = path if single else _part_of(each) if is_rate else "capacities and counts"
            groups.setdefault(name, {})[path] = (each.value, new[path].value)
        found.append(groups)
    return found[0], found[1]


def _part_of(each: Number) -> str:
    """The part of the machine that a number belongs to, in few words."""
    first = each.path.split(".")[0]
    return "clock" if first.endswith("clock") else first


def _arguments(before: Workload, after: Workload) -> dict[str, tuple[Any, Any]]:
    """Arguments of the workload's function that differ; "workload" where functions do."""
    if before is after:
        return {}
    old, new = before.origin, after.origin
    if old is None or new is None or old.workload != new.workload:
        return {"workload": (before.name, after.name)}
    pairs = {
        name: (old.arguments[name], new.arguments[name])
        for name in old.arguments
        if not _same(old.arguments[name], new.arguments[name])
    }
    if len(pairs) <= MOST["steps"]:
        return pairs
    return {"workload": (before.name, after.name)}


def _same(one: Any, other: Any) -> bool:
    return one is other or bool(np.all(one == other))


def _mixed(
    before: Workload,
    after: Workload,
    chosen: Mapping[str, bool],
    arguments: Mapping[str, tuple[Any, Any]],
) -> Workload:
    if set(arguments) == {"workload"}:
        return after if chosen["workload"] else before
    if not any(chosen.values()):
        return before
    return before.but(**{n: pair[1] for n, pair in arguments.items() if chosen[n]})


def _every(at: Callable[[Sequence[bool]], Any], rates: Mapping[str, Pairs], steps: int) -> Any:
    """Seconds and joules of all sets of causes; bit i of a set's number says that it holds i."""
    size = 2 ** len(rates)
    variants = [
        {p: v[set_number >> i & 1] for i, g in enumerate(rates.values()) for p, v in g.items()}
        for set_number in range(size)
    ]
    time_s, energy_j = np.empty(size * 2**steps), np.empty(size * 2**steps)
    for high in range(2**steps):
        question, machine, sized = at([bool(high >> i & 1) for i in range(steps)])
        found = answers(question, changed(machine, sized, alone=True), variants, alone=True)
        if np.isnan(found.time_s).any():
            raise CapacityError(
                "attribute: expected the workload to run with any of the changes alone, found that"
                " it does not fit with some of them; attribute fewer changes at a time"
            )
        time_s[high * size : (high + 1) * size] = found.time_s
        energy_j[high * size : (high + 1) * size] = found.energy_j
    return time_s, energy_j


def _shapley(values: NDArray[np.float64], n: int) -> list[float]:
    """Each cause's value, from the values of all sets."""
    sets = np.arange(len(values))
    sizes = np.array([int(s).bit_count() for s in sets])
    weight = np.array([1 / (n * math.comb(n - 1, k)) for k in range(n)])
    found: list[float] = []
    for i in range(n):
        without = sets[(sets >> i & 1) == 0]
        gains = values[without | 1 << i] - values[without]
        found.append(math.fsum(weight[sizes[without]] * gains))
    return found


def _told(pairs: Pairs, machine: Hardware) -> tuple[str, str]:
    """What a cause's number was and is; of several, how many."""
    if len(pairs) > 1:
        return f"{len(pairs)} numbers", ""
    ((path, (before, after)),) = pairs.items()
    own = numbers(machine)[path]
    return own.text(before), own.text(after)


def _devices(machine: Hardware) -> str:
    return f"{machine.devices} x {machine.name}" if machine.devices > 1 else machine.name


def _short(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)[:24]


def _table(found: Attribution) -> tuple[str, tuple[str, ...], list[list[str]]]:
    """The difference in one line, then heads and rows."""
    old, new = found.before, found.after
    apart = float(new.time_s) / float(old.time_s)
    head = (
        f"{old.name} on {old.device}: {show(float(old.time_s), 's')}; {new.name} on {new.device}:"
        f" {show(float(new.time_s), 's')}, {apart:.3g}x"
    )
    rows = [
        [c.name, c.before, c.after, _signed(c.time_s, "s"), _signed(c.energy_j, "j")]
        for c in found.causes
    ]
    rows.append(["together", "", "", _signed(found.time_s, "s"), _signed(found.energy_j, "j")])
    return head, ("cause", "before", "after", "time", "energy"), rows


def _signed(value: float, dimension: str) -> str:
    return f"{'-' if value < 0 else '+'}{show(abs(value), dimension)}" if value else "0"
