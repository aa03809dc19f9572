"""Sensitivities: by how much time and energy follow each number of a machine.

    elasticity of t to x = d ln t / d ln x        (-1: twice x halves t;  0: x does not matter)

Models have corners (a maximum, a whole number of rounds, another tile), where the derivative from
above differs from that from below; both are given, as one-sided differences over a step of 1e-5 of
x, or of one where x counts things. A swing is the change under a large step, a fifth by default:
the bars of a tornado chart. Peak rates of a GPU follow its processors and clocks (`peaks`), all
other numbers move by themselves. As the time is homogeneous in seconds, elasticities to latencies
less those to rates that follow nothing sum to one for a call within its power limit's window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.hardware.parameters import Number, numbers
from hwmodel.hardware.peaks import KINDS
from hwmodel.machines.driver import Machine, Network, Workload
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import show
from hwmodel.show.json import plain
from hwmodel.text.grid import grid, wrapped
from hwmodel.text.markup import Brief
from hwmodel.whatif.variants import Answers, Question, answers, machine_of

STEP = 1e-5
SWING = 0.2
FOLLOWED = (
    "processors.count, clock, matrix_clock: peak rates go with them, as they do in but(...);"
    " bandwidth and capacity of the DRAM do not"
)
LEAST = 1e-9
"""Elasticity below which a number does not matter: rounding of a difference over `STEP`."""


@dataclass(frozen=True)
class Effect:
    """What one number of a machine does to time and energy.

    `time_up`, `time_down` are elasticities for a rise and for a fall; `time_low_s`, `time_high_s`
    the times with the number lower and higher by the swing; so too for energy. NaN: cannot run.
    """

    number: Number
    time_up: float
    time_down: float
    energy_up: float
    energy_down: float
    time_low_s: float
    time_high_s: float
    energy_low_j: float
    energy_high_j: float


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Brief):
    """Effects of all numbers that matter, the largest swing of time first; and those that do not.

    `swing` is the share by which a number falls and rises for the tornado's bars.
    """

    workload: str
    machine: str
    time_s: float
    energy_j: float
    swing: float
    effects: tuple[Effect, ...]
    inert: tuple[str, ...]
    followed: bool = False
    """Whether rates of this kind of machine follow its processors and clocks (`peaks`)."""

    def effect(self, path: str) -> Effect:
        """The effect of one number, by path; raises `InputError` where it has none."""
        for each in self.effects:
            if each.number.path == path:
                return each
        why = "it changes nothing" if path in self.inert else "it is no number of this machine"
        raise InputError(f"sensitivity: expected a number with an effect, found {path!r}; {why}")

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        rows = [
            {"number": each.number.path, "value": each.number.value, **_measures(each)}
            for each in self.effects
        ]
        told = {name: getattr(self, name) for name in ("workload", "machine", "time_s", "energy_j")}
        return plain({**told, "swing": self.swing, "effects": rows, "inert": self.inert})

    def __str__(self) -> str:
        """The tornado as a table."""
        return sensitivity_text(self)

    def _repr_html_(self) -> str:
        from hwmodel.text.markup import answer_html

        head, heads, rows, notes = sensitivity_table(self)
        return answer_html(head, [(heads, rows)], notes)


@checked
def sensitivity(
    workload: Workload,
    on: Machine,
    *,
    kernel: Kernel = None,
    parallel: Mapping[str, int] | None = None,
    topology: Network = None,
    engine: str | Engine | None = None,
    l2: str | None = None,
    swing: float = SWING,
) -> Sensitivity:
    """Elasticities and swings of time and energy for every number of a machine.

    Sizes and the machine's numbers must be scalars. Raises as `predict` does.
    """
    if np.ndim(swing) or not 0 < swing < 1:
        raise InputError(f"swing: expected a share between 0 and 1, found {shown(swing)}")
    machine, question = machine_of(on), Question(workload, kernel, parallel, topology, engine, l2)
    base = question.ask(machine)
    if np.ndim(base.time_s):
        raise InputError(f"{base.name}: expected one point, found {np.size(base.time_s)} of them")
    known = list(numbers(machine).values())
    moves = [value for each in known for value in _moves(each, swing)]
    variants = [{each.path: v} for each in known for v in _moves(each, swing)]
    found = answers(question, machine, [{}, *variants])
    effects = [
        _effect(each, moves[4 * i : 4 * i + 4], found, [0, *range(4 * i + 1, 4 * i + 5)])
        for i, each in enumerate(known)
    ]
    mattering = [each for each in effects if _matters(each, found)]
    return Sensitivity(
        workload=base.name,
        machine=base.device,
        time_s=float(base.time_s),
        energy_j=float(base.energy_j),
        swing=swing,
        effects=tuple(sorted(mattering, key=lambda e: _width(e, found), reverse=True)),
        inert=tuple(e.number.path for e in effects if not _matters(e, found)),
        followed=machine.kind in KINDS,
    )


def _moves(number: Number, swing: float) -> tuple[float, float, float, float]:
    """Values a step below and above, and a swing below and above; whole ones stay whole."""
    x = number.value
    if not number.whole:
        return x * (1 - STEP), x * (1 + STEP), x * (1 - swing), x * (1 + swing)
    wide = max(1, round(x * swing))
    return max(1, x - 1), x + 1, max(1, x - wide), x + wide


def _effect(
    number: Number, moves: Sequence[float], found: Answers, places: Sequence[int]
) -> Effect:
    def slope(values: Any, which: int) -> float:
        moved, base = values[places[which + 1]], values[places[0]]
        apart = np.log(moves[which] / number.value)
        return float(np.log(moved / base) / apart) if apart and moved > 0 and base > 0 else 0.0

    time_s, energy_j = found.time_s, found.energy_j
    return Effect(
        number,
        time_up=slope(time_s, 1),
        time_down=slope(time_s, 0),
        energy_up=slope(energy_j, 1),
        energy_down=slope(energy_j, 0),
        time_low_s=float(time_s[places[3]]),
        time_high_s=float(time_s[places[4]]),
        energy_low_j=float(energy_j[places[3]]),
        energy_high_j=float(energy_j[places[4]]),
    )


def _matters(each: Effect, found: Answers) -> bool:
    slopes = (each.time_up, each.time_down, each.energy_up, each.energy_down)
    ends = zip(
        (each.time_low_s, each.time_high_s, each.energy_low_j, each.energy_high_j),
        (found.time_s[0], found.time_s[0], found.energy_j[0], found.energy_j[0]),
        strict=True,
    )
    moved = any(not abs(end - base) <= LEAST * base for end, base in ends)
    return moved or any(abs(slope) > LEAST for slope in slopes)


def _width(each: Effect, found: Answers) -> tuple[float, float]:
    """By how much the swing moves time, and energy where times are equal."""

    def most(values: Sequence[float], base: float) -> float:
        return max(abs(v / base - 1) if v == v else np.inf for v in values)

    time = most((each.time_low_s, each.time_high_s), found.time_s[0])
    base_j = found.energy_j[0]
    energy = most((each.energy_low_j, each.energy_high_j), base_j) if base_j > 0 else 0.0
    return (round(time, 9), energy)


def _measures(each: Effect) -> dict[str, float]:
    return {name: value for name, value in vars(each).items() if name != "number"}


def sensitivity_text(found: Sensitivity) -> str:
    """One row a number: elasticities, and time and energy with it lower and higher."""
    head, heads, rows, notes = sensitivity_table(found)
    return "\n\n".join(
        (head, grid(heads, rows, left=(0,)), "\n".join(wrapped("", note) for note in notes))
    )


def sensitivity_table(
    found: Sensitivity,
) -> tuple[str, tuple[str, ...], list[list[str]], tuple[str, ...]]:
    """What is asked in one line, heads and rows, and notes."""
    rows = [
        [
            each.number.path,
            each.number.text(),
            _slopes(each.time_up, each.time_down),
            _change(each.time_low_s, found.time_s),
            _change(each.time_high_s, found.time_s),
            _slopes(each.energy_up, each.energy_down),
            _change(each.energy_low_j, found.energy_j),
            _change(each.energy_high_j, found.energy_j),
        ]
        for each in found.effects
    ]
    small = [row[0] for row in rows if set(row[2:]) == {"0"}]
    fall, rise = f"-{found.swing:.0%}", f"+{found.swing:.0%}"
    heads = ("number", "value", "time", fall, rise, "energy", fall, rise)
    head = (
        f"{found.workload} on {found.machine}: {show(found.time_s, 's')},"
        f" {show(found.energy_j, 'j')}; one number changes at a time"
    )
    notes = (
        "time, energy: percent of change for one percent more (rise / fall where they differ);"
        f" then with the number {found.swing:.0%} lower and higher",
        FOLLOWED if found.followed else "",
        f"hardly any effect: {', '.join(small)}" if small else "",
        f"no effect: {', '.join(found.inert)}" if found.inert else "",
    )
    shown = [row for row in rows if row[0] not in small]
    return head, heads, shown, tuple(note for note in notes if note)


def _slopes(up: float, down: float) -> str:
    def word(slope: float) -> str:
        return f"{slope:+.2f}" if abs(slope) >= 5e-3 else "0"

    return word(up) if abs(up - down) < 1e-2 else f"{word(up)} / {word(down)}"


def _change(value: float, base: float) -> str:
    if value != value:
        return "cannot run"
    share = value / base - 1
    return f"{share:+.1%}" if abs(share) >= 5e-4 else "0"
