"""`hwmodel calibrate --table`: a device's kernels fitted to a table of times, few rows or many.

    my_b200/device.yaml       the device of the catalogue
    my_b200/calibration.yaml  its families, those that the table informs fitted anew

    python -m hwmodel.validation.table_fit DEVICE [FAMILY ...] TABLE ... [STARTS]

fits what is shipped.

The fit is `calibrate`'s, and moves the same few parameters. It starts at what the device had (its
own, a relative's, priors) and is drawn to that as by a few rows, so that twenty-five rows move what
they inform and leave the rest (ridge regression in logarithms). Half of the shapes, by a hash, are
never fitted to: they give the errors that are reported, and with the others the interval; the
coverage that is reported is that of an interval of the others alone.
"""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.hardware.catalogue import CATALOGUE, load_calibration
from hwmodel.hardware.catalogue import device as device_of
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.quantity.errors import InputError
from hwmodel.text.frames import is_frame
from hwmodel.text.grid import grid
from hwmodel.validation.calibrate import LEAST_ROWS, PRIORS, calibrate, families_in, write
from hwmodel.validation.fit import (
    Array,
    Fit,
    Sample,
    as_left_out,
    interval,
    is_test,
    samples,
    solve,
)
from hwmodel.validation.kernel_tables import FRAME, kernel_rows, read
from hwmodel.validation.rows import Row, groups, libraries_of
from hwmodel.validation.users_gpu import write_device

PULL = 1.0
"""Weight of what a parameter had, in logarithms, against a row's: e times away counts as a row that
is so much off."""

SHIPPED_PULL = 0.1
"""The same where calibrations that are shipped are fitted, to half of a table's shapes."""

STARTS = 6
"""Starts of the fits that are shipped, where no other number is asked for."""

FAR = 50.0
"""How many times or parts of a prediction half of a family's times may be: units are a thousand."""

COUNTS = (25, 50, 100, 200, 500)
"""Rows of the learning curve."""

PORT = 2.0
"""Multiples of a port of 64 bytes a clock, as found on Volta, up to which products of a table may
go: those of data centres' Blackwell pass 1.3 to 2 times as many."""


@dataclass(frozen=True)
class Errors:
    """|predicted/measured - 1| of one family on shapes left out: before, after, and by rows."""

    family: str
    rows: int
    left_out: int
    before: float
    mean: float
    median: float
    p90: float
    inside: float
    curve: Mapping[int, float]
    """Rows fitted -> mean error on the shapes left out."""


@dataclass(frozen=True)
class TableOutcome:
    """What a table was fitted to: errors by family, and the families that stay as they were."""

    folder: Path
    device: str
    errors: tuple[Errors, ...]
    families: Mapping[str, Family]
    others: Mapping[str, Sequence[str]]
    """Origin -> families that the table says nothing of."""
    told: Sequence[str] = ()
    """Lines, columns and families of the table that nothing was fitted to."""

    def __str__(self) -> str:
        """A table by family, the learning curve, parameters, and how to use it."""
        counts = [n for n in COUNTS if any(n in e.curve for e in self.errors)]
        heads = ("family", "rows", "before", "mean", "median", "p90", "in 90 %")
        lines = [
            [e.family, str(e.rows), *map(_percent, (e.before, e.mean, e.median, e.p90, e.inside))]
            for e in self.errors
        ]
        curve = [
            [e.family, _percent(e.before), *(_percent(e.curve.get(n)) for n in counts)]
            for e in self.errors
        ]
        values = [
            [f"{name}: {key}", f"{p.value:.4g}", f"{p.standard_error or 0:.2g}", p.meaning]
            for name, family in self.families.items()
            for key, p in family.parameters.items()
            if p.low < p.high
        ]
        blocks = [
            *(["\n".join(self.told)] if self.told else []),
            f"{self.device}: error of predicted time on shapes that no fit saw",
            grid(heads, lines, left=(0,)),
            "mean error on them, by the rows that were fitted",
            grid(("family", "none", *map(str, counts)), curve, left=(0,)),
            grid(("parameter", "value", "+-", "meaning"), values, left=(0, 3)),
            *(f"{origin}: {', '.join(names)}" for origin, names in self.others.items()),
            f"use it: hwmodel predict ... --on {self.folder}, or hw.device({str(self.folder)!r})",
        ]
        return "\n\n".join(blocks)


