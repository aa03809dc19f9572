"""Energy and traffic rows against the model: joules by counter, DRAM bytes by hardware counters.

Energy of a call in unbroken repetition is static watts times its sustained time plus joules per
operation and per byte times the counts (`activity.energy_j`). The family "energy" of a calibration
holds multiples of the catalogue's joules, fitted with the *measured* sustained time, so that errors
of time do not leak into them; and to how much longer calls take under the power limit, which many
more rows say than those whose joules were taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy import optimize

from hwmodel.hardware.calibration import Family, Parameter
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.rates import rates
from hwmodel.validation.fit import LOSS_SCALE, Array, fold_of, interval
from hwmodel.validation.rows import DATA, Group, Row, groups, read_file, sittings

UNITS = ("matrix", "vector", "exp", "issue")
LEVELS = ("dram", "l2", "shared")
PRIORS = {
    "voltage": Parameter(
        value=1.0, low=0.0, high=6.0, meaning="exponent of dynamic joules in the lowered pace"
    ),
    "static": Parameter(
        value=1.2, low=0.5, high=2.5, meaning="watts at full clock over idle watts"
    ),
    "busy": Parameter(
        value=1.0, low=0.0, high=4.0, meaning="watts of busy processors over idle watts"
    ),
    **{
        unit: Parameter(
            value=1.0, low=0.05, high=30.0, meaning=f"joules per operation of {unit} over catalogue"
        )
        for unit in UNITS
    },
    **{
        level: Parameter(
            value=1.0, low=0.05, high=10.0, meaning=f"joules per byte of {level} over catalogue"
        )
        for level in LEVELS
    },
}
"""Free parameters of the energy family and their bounds. Under the limit a product's pace falls
half as fast as its clock (8192^3: 1.19 times as long at 1/1.35 of it), so that exponents pass 2."""

JOULES = 3.0
"""How much an error of joules counts beside one of a slowdown: rows of the latter are twenty times
as many (from folds: with 1 joules are 8 % off and slowdowns 1.7, with 3 they are 6 and 1.9)."""


def read(device: str, file: str, data: Path = DATA) -> list[Row]:
    """Rows of one kind (`energy.csv`, `counters.csv`) of all sittings."""
    found: list[Row] = []
    for sitting in sittings(device, data):
        path = data / device / sitting / file
        if path.is_file():
            found += read_file(path, sitting, data / device / sitting)
    return found


def column(group: Group, name: str) -> Array:
    """One measured column of a group's rows."""
    return np.array([float(row.columns[name]) for row in group.rows])


def shares(group: Group, hardware: Hardware) -> dict[str, Array]:
    """Joules at the catalogue's prices of one call of each row, by unit and by memory level."""
    calibration = hardware.calibration
    assert calibration is not None
    prices = rates(hardware, {})
    n = len(group.rows)
    found = {name: np.zeros(n) for name in ("busy", *UNITS, *LEVELS)}
    idle_w = float(np.asarray(hardware.power.idle_w))
    share_of_time = column(group, "sustained_time_s") / len(group.calls)
    for call in group.calls:
        family = family_of(calibration, call.family, call.library)
        counts = run(call, hardware, {k: p.value for k, p in family.parameters.items()}).counts
        busy = counts.live.get("processors", 0) / hardware.processors.count
        found["busy"] = found["busy"] + busy * idle_w * share_of_time
        for (unit, kind, dtype), count in counts.operations.items():
            each = prices.operation_j.get((unit, kind, dtype), 0.0)
            found[unit] = found[unit] + call.times * count * each
        for level in LEVELS:
            moved = counts.read.get(level, 0) + counts.written.get(level, 0)
            found[level] = found[level] + call.times * moved * prices.byte_j.get(level, 0.0)
    return found


@dataclass(frozen=True, eq=False)
class _Rows:
    """Energy rows: joules at the catalogue's prices by term, measured times and joules."""

    terms: Array
    idle_j: Array
    busy_j: Array
    burst_s: Array
    sustained_s: Array
    energy_j: Array
    """No number where none were taken."""

    def some(self, keep: Any) -> "_Rows":
        """Those rows alone."""
        return _Rows(*(getattr(self, f.name)[keep] for f in fields(_Rows)))


