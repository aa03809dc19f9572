"""Joules and watts of an activity, and the time in which its machine's power limit lets it run.

Energy is what is spent on each operation and byte, and what is drawn while the work lasts; under
the limit the clock falls, and with the voltage the joules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwmodel.quantity.arithmetic import least, most, power, where
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Rates, Work, totals


def dynamic_j(work: Work, rates: Rates) -> Amount:
    """Joules that one leaf spends beyond the static power."""
    return sum(_spent(work, rates).values(), start=0.0)


def _spent(work: Work, rates: Rates) -> dict[str, Amount]:
    """Joules of operations by unit, and of bytes by memory level and link.

    By name, whatever the order of the counts: sums are then the same to the last bit.
    """
    joules: dict[str, Amount] = {}
    operation_j, byte_j = rates.operation_j, rates.byte_j
    for key, count in work.operations.items():
        joules[key[0]] = joules.get(key[0], 0.0) + count * operation_j.get(key, 0.0)
    for moved in (work.read, work.written):
        for level, count in moved.items():
            joules[level] = joules.get(level, 0.0) + count * byte_j.get(level, 0.0)
    for link, (_, size) in work.messages.items():
        wire = link.partition(":")[0]
        joules[wire] = joules.get(wire, 0.0) + size * byte_j.get(wire, 0.0)
    return {name: joules[name] for name in sorted(joules)}


def components_j(activity: Activity, rates: Rates, time_s: Amount) -> dict[str, Amount]:
    """`energy_j` by component: units, memory levels, links, and "static" (what time costs).

    Under the power limit all fall alike, so that they always sum to the total.
    """
    counts = totals(activity)
    return _by_component(_spent(counts, rates), steady_w(counts, rates), rates, time_s)


def _by_component(
    spent: Mapping[str, Amount], drawn_w: Amount, rates: Rates, time_s: Amount
) -> dict[str, Amount]:
    parts = {**spent, "static": drawn_w * time_s}
    free_j = sum(parts.values(), start=0.0)
    kept = where(free_j > 0, least((free_j, rates.limit_w * time_s)) / most((free_j, 1e-300)), 0.0)
    return {name: joules * kept for name, joules in parts.items()}


def steady_w(counts: Work, rates: Rates) -> Amount:
    """Watts drawn while the work lasts, whatever its pace: static ones, and those of live units."""
    watts = rates.static_w
    for name, each_w in rates.live_w.items():
        watts = watts + counts.live.get(name, 0) * each_w
    return watts


def energy_j(activity: Activity, rates: Rates, time_s: Amount) -> Amount:
    """Watts while it lasts times `time_s`, plus joules per operation and per byte of all leaves.

    Never more than the power limit times `time_s`: there the voltage has fallen with the clock.
    """
    counts = totals(activity)
    return _within_limit(dynamic_j(counts, rates), steady_w(counts, rates), rates, time_s)


def _within_limit(spent_j: Amount, drawn_w: Amount, rates: Rates, time_s: Amount) -> Amount:
    return least((drawn_w * time_s + spent_j, rates.limit_w * time_s))


def sustained_s(activity: Activity, rates: Rates, time_s: Amount) -> Amount:
    """Seconds in unbroken repetition: no faster than the power limit can pay for.

    `time_s` is the time at the full clock. Under the limit the clock falls to a share r, time grows
    to t / r, and with the voltage joules fall to E r^g (`Rates.voltage` is g; E is proportional to
    the voltage's square, which falls more slowly than the clock). Watts meet the limit P at

        P - steady = (E / t) r^(1 + g)      so      t / r = t (E / t / (P - steady))^(1 / (1 + g))

    Raises `InputError` where the limit is not above what is drawn whatever the pace.
    """
    counts = totals(activity)
    return _slowed(dynamic_j(counts, rates), steady_w(counts, rates), rates, time_s)


def _slowed(spent_j: Amount, drawn_w: Amount, rates: Rates, time_s: Amount) -> Amount:
    spare_w = rates.limit_w - drawn_w
    if spare_w <= 0 if isinstance(spare_w, (int, float)) else np.any(spare_w <= 0):
        raise InputError(
            f"power limit: expected more than the {np.max(drawn_w):.4g} W that the machine draws"
            f" at any pace, found {np.min(rates.limit_w):.4g} W"
        )
    overload = most((1.0, spent_j / (spare_w * time_s)))
    return time_s * power(overload, 1 / (1 + rates.voltage))


@dataclass(frozen=True, eq=False)
class Settled:
    """An activity in unbroken repetition: seconds, joules, and joules by component."""

    time_s: Amount
    energy_j: Amount
    by_component_j: Mapping[str, Amount]


def settled(counts: Work, rates: Rates, time_s: Amount, *, components: bool = True) -> Settled:
    """`sustained_s`, and `energy_j` and `components_j` in that time, worked out together.

    Without `components` these are left out, which sweeps do for their speed.
    """
    spent, drawn_w = _spent(counts, rates), steady_w(counts, rates)
    spent_j = sum(spent.values(), start=0.0)
    slowed_s = _slowed(spent_j, drawn_w, rates, time_s)
    return Settled(
        slowed_s,
        _within_limit(spent_j, drawn_w, rates, slowed_s),
        _by_component(spent, drawn_w, rates, slowed_s) if components else {},
    )