def _check_units(hardware: Hardware, rows: Sequence[Row], called: str) -> None:
    """Raise `InputError` where times are of another unit than their column, by the middle one."""
    start = beginning(hardware, rows)
    for name in families_in(rows):
        every = _of_family(name, hardware, rows)
        middle = np.median(_ratios(every, family_of(start, name, _library(name, rows)).values))
        if not 1 / FAR <= middle <= FAR:
            raise InputError(
                f"{called}: {name}: expected times near those that are predicted; found some"
                f" {middle:.3g} times as long; is the unit that of its column?"
            )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def calibrate_table(out: str | Path, table: Any, device: str) -> TableOutcome:
    """Fit a device of the catalogue, or of a folder, to a table, and leave it in the folder `out`.

    A table is the path of a CSV, or a data frame.

    Raises `InputError` for a table without rows that are modelled, or too few of any family.
    """
    if device == "auto":
        raise InputError("calibrate: --table: expected --device, whose times these are; found none")
    hardware, folder = device_of(device), Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: expected a folder, found a file")
    given = read(table)
    rows = given.rows
    called = FRAME if is_frame(table) else Path(table).name
    _check_units(hardware, rows, called)
    found = fitted(hardware, rows, few=True)
    if not found:
        told = f"expected {LEAST_ROWS} rows or more of a family, found {len(rows)} of all"
        raise InputError(f"{called}: {told}")
    errors = tuple(
        errors_of(name, hardware, rows, entry, folds=best.fold_ratios)
        for name, (entry, best) in found.items()
    )
    changed = with_families(hardware, {n: f for n, (f, _) in found.items()}, called)
    folder.mkdir(parents=True, exist_ok=True)
    write_device(hardware, folder / "device.yaml")
    assert changed.calibration is not None
    write(changed.calibration, folder / "calibration.yaml")
    others: dict[str, list[str]] = {}
    for name, family in changed.calibration.families.items():
        if name not in found:
            others.setdefault(family.origin, []).append(name)
    families = {name: entry for name, (entry, _) in found.items()}
    told = (*given.told, *_too_few(rows, found))
    return TableOutcome(folder, hardware.title, errors, families, others, told)


def _too_few(rows: Sequence[Row], found: Collection[str]) -> list[str]:
    """What is said of families whose rows no fit was made of."""
    few = [name for name in families_in(rows) if name not in found]
    if not few:
        return []
    return [f"too few rows to fit (fewer than {LEAST_ROWS}, or than parameters): {', '.join(few)}"]


def fitted(
    hardware: Hardware,
    rows: Sequence[Row],
    families: Sequence[str] | None = None,
    *,
    few: bool = False,
    pull: float = PULL,
    starts: int = 1,
) -> dict[str, tuple[Family, Fit]]:
    """The families that rows inform, from the half of the shapes that may be fitted to.

    Of families of which half are too `few` all are fitted to, where that is asked for.
    """
    names = families_in(rows) if families is None else families
    start = beginning(hardware, rows)
    how: dict[str, Any] = {"pull": pull, "folds": False, "few": few, "starts": starts}
    return calibrate(hardware, rows, names, priors=start, **how)


def with_families(hardware: Hardware, found: Mapping[str, Family], source: str) -> Hardware:
    """The device with families put in, which say what they were fitted to."""
    before = hardware.calibration or load_calibration(PRIORS)
    told = {name: family.model_copy(update={"source": source}) for name, family in found.items()}
    changes = {"families": before.families | told, "device": hardware.name}
    return hardware.but(calibration=Calibration.build(dict(before) | changes, where=source))


def beginning(hardware: Hardware, rows: Sequence[Row]) -> Calibration:
    """Where a fit to a table starts: what the device has, and ports that may be wider.

    The matrix rates of formats that the rows are not in are those of formats that they are in.
    """
    start = load_calibration(PRIORS)
    current = hardware.calibration or start
    formats = {f"matrix_{row.columns.get('dtype')}" for row in rows}
    families = {name: _begun(name, family, formats) for name, family in current.families.items()}
    return start.model_copy(update={"families": {**start.families, **families}})


def _begun(name: str, family: Family, formats: Collection[str]) -> Family:
    if not name.startswith("gemm:cublas") and name != "gemm":
        return family
    known = {
        name: parameter
        for name, parameter in family.parameters.items()
        if not name.startswith("matrix_") or name in formats
    }
    if "port" in known:
        known["port"] = known["port"].but(high=PORT)
    return family.model_copy(update={"parameters": known})