def fit_energy(
    rows: Sequence[Row], hardware: Hardware, timed: Sequence[Row] = ()
) -> tuple[Family, Array]:
    """The energy family, and measured/predicted joules of rows left out fold by fold.

    Two residuals a row: joules at its measured sustained time, and that time from its measured time
    after a rest. Rows that were only `timed` in both states have the latter.
    """
    data, folds = _data(rows, hardware)
    more, folds_more = _data([row for row in timed if "sustained_time_s" in row.columns], hardware)
    limit_w = float(np.asarray(hardware.power.limit_w))
    ratios = np.ones(len(folds))
    for fold in np.unique(folds):
        values, _ = _solve(data.some(folds != fold), more.some(folds_more != fold), limit_w)
        ratios[folds == fold] = 1 / _ratios(values, data.some(folds == fold), limit_w)[0]
    values, errors = _solve(data, more, limit_w)
    parameters = {
        name: prior.but(value=float(f"{value:.4g}"), standard_error=float(f"{error:.2g}"))
        for (name, prior), value, error in zip(PRIORS.items(), values, errors, strict=True)
    }
    family = Family(
        parameters=parameters, interval=interval(ratios), origin="measured", rows=len(folds)
    )
    return family, ratios


def _data(rows: Sequence[Row], hardware: Hardware) -> tuple[_Rows, Array]:
    """What the fit reads of rows, and the folds that they belong to."""
    every = groups(rows)
    parts = [shares(group, hardware) for group in every]

    def joined(of_parts: Sequence[Array]) -> Array:
        return np.concatenate([np.zeros(0), *of_parts])

    terms = [joined([part[name] for part in parts]) for name in (*UNITS, *LEVELS)]
    sustained_s = joined([column(group, "sustained_time_s") for group in every])
    joules = [float(row.columns.get("energy_j", np.nan)) for g in every for row in g.rows]
    data = _Rows(
        terms=np.stack(terms, axis=1),
        idle_j=sustained_s * float(np.asarray(hardware.power.idle_w)),
        busy_j=joined([part["busy"] for part in parts]),
        burst_s=joined([column(group, "time_s") for group in every]),
        sustained_s=sustained_s,
        energy_j=np.array(joules),
    )
    return data, np.array([fold_of(row) for group in every for row in group.rows])


def _ratios(values: Array, data: _Rows, limit_w: float) -> tuple[Array, Array]:
    """Predicted over measured: joules, and sustained times."""
    voltage, static, busy, *prices = values
    dynamic_j = data.terms @ np.array(prices)
    steady_j = static * data.idle_j + busy * data.busy_j
    joules = np.minimum(steady_j + dynamic_j, limit_w * data.sustained_s)
    spare_w = np.maximum(limit_w - steady_j / data.sustained_s, 1.0)
    overload = np.maximum(1.0, dynamic_j / (spare_w * data.burst_s))
    times = data.burst_s * overload ** (1 / (1 + voltage))
    return joules / data.energy_j, times / np.maximum(data.sustained_s, data.burst_s)


def _solve(data: _Rows, timed: _Rows, limit_w: float) -> tuple[Array, Array]:
    """Multiples that fit best by their logarithm, and their standard errors."""
    low, high = (np.array([getattr(p, end) for p in PRIORS.values()]) for end in ("low", "high"))
    start = np.array([p.value for p in PRIORS.values()])

    def residuals(x: Array) -> Array:
        joules, times = _ratios(x, data, limit_w)
        slowed = _ratios(x, timed, limit_w)[1]
        return np.concatenate([JOULES * np.log(joules), np.log(times), np.log(slowed)])

    answer: Any = cast(Any, optimize).least_squares(
        residuals,
        np.clip(start, low + 1e-3 * (high - low), high),
        bounds=(low, high),
        loss="soft_l1",
        f_scale=2 * LOSS_SCALE,
        diff_step=1e-3,
    )
    count = len(answer.fun)
    spread = 2 * float(answer.cost) / max(1, count - len(PRIORS))
    jacobian = cast(Array, answer.jac)
    covariance: Array = np.asarray(np.linalg.pinv(jacobian.T @ jacobian) * spread, dtype=np.float64)
    return cast(Array, answer.x), np.sqrt(np.maximum(np.diag(covariance), 0.0))


def traffic(group: Group, hardware: Hardware) -> dict[str, Array]:
    """Predicted bytes read and written at the DRAM for each row."""
    calibration = hardware.calibration
    assert calibration is not None
    totals: dict[str, Array] = {
        "read": np.zeros(len(group.rows)),
        "written": np.zeros(len(group.rows)),
    }
    for call in group.calls:
        family = family_of(calibration, call.family, call.library)
        counts = run(call, hardware, {k: p.value for k, p in family.parameters.items()}).counts
        totals["read"] = totals["read"] + call.times * counts.read.get("dram", 0)
        totals["written"] = totals["written"] + call.times * counts.written.get("dram", 0)
    return totals
