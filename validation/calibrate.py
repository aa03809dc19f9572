"""From measured rows to a calibration file: every family fitted in turn, on the fitting half alone.

    python -m hwmodel.validation.calibrate h200 [--family NAME ...] [--boards HASH ...] [--out FILE]
                                                [--table FILE.nccl.csv] [--without-folds]

Families are fitted library by library, those that others contain first (a mixture-of-experts layer
runs row kernels). Each is fitted five times more with one fold left out, for the errors that are
printed (and are left out on demand: a family of thousands of rows takes minutes each time). No
parameter ever sees the test half; it is read once, after the fit, for the interval
that holds 90 % of it (split conformal prediction), and so the interval's coverage is reported on
other boards alone. A family with fewer rows than a fit needs is passed over.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.catalogue import CATALOGUE, device, load_calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.libraries.library import Library
from hwmodel.machines.gpu.libraries.shipped import SHIPPED, family_of
from hwmodel.machines.gpu.rates import ENERGY
from hwmodel.quantity.errors import HwmodelError, UnknownNameError
from hwmodel.validation import collective, joules
from hwmodel.validation.fit import (
    Array,
    Fit,
    Sample,
    Spread,
    as_left_out,
    fitted_family,
    is_test,
    left_out,
    regime_intervals,
    samples,
    solve,
)
from hwmodel.validation.rows import (
    DATA,
    SIZES,
    Group,
    Row,
    groups,
    is_shifted,
    kernels_known,
    libraries_of,
    may_fit,
    read_rows,
    sittings,
)
from hwmodel.validation.tables import nccl_rows

COLLECTIVE = "collective"
ORDER = (
    *(family for each in SHIPPED.values() if each.measured for family in each.families),
    COLLECTIVE,
)
"""Families of the libraries that are shipped and measured, then messages between GPUs."""
PRIORS = CATALOGUE / "calibration" / "uncalibrated.yaml"
LEAST_ROWS = 12
"""Rows of the fitting half below which a family keeps what it had."""
WHOLE_PULL = 1.0
"""Pull from which each parameter's start counts as a row: fewer rows than parameters will do."""


@dataclass(frozen=True)
class FoldErrors:
    """|predicted/measured - 1| of one family on rows left out, fold by fold."""

    family: str
    rows: int
    mean: float
    p90: float


def calibrate(
    hardware: Hardware,
    rows: Sequence[Row],
    families: Sequence[str] | None = None,
    *,
    priors: Calibration | None = None,
    told: Callable[[str], None] = lambda family: None,
    pull: float = 0.0,
    folds: bool = True,
    few: bool = False,
    starts: int = 1,
) -> dict[str, tuple[Family, Fit]]:
    """Fitted families of a device, from the fitting half of `rows`.

    A fit starts at the values of `priors` (default: those of a device without measurements), inside
    its bounds. `families` are those to fit (default: all that the rows inform); `told` hears the
    name of each before it is fitted; `pull` draws parameters to where they start, and there are
    so many `starts` (`fit.solve`). Without `folds` a family that shapes of the test half judge is
    fitted once, and its interval is of both halves. Where half of the shapes are too `few`, all are
    fitted to, and rows of folds left out make the interval.
    """
    start = priors or load_calibration(PRIORS)
    current = hardware.calibration or start
    known: dict[str, Mapping[str, float]] = {n: current.values(n) for n in current.families}
    libraries = _by_family(rows)
    for name in (*start.families, *libraries):
        known.setdefault(name, family_of(start, name, libraries.get(name)).values)
    halves = [row for row in rows if not is_test(row)]
    messages = [row for row in halves if row.columns["family"] == COLLECTIVE]
    every = groups([row for row in halves if row.columns["family"] != COLLECTIVE])
    tests = groups([r for r in rows if is_test(r) and r.columns["family"] != COLLECTIVE])
    found: dict[str, tuple[Family, Fit]] = {}
    for name in order(rows) if families is None else families:
        mine = (
            collective.samples(messages, hardware)
            if name == COLLECTIVE
            else samples(name, [g for g in every if _belongs(g, name)], hardware, known)
        )
        measured = [row for sample in mine for row in sample.rows]
        prior = family_of(start, name, libraries.get(name))
        prior = collective.prior_of(prior, hardware) if name == COLLECTIVE else prior
        judges = samples(name, [g for g in tests if _belongs(g, name)], hardware, known)
        least = LEAST_ROWS if pull >= WHOLE_PULL else max(LEAST_ROWS, _free(prior) + 2)
        if few and len(measured) < least:
            mine, judges = [*mine, *judges], []
            measured = [row for sample in mine for row in sample.rows]
        if len(measured) < least:
            continue
        told(name)
        found[name] = _fitted(prior, mine, measured, judges, pull, folds, starts)
        known[name] = found[name][1].values
    return found


