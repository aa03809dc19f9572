"""Kernels of a step in a loop that goes on: one clock for all of them, which the power limit sets.

A kernel alone, repeated, slows down until its own watts meet the limit (`activity.sustained_s`). In
a step kernels of many kinds follow each other within milliseconds, faster than the limit acts, so
that their mean meets it. With t the time at the full clock, o the dynamic watts over those that the
limit leaves (its overload), f the share of t that follows the clock and not the DRAM, T the sum of
those t that nothing hides, and F the mean of f weighted by time, the clock falls to the share r of

    sum(t o) r^g = max(T (F / r + 1 - F), beside) + outside

where joules fall with the voltage as r^g (`Rates.voltage`), and the right side is the step by the
wall: the host works so long beside the kernels, and so long while none runs, all at the GPU's
steady watts. A kernel then takes t (f / r + 1 - f). Time and bytes of the
DRAM combine as a norm of exponent `SHARPNESS`, whose derivative by the part that follows the clock
is f = 1 - (DRAM's share of t)^SHARPNESS.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.rates import ENERGY
from hwmodel.quantity.arithmetic import least, most, power, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part

SHARPNESS = 3.0
TURNS = 24
"""Turns of the fixed point, which halves its error at each."""


@dataclass(frozen=True)
class Limit:
    """What a power limit acts on: watts that do not follow the clock, and those that it leaves."""

    voltage: float
    steady_w: Amount
    spare_w: Amount


def limit_of(machine: Hardware) -> Limit:
    """The limit of a machine, with the joules of its calibration."""
    calibration = machine.calibration
    known = calibration.families if calibration is not None else {}
    joules = known[ENERGY].values if ENERGY in known else {}
    steady_w = machine.power.idle_w * (joules.get("static", 1.0) + joules.get("busy", 1.0))
    spare_w = most((machine.power.limit_w - steady_w, 1.0))
    return Limit(joules.get("voltage", 1.0), steady_w, spare_w)


def load(part: Part, limit: Limit, dynamic: float = 1.0) -> tuple[Amount, Amount]:
    """(its overload, what of its time follows the clock) of a part of a step."""
    return dynamic * _overload(part, limit.voltage, limit.steady_w, limit.spare_w), _follows(part)


@dataclass(frozen=True)
class Loads:
    """What the kernels of a step ask of a power limit, one after the other.

    `spent_s` are seconds of all runs of each at the full clock; overload and what of its time
    follows the clock are as in `load`, at the watts of the kernel alone.
    """

    limit: Limit
    names: tuple[str, ...]
    spent_s: tuple[Amount, ...]
    loads: tuple[tuple[Amount, Amount], ...]

    def clock(self, dynamic: float, hidden_s: Amount, host_s: tuple[Amount, Amount]) -> Amount:
        """The share of the full clock at which their mean meets the limit, as `settled` says."""
        total_s = sum(self.spent_s, start=0.0)
        pairs = list(zip(self.spent_s, self.loads, strict=True))
        work = sum((s * (dynamic * o) for s, (o, _) in pairs), start=0.0)
        follow = sum((s * f for s, (_, f) in pairs), start=0.0) / total_s
        return _clock(work, total_s - hidden_s, follow, host_s, self.limit.voltage)

    def slowed_s(self, clock: Amount) -> list[Amount]:
        """Seconds of all runs of each at a share of the full clock."""
        return [s * _slowed(f, clock) for s, (_, f) in zip(self.spent_s, self.loads, strict=True)]


def loads_of(parts: Sequence[Part], machine: Hardware) -> Loads:
    """What the parts of a step ask of the machine's limit."""
    limit = limit_of(machine)
    return Loads(
        limit,
        tuple(part.name for part in parts),
        tuple(part.times * part.time_s for part in parts),
        tuple(load(part, limit) for part in parts),
    )


def settled(
    parts: Sequence[Part],
    machine: Hardware,
    *,
    dynamic: float = 1.0,
    hidden_s: Amount = 0.0,
    host_s: tuple[Amount, Amount] = (0.0, 0.0),
) -> tuple[Part, ...]:
    """The parts of a step at the clock that their mean power leaves.

    `dynamic` is what their dynamic joules are of those of the same kernels alone, `hidden_s` what
    of their time passes beneath others, `host_s` how long the host works beside them and outside.
    """
    asked = loads_of(parts, machine)
    clock, limit = asked.clock(dynamic, hidden_s, host_s), asked.limit
    found: list[Part] = []
    for part, (own, share) in zip(parts, asked.loads, strict=True):
        time_s = part.time_s * _slowed(share, clock)
        dynamic_j = dynamic * own * limit.spare_w * part.time_s * power(clock, limit.voltage)
        energy_j = dynamic_j + limit.steady_w * time_s
        scale = energy_j / most((part.energy_j, 1e-300))
        by_j = {name: each * scale for name, each in part.energy_by_j.items()}
        found.append(
            replace(part, time_s=time_s, sustained_s=time_s, energy_j=energy_j, energy_by_j=by_j)
        )
    return tuple(found)


def _slowed(follows: Amount, clock: Amount) -> Amount:
    """Time at a share of the full clock over that at the full one."""
    return follows / clock + 1 - follows


def _overload(part: Part, voltage: float, steady_w: Amount, spare_w: Amount) -> Amount:
    """Dynamic watts at the full clock over those that the limit leaves.

    Of a kernel that is slowed alone, by how much it is; of another, by its joules.
    """
    slowed = power(part.sustained_s / part.time_s, 1 + voltage)
    drawn = most((part.energy_j / part.time_s - steady_w, 0.0)) / spare_w
    return where(slowed > 1 + 1e-9, slowed, least((drawn, 1.0)))


def _follows(part: Part) -> Amount:
    share = least((part.busy_s.get("dram", 0.0) / part.time_s, 1.0))
    return 1 - power(share, SHARPNESS)


def _clock(
    work: Amount, shown_s: Amount, follow: Amount, host_s: tuple[Amount, Amount], voltage: float
) -> Amount:
    """The clock's share that solves the equation of the module, 1 where the limit does not act."""
    beside_s, outside_s = host_s
    clock: Amount = 1.0
    for _ in range(TURNS):
        kernels_s = shown_s * (follow + (1 - follow) * clock)
        wall_s = most((kernels_s, beside_s * clock)) + outside_s * clock
        clock = least((power(wall_s / most((work, 1e-300)), 1 / (1 + voltage)), 1.0))
    return clock