def errors_of(
    name: str,
    hardware: Hardware,
    rows: Sequence[Row],
    entry: Family,
    counts: Sequence[int] = COUNTS,
    share: float = 0.5,
    folds: Array | None = None,
) -> Errors:
    """Errors of a fitted family on the shapes left out, and of fits to fewer rows.

    Of few shapes, all of which are fitted to, they are those of `folds` that fits left out. A
    `share` below a half leaves more rows to those fits; no shape of it was fitted to before.
    """
    start = beginning(hardware, rows)
    prior = family_of(start, name, _library(name, rows))
    seen = _of_family(name, hardware, [row for row in rows if not is_test(row, share)])
    judges = _of_family(name, hardware, [row for row in rows if is_test(row, share)])
    measured = [row for sample in seen for row in sample.rows]
    if folds is None:
        before, after = (_ratios(judges, values) for values in (prior.values, entry.values))
    else:
        seen, judges, counts = [*seen, *judges], [], ()
        measured = [row for sample in seen for row in sample.rows]
        before = _ratios(seen, prior.values)[~np.isnan(folds)]
        after = folds[~np.isnan(folds)]
    errors = np.abs(1 / after - 1)
    free = sum(each.low < each.high for each in entry.parameters.values())
    low, high = interval(as_left_out(_ratios(seen, entry.values), free))
    place = {id(row): n for n, row in enumerate(sorted(measured, key=lambda row: row.order))}
    curve: dict[int, float] = {}
    for count in (n for n in counts if n <= len(measured)):
        few = solve(prior, seen, lambda row, n=count: place[id(row)] < n, pull=PULL)
        curve[count] = float(np.abs(1 / _ratios(judges, few.values) - 1).mean())
    return Errors(
        family=name,
        rows=len(measured),
        left_out=len(after),
        before=float(np.abs(1 / before - 1).mean()),
        mean=float(errors.mean()),
        median=float(np.median(errors)),
        p90=float(np.quantile(errors, 0.9)),
        inside=float(np.mean((after >= low) & (after <= high))),
        curve=curve,
    )


def _is_for(hardware: Hardware, name: str, rows: Sequence[Row]) -> bool:
    """Whether a family's library has kernels for the device's generation."""
    library = _library(name, rows)
    line = library.takes(name.split(":")[0]) if library else None
    return line is None or any(hardware.architecture in each for each in line.formats.values())


def _library(name: str, rows: Sequence[Row]) -> Any:
    return next((each for each in libraries_of(rows) if name in each.families), None)


def _of_family(name: str, hardware: Hardware, rows: Sequence[Row]) -> list[Sample]:
    found = [group for group in groups(rows) if any(call.family == name for call in group.calls)]
    start = beginning(hardware, rows)
    others = {family: start.values(family) for family in start.families}
    return samples(name, found, hardware, others)


def _ratios(judges: Sequence[Sample], values: Mapping[str, float]) -> Array:
    """measured/predicted of the rows left out."""
    return np.concatenate([each.measured_s / each.predict(values) for each in judges])


HALF = "half of a sample, of which both halves made the interval"
ALL = "all of a sample, of which folds that were left out made the interval"
PACKAGE = "aiconfigurator-core 0.12.0 (Apache-2.0)"
"""What the calibrations that are shipped were fitted to, besides rows of our own."""


def without_published(hardware: Hardware) -> Hardware:
    """The device without families that are fitted to published rows: relatives' or priors again."""
    own = hardware.calibration
    assert own is not None
    kept = {n: f for n, f in own.families.items() if not f.source.startswith("published")}
    return hardware.but(calibration=own.model_copy(update={"families": kept}))


def ship(
    name: str,
    tables: Iterable[Path],
    folder: Path = CATALOGUE / "calibration",
    only: Collection[str] = (),
    starts: int = STARTS,
) -> list[str]:
    """Fit a device's shipped file to published tables, or `only` some families of it.

    Families that we measured stay.

    The fit starts at priors, whatever the file held before. The names of what was fitted.
    """
    hardware = without_published(device_of(name))
    assert hardware.calibration is not None
    rows = [row for path in tables for row in kernel_rows(path)]
    ours = {n for n, f in hardware.calibration.families.items() if f.origin == "measured"}
    names = [n for n in families_in(rows) if n not in ours and _is_for(hardware, n, rows)]
    names = [n for n in names if not only or n in only]
    found = fitted(hardware, rows, names, few=True, pull=SHIPPED_PULL, starts=starts)
    path = folder / f"{name}.yaml"
    before = load_calibration(path) if path.is_file() else None
    versions = sorted({row.board for row in rows})
    told = f"published: {PACKAGE}; {', '.join(versions)}; "
    families = {
        name: family.model_copy(
            update={"source": told + (HALF if best.fold_ratios is None else ALL)}
        )
        for name, (family, best) in found.items()
    }
    base = before or Calibration(name=name, device=name, source="published tables", families={})
    write(base.model_copy(update={"families": {**base.families, **families}}), path)
    return list(families)


if __name__ == "__main__":
    shipped_name, *words = sys.argv[1:]
    begun = int(words.pop()) if words[-1].isdigit() else STARTS
    wanted = [word for word in words if not word.endswith(".csv")]
    paths = [Path(word) for word in words if word not in wanted]
    print(shipped_name, *ship(shipped_name, paths, only=wanted, starts=begun))