def _fitted(
    prior: Family,
    mine: Sequence[Sample],
    rows: Sequence[Row],
    judges: Sequence[Sample],
    pull: float,
    folds: bool,
    starts: int,
) -> tuple[Family, Fit]:
    """The family and its fit; the interval is that of the judges where there are enough of them.

    Without `folds`, as of tables, it is of rows and judges together, those fitted `as_left_out`
    (`family_errors` tests an interval of the rows on the judges).
    """
    judging = [row for sample in judges for row in sample.rows]
    judged = len(judging) >= LEAST_ROWS
    ratios = left_out(prior, mine, pull, starts) if folds or not judged else None
    best = replace(solve(prior, mine, pull=pull, starts=starts), fold_ratios=ratios)
    if judged or ratios is None:
        ratios = _ratios(judges, best)
        if not folds:
            ratios = np.concatenate((as_left_out(_ratios(mine, best), _free(prior)), ratios))
            judging = [*rows, *judging]
    else:
        judging = list(rows)
    free = _free(prior)
    entry = dict(fitted_family(prior, best, ratios, judging, by_regime(mine, judges, best, free)))
    entry |= {"ranges": _ranges(rows), "formats": _formats(rows), "rows": len(rows)}
    return Family.build(entry, where="fit"), best


def by_regime(
    mine: Sequence[Sample], judges: Sequence[Sample], best: Fit, free: int
) -> dict[str, tuple[float, float]]:
    """Intervals by regime: of judges, and where these are few of rows fitted, `as_left_out`."""
    seen = _spread(mine, best)
    seen = replace(seen, ratios=as_left_out(seen.ratios, free))
    return regime_intervals(_spread(judges, best), seen) if judges else regime_intervals(seen)


def _spread(samples: Sequence[Sample], found: Fit) -> Spread:
    rows = [row for sample in samples for row in sample.rows]
    regimes = [regime for sample in samples for regime in sample.regimes_at(found.values)]
    return Spread(_ratios(samples, found), rows, regimes)


def _ratios(samples: Sequence[Sample], found: Fit) -> Array:
    return np.concatenate([each.measured_s / each.predict(found.values) for each in samples])


def _free(prior: Family) -> int:
    return sum(parameter.low < parameter.high for parameter in prior.parameters.values())


def _ranges(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """(least, most) of every size that the rows have."""
    sizes: dict[str, list[float]] = {}
    for row in rows:
        for name in SIZES[str(row.columns["family"])]:
            sizes.setdefault(name, []).append(float(row.columns[name]))
        if row.columns.get("kv_heads"):
            shared = float(row.columns["heads"]) / float(row.columns["kv_heads"])
            sizes.setdefault("group", []).append(shared)
    return {name: (min(values), max(values)) for name, values in sizes.items()}


def _formats(rows: Sequence[Row]) -> tuple[str, ...]:
    """Number formats of the rows."""
    named = ("dtype", "weight_dtype")
    return tuple(sorted({str(row.columns[n]) for row in rows for n in named if n in row.columns}))


def _belongs(group: Group, family: str) -> bool:
    """Whether the group is the family's own: its last new call, the one that names the group."""
    return any(call.family == family for call in group.calls) and not (
        family.startswith("rows:") and len(group.calls) > 1
    )


def families_in(rows: Sequence[Row]) -> tuple[str, ...]:
    """The families that some rows inform, in the order of fitting."""
    every = groups([row for row in rows if row.columns["family"] != COLLECTIVE])
    there = {name for name in _by_family(rows) for group in every if _belongs(group, name)}
    if any(row.columns["family"] == COLLECTIVE for row in rows):
        there.add(COLLECTIVE)
    return tuple(name for name in order(rows) if name in there)


def order(rows: Sequence[Row]) -> tuple[str, ...]:
    """Every family in the order of fitting, those of libraries that only the rows name included."""
    own = (name for name in _by_family(rows) if name not in ORDER)
    return (*ORDER[:-1], *own, COLLECTIVE)


def _by_family(rows: Sequence[Row]) -> dict[str, Library]:
    """Family -> the library whose kernels it is of."""
    return {family: each for each in libraries_of(rows) for family in each.families}


def fold_errors(found: Mapping[str, tuple[Family, Fit]]) -> list[FoldErrors]:
    """Errors on rows left out, of every family fitted."""
    lines: list[FoldErrors] = []
    for name, (_, best) in found.items():
        if best.fold_ratios is not None:
            errors = np.abs(1 / best.fold_ratios[~np.isnan(best.fold_ratios)] - 1)
            p90 = float(np.quantile(errors, 0.9))
            lines.append(FoldErrors(name, len(errors), float(errors.mean()), p90))
    return lines


def write(calibration: Calibration, path: Path) -> None:
    """Write a calibration as YAML, whole or not at all."""
    write_yaml(calibration.model_dump(mode="json"), path)


def write_yaml(tree: Mapping[str, object], path: Path) -> None:
    """Write a table as YAML under a temporary name, then rename it."""
    style: dict[str, Any] = {"sort_keys": False, "width": 100, "default_flow_style": None}
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = cast(Any, yaml).dump(tree, Dumper=dumper, allow_unicode=True, **style)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)


