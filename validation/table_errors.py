"""Errors of predictions on tables of times: shapes fitted, and shapes left out.

    python -m hwmodel.validation.table_errors a100=a100_sxm.gemm.csv h100=h100_sxm.gemm.csv ...

prints the tables of docs/accuracy/tables.md: per device, kernel and format the mean error on shapes
that were fitted and on shapes left out, the 90th percentile of these and the share of them in
the 90 % interval of those fitted (the one shipped is of both halves, but where we measured).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.hardware.calibration import Family
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.run import COLD, WARM
from hwmodel.validation.fit import Array, as_left_out, interval, is_test, own_s
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import SIZES, Row, groups

WORDS = ("dtype", "weight_dtype")


@dataclass(frozen=True)
class Line:
    """Errors of one kernel and format on one device."""

    device: str
    kernel: str
    form: str
    fitted: float
    left_out: float
    p90: float
    inside: float


def lines(on: Hardware, rows: Sequence[Row]) -> list[Line]:
    """A line for each kernel and format of some rows, whatever their timings take in turn."""
    forms: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        forms.setdefault(tuple(str(row.columns.get(n)) for n in ("kernel", *WORDS)), []).append(row)
    return [_line(on, members) for members in forms.values()]


def _line(on: Hardware, rows: Sequence[Row]) -> Line:
    columns = rows[0].columns
    rows = sorted(rows, key=lambda row: row.form)
    measured = np.array([row.time_s for row in rows])
    left = np.array([is_test(row) for row in rows])
    each = [list(members) for _, members in groupby(rows, key=lambda row: row.form)]
    found, low, high = np.hstack([_ends(on, members) for members in each])
    errors: Array = np.abs(found / measured - 1)
    own = _fitted_family(on, rows)
    if own.told == "published":  # the interval that is shipped is of both halves
        free = sum(each.low < each.high for each in own.parameters.values())
        ends = interval(as_left_out((measured / found)[~left], free))
        low, high = (end * found for end in ends)
    inside: NDArray[np.bool_] = (low <= measured) & (measured <= high)
    form = " ".join(str(columns[name]) for name in WORDS if name in columns)
    return Line(
        on.name,
        str(columns["kernel"]),
        form,
        float(errors[~left].mean()),
        float(errors[left].mean()),
        float(np.quantile(errors[left], 0.9)),
        float(np.mean(inside[left])),
    )


def _fitted_family(on: Hardware, rows: Sequence[Row]) -> Family:
    """The family that some rows of one kernel are of."""
    assert on.calibration is not None
    (call,) = groups(rows[:1])[0].calls
    return family_of(on.calibration, call.family, call.library)


def _ends(on: Hardware, rows: Sequence[Row]) -> Array:
    """(time, and its interval's ends) of rows of one form, a column each."""
    if not rows[0].columns.get("rotated"):
        found = predicted(on, rows)
        told = (found.time_s, found.time_low_s, found.time_high_s)
        return np.array([np.broadcast_to(each, len(rows)) for each in told])
    (group,), own = groups(rows), on.calibration
    assert own is not None
    (call,) = group.calls
    place = {id(row): n for n, row in enumerate(group.rows)}
    time_s = own_s(group, on, call.family, own.values(call.family))
    low, high = own.families[call.family].interval_of((str(rows[0].columns["dtype"]),))
    return np.outer((1, low, high), time_s[[place[id(row)] for row in rows]])


def predicted(on: Hardware, rows: Sequence[Row]) -> Any:
    """The estimate of rows of one form, all in one call."""
    columns = rows[0].columns
    sizes = SIZES[str(columns["family"])]
    each = {name: np.array([float(row.columns[name]) for row in rows]) for name in sizes}
    words = {name: columns[name] for name in WORDS if name in columns}
    work = WORKLOADS[str(columns["family"])](**each, **words)
    state = WARM if columns.get("repeated") else COLD
    return predict(work, on, kernel=str(columns["kernel"]), l2=state)


def main(words: Sequence[str]) -> None:
    """Print the tables."""
    tables = {word.partition("=")[0]: Path(word.partition("=")[2]) for word in words}
    rows = {name: kernel_rows(path) for name, path in tables.items()}
    print("| GPU | kernel | format | fitted | left out | p90 | in 90 % |")
    print("|---" * 7 + "|")
    for name, each in rows.items():
        for line in lines(device(name), each):
            shares = (line.fitted, line.left_out, line.p90, line.inside)
            told = " | ".join(f"{100 * share:.1f}" for share in shares)
            print(f"| {line.device} | {line.kernel} | {line.form} | {told} |")


if __name__ == "__main__":
    main(sys.argv[1:])
