"""Answers as columns of a table: an estimate of many points, one array for each quantity.

Names end in their SI unit. Every column is present in every answer of a kind, so that all parts of
a sweep have the same; what is not modelled is null.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import polars

from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import InputError
from hwmodel.show.fields import POINT, POINTS, Field, read
from hwmodel.spine.estimate import BOTTLENECKS, Estimate

REFUSED = "refused"
"""Column that says why a row has no answer; null where it has one."""


CLOCKED = "solve_time_s"
"""Field of a certificate that is no column: rows would differ from run to run."""


KINDS: Mapping[type, Any] = {float: polars.Float64, str: polars.String, bool: polars.Boolean}
"""Kind of a field -> type of its column."""


def estimate_table(estimate: Estimate) -> polars.DataFrame:
    """An estimate with its workload's and device's names, a row for each of its points."""
    shape = np.shape(estimate.time_s)
    words = {"workload": estimate.name, "device": estimate.device}
    values: dict[str, Any] = {
        name: np.broadcast_to(cast(Any, value), shape).ravel() if np.ndim(value) else value
        for name, value in (words | read(POINT, estimate)).items()
    }
    rows = int(np.prod(shape))
    kinds = {"workload": str, "device": str} | {field.name: field.kind for field in POINT}
    return polars.DataFrame([column(n, values[n], rows, KINDS[kind]) for n, kind in kinds.items()])


def parts_frame(estimate: Estimate) -> polars.DataFrame:
    """A row for each part of an estimate of one point; raises `InputError` for many points.

    Seconds, joules, operations and bytes are those of one run.
    """
    if np.ndim(estimate.time_s):
        told = f"found {np.size(estimate.time_s)}; .table has a row for each"
        raise InputError(f"kernels: expected an estimate of one point, {told}")
    memory, rows = estimate.outermost, list[dict[str, Any]]()
    for part in estimate.parts:
        row: dict[str, Any] = {"kernel": part.name, "family": part.family}
        row["runs"] = float(part.times)
        row |= {"time_s": float(part.time_s), "sustained_time_s": float(part.sustained_s)}
        for name, end in zip(("low", "high"), part.interval, strict=True):
            known = float(part.time_s) * float(end)
            row[f"time_{name}_s"] = known if known == known else None
        row |= {"energy_j": float(part.energy_j), "bottleneck": part.bottleneck}
        row["flop"] = None if part.flop is None else float(part.flop)
        row[f"{memory}_bytes_read"] = float(part.counts.read.get(memory, 0))
        row[f"{memory}_bytes_written"] = float(part.counts.written.get(memory, 0))
        rows.append(row)
    words = ("kernel", "family", "bottleneck")
    kinds = {name: polars.String if name in words else polars.Float64 for name in rows[0]}
    return polars.DataFrame(rows, schema=kinds)


def columns(answer: Any, rows: int, keep: tuple[str, ...]) -> polars.DataFrame:
    """A table of `rows` rows from what a function of a sweep returned, with the columns of `keep`.

    That is an `Estimate`, a `Limit`, a mapping of names to numbers or arrays, or an answer with a
    `record()`, of which numbers, truth values and words are taken, its certificate's too. Raises
    `InputError`.
    """
    for kind, listed in POINTS.items():
        if isinstance(answer, kind):
            made = [
                column(each.name, _taken(each, answer), rows, KINDS[each.kind])
                for each in listed
                if not keep or each.name in keep
            ]
            return polars.DataFrame(made)
    table = _table(answer)
    return polars.DataFrame(
        [column(name, value, rows) for name, value in table.items() if not keep or name in keep]
    )


def _taken(field: Field, answer: Any) -> Any:
    """A field's values; words of many points without a Python text for each."""
    if field.name == "bottleneck":
        return _binding(answer.busy_s)
    return field.read(answer)


def _table(answer: Any) -> dict[str, Any]:
    if isinstance(answer, Mapping):
        return {str(name): value for name, value in cast(Mapping[Any, Any], answer).items()}
    if isinstance(answer, (int, float, np.ndarray, np.generic)):
        return {"value": answer}
    record = getattr(answer, "record", None)
    if not callable(record):
        raise InputError(
            "sweep: expected the function to return an estimate, a number or a table of columns,"
            f" found {type(answer).__name__}"
        )
    found: dict[str, Any] = {}
    held = cast(dict[str, Any], record())
    for name, item in {**held, **held.get("certificate", {})}.items():
        if isinstance(item, (bool, int, float, str)) and name != CLOCKED:
            found[name] = item
    return found


def column(name: str, value: Any, rows: int, kind: Any = None) -> polars.Series:
    """One column; a single value stands in every row."""
    if isinstance(value, polars.Series):
        made = value.alias(name)
    elif np.ndim(value) == 0:
        single = cast(Any, value).item() if isinstance(value, np.generic) else value
        if isinstance(single, int) and not isinstance(single, bool):
            single = float(single)
        made = polars.Series(name, [single], dtype=kind)
    else:
        flat = np.asarray(value).reshape(-1)
        if flat.dtype.kind in "iu":
            flat = flat.astype(np.float64)
        made = polars.Series(name, flat)
    if len(made) == 1 and rows != 1:
        made = made.new_from_index(0, rows)
    if len(made) != rows:
        raise InputError(
            f"sweep: column {name}: expected {rows} values, one a point, found {len(made)};"
            " mark axes that the function takes one value at a time by hw.each"
        )
    return made


def _binding(busy_s: Mapping[str, Any]) -> Any:
    """The word of the resource that is needed longest, point by point."""
    if not busy_s:
        return None
    names, times = list(busy_s), list(busy_s.values())
    longest, which = most(times), np.zeros(1, np.intp)
    for place, seconds in reversed(list(enumerate(times))):
        which = np.where(seconds == longest, place, which)
    words = polars.Series([BOTTLENECKS.get(name, name) for name in names])
    return words.gather(np.atleast_1d(which))
