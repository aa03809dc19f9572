"""Energy and traffic rows against the model: joules by counter, DRAM bytes by hardware counters.

Energy of a call in unbroken repetition is static watts times its sustained time plus joules per
operation and per byte times the counts (`activity.energy_j`). The family "energy" of a calibration
holds multiples of the catalogue's joules, fitted with the *measured* sustained time, so that errors
of time do not leak into them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy import optimize

from hwmodel.activity import dynamic_j, steady_w
from hwmodel.calibration import Family, Parameter
from hwmodel.gpu.predict import family_of, run
from hwmodel.gpu.rates import ENERGY, rates
from hwmodel.hardware import Hardware
from hwmodel.validation.fit import LOSS_SCALE, Array, interval
from hwmodel.validation.rows import DATA, Group, Row, groups, read_file, sittings

UNITS = ("matrix", "vector", "exp")
LEVELS = ("dram", "l2", "shared")
PRIORS = {
    "static": Parameter(
        value=1.2, low=0.5, high=2.5, meaning="watts at full clock over idle watts"
    ),
    "busy": Parameter(
        value=1.0, low=0.0, high=4.0, meaning="watts of busy processors over idle watts"
    ),
    **{
        unit: Parameter(
            value=1.0, low=0.05, high=10.0, meaning=f"joules per operation of {unit} over catalogue"
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
"""Free parameters of the energy family and their bounds."""


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
        family = family_of(calibration, call.family)
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


def fit_energy(rows: Sequence[Row], hardware: Hardware) -> tuple[Family, Array]:
    """The energy family, and measured/predicted of rows left out fold by fold."""
    every = groups(rows)
    terms = [shares(group, hardware) for group in every]
    table = {
        name: np.concatenate([term[name] for term in terms]) for name in ("busy", *UNITS, *LEVELS)
    }
    time_s = np.concatenate([column(group, "sustained_time_s") for group in every])
    measured_j = np.concatenate([column(group, "energy_j") for group in every])
    table["static"] = float(np.asarray(hardware.power.idle_w)) * time_s
    names = list(PRIORS)
    columns = np.stack([table[name] for name in names], axis=1)
    folds = np.arange(len(measured_j)) % 5
    ratios = np.ones(len(measured_j))
    for fold in range(5):
        values, _ = _solve(columns[folds != fold], measured_j[folds != fold], names)
        ratios[folds == fold] = measured_j[folds == fold] / (columns[folds == fold] @ values)
    values, errors = _solve(columns, measured_j, names)
    parameters = {
        name: PRIORS[name].but(value=float(f"{value:.4g}"), standard_error=float(f"{error:.2g}"))
        for name, value, error in zip(names, values, errors, strict=True)
    }
    family = Family(
        parameters=parameters,
        interval=interval(ratios),
        origin="measured",
        rows=len(measured_j),
    )
    return family, ratios


def _solve(columns: Array, measured_j: Array, names: Sequence[str]) -> tuple[Array, Array]:
    """Multiples that fit best by their logarithm, and their standard errors."""
    low, high = (np.array([getattr(PRIORS[n], end) for n in names]) for end in ("low", "high"))
    answer: Any = cast(Any, optimize).least_squares(
        lambda x: np.log((columns @ x) / measured_j),  # pyright: ignore
        np.array([PRIORS[name].value for name in names]),
        bounds=(low, high),
        loss="soft_l1",
        f_scale=2 * LOSS_SCALE,
    )
    spread = 2 * float(answer.cost) / max(1, len(measured_j) - len(names))
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
        family = family_of(calibration, call.family)
        counts = run(call, hardware, {k: p.value for k, p in family.parameters.items()}).counts
        totals["read"] = totals["read"] + call.times * counts.read.get("dram", 0)
        totals["written"] = totals["written"] + call.times * counts.written.get("dram", 0)
    return totals


def energy_values(hardware: Hardware) -> Mapping[str, float]:
    """Fitted multiples of the energy family; empty where energy was never measured."""
    calibration = hardware.calibration
    if calibration is None or ENERGY not in calibration.families:
        return {}
    return calibration.values(ENERGY)


def static_and_dynamic(group: Group, hardware: Hardware) -> Array:
    """Joules of each row by the fitted family, with its measured sustained time."""
    energy = energy_values(hardware)
    prices = rates(hardware, {}, energy)
    time_s = column(group, "sustained_time_s")
    joules = np.zeros(len(group.rows))
    calibration = hardware.calibration
    assert calibration is not None
    for call in group.calls:
        family = family_of(calibration, call.family)
        counts = run(call, hardware, {k: p.value for k, p in family.parameters.items()}).counts
        joules = joules + call.times * np.asarray(dynamic_j(counts, prices))
        joules = joules + np.asarray(steady_w(counts, prices)) * time_s / len(group.calls)
    return np.asarray(joules)