def measured_rows(name: str, boards: Sequence[str] | None = None) -> list[Row]:
    """Timed kernel rows and collectives of a device, of all boards or of some.

    Of those in the rarer of two states there are the ones that intervals are made of, no others.
    """
    rows = [row for row in read_rows(name) if row.columns["family"] != "llm" and kernels_known(row)]
    rows = [row for row in rows if may_fit(row) or (is_shifted(row) and is_test(row))]
    if boards:
        known = sorted({row.board for row in rows})
        for board in boards:
            if board not in known:
                raise UnknownNameError(f"board of {name}", board, known)
        rows = [row for row in rows if row.board in boards]
    return rows + [row for row in collective.read_collectives(name) if may_fit(row)]


def main(arguments: Sequence[str]) -> None:
    """Fit the named device, print each family's fold errors, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("device")
    parser.add_argument("--family", nargs="+", help="families to fit (default: all, then energy)")
    parser.add_argument("--boards", nargs="+", help="fit on the rows of these boards alone")
    parser.add_argument("--table", type=Path, help="published rows of collectives to fit to too")
    parser.add_argument("--without-folds", action="store_true", help="fit each family once")
    parser.add_argument("--out", type=Path, help="a calibration file to write the families into")
    options = parser.parse_args(arguments)
    hardware = device(options.device)
    rows = measured_rows(hardware.name, options.boards)
    rows += nccl_rows(options.table) if options.table else []
    asked = order(rows) if options.family is None else tuple(options.family)
    for name in asked:
        if name not in (*order(rows), ENERGY):
            raise UnknownNameError("family", name, (*order(rows), ENERGY))
    timed = [name for name in asked if name != ENERGY]
    folds = not options.without_folds
    found = calibrate(hardware, rows, options.family and timed, folds=folds) if timed else {}
    lines = {line.family: line for line in fold_errors(found)}
    for name, (entry, best) in found.items():
        told = f"  folds {lines[name].mean:.3f}, p90 {lines[name].p90:.3f}" if name in lines else ""
        print(f"{name:28} rows {entry.rows:4}  fitted {best.mean_error:.3f}{told}"
              f"  90% {entry.interval}")  # fmt: skip
        for parameter, p in entry.parameters.items():
            print(f"    {parameter:16} {p.value:8.4g} +- {p.standard_error}")
    if options.out is not None:
        boards = sorted({row.board for row in rows})
        fitted = merged(hardware, options.out, found, boards)
        energies = [r for r in joules.read(hardware.name, "energy.csv") if not is_test(r)]
        if energies and (options.family is None or ENERGY in asked):
            with_times = hardware.model_copy(update={"calibration": fitted})
            halves = [row for row in rows if not is_test(row)]
            energy, _ = joules.fit_energy(energies, with_times, halves)
            print(f"{ENERGY:28} rows {energy.rows:4}")
            families = fitted.families | {ENERGY: energy}
            fitted = fitted.model_copy(update={"families": families})
        write(fitted.model_copy(update=_provenance(hardware.name)), options.out)


def _provenance(name: str) -> dict[str, Any]:
    """Date and library versions, from the headers of the sittings."""
    headers = [
        json.loads((DATA / name / sitting / "header.json").read_text(encoding="utf-8"))
        for sitting in sittings(name)
    ]
    kept = ("driver", "cuda", "torch", "triton", "cudnn", "cublas")
    rows = [row.board for row in measured_rows(name)]
    versions = {k: ", ".join(sorted({str(h[k]) for h in headers})) for k in kept}
    versions["fitted_boards"] = " ".join(sorted(set(rows)))
    return {"date": max(str(h["date"]) for h in headers), "versions": versions}


def merged(
    hardware: Hardware, path: Path, found: Mapping[str, tuple[Family, Fit]], boards: Sequence[str]
) -> Calibration:
    """The calibration in a file, or else the device's own, with fitted families put in."""
    before = load_calibration(path) if path.is_file() else hardware.calibration
    base = before or load_calibration(PRIORS)
    changes = {
        "name": path.stem,
        "device": hardware.name,
        "source": "fitted to measured rows (validation/data)",
        "versions": base.versions | {"fitted_boards": " ".join(boards)},
        "families": base.families | {name: entry for name, (entry, _) in found.items()},
    }
    return Calibration.build(dict(base) | changes, where=str(path))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except HwmodelError as error:
        raise SystemExit(f"error: {error}") from None
