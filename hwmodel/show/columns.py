"""Answers as columns of a table: an estimate of many points, one array for each quantity.

Names end in their SI unit. Every column is present in every answer of a kind, so that all parts of
a sweep have the same; what is not modelled is null.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import polars

from hwmodel.bounds.limit import Limit
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import InputError
from hwmodel.spine.estimate import BOTTLENECKS, Estimate

REFUSED = "refused"
"""Column that says why a row has no answer; null where it has one."""


CLOCKED = "solve_time_s"
"""Field of a certificate that is no column: rows would differ from run to run."""


def _memory_bytes(estimate: Estimate) -> Any:
    return None if estimate.serving is None else estimate.serving.memory.total_bytes


def _fits(estimate: Estimate) -> Any:
    known = estimate.serving is not None or estimate.stores
    return estimate.fits_by_point if known else None


ESTIMATE: Mapping[str, tuple[Any, Callable[[Estimate], Any]]] = {
    "time_s": (polars.Float64, lambda e: e.time_s),
    "time_low_s": (polars.Float64, lambda e: e.time_low_s),
    "time_high_s": (polars.Float64, lambda e: e.time_high_s),
    "sustained_time_s": (polars.Float64, lambda e: e.sustained_time_s),
    "energy_j": (polars.Float64, lambda e: e.energy_j),
    "dram_bytes_read": (polars.Float64, lambda e: e.dram_bytes_read),
    "dram_bytes_written": (polars.Float64, lambda e: e.dram_bytes_written),
    "bound_bytes": (polars.Float64, lambda e: e.bound_bytes),
    "bound_s": (polars.Float64, lambda e: e.bound_s),
    "bottleneck": (polars.String, lambda e: _binding(e.busy_s)),
    "extrapolated": (polars.Boolean, lambda e: e.extrapolated),
    "tokens_per_s": (polars.Float64, lambda e: e.tokens_per_s),
    "joules_per_token": (polars.Float64, lambda e: e.joules_per_token),
    "area_m2": (polars.Float64, lambda e: e.area_m2),
    "memory_bytes": (polars.Float64, _memory_bytes),
    "fits": (polars.Boolean, _fits),
}
"""Column of an `Estimate` -> its type, and where it comes from."""


def estimate_table(estimate: Estimate) -> polars.DataFrame:
    """An estimate with its workload's and device's names, a row for each of its points."""
    shape = np.shape(estimate.time_s)
    words = {"workload": estimate.name, "device": estimate.device}
    read = {name: take(estimate) for name, (_, take) in ESTIMATE.items() if name != "bottleneck"}
    read["bottleneck"] = estimate.bottleneck
    values: dict[str, Any] = {
        name: np.broadcast_to(cast(Any, value), shape).ravel() if np.ndim(value) else value
        for name, value in (words | read).items()
    }
    rows = int(np.prod(shape))
    names = {"workload": polars.String, "device": polars.String}
    kinds = names | {name: kind for name, (kind, _) in ESTIMATE.items()}
    return polars.DataFrame([column(n, values[n], rows, kind) for n, kind in kinds.items()])


def columns(answer: Any, rows: int, keep: tuple[str, ...]) -> polars.DataFrame:
    """A table of `rows` rows from what a function of a sweep returned, with the columns of `keep`.

    That is an `Estimate`, a `Limit`, a mapping of names to numbers or arrays, or an answer with a
    `record()`, of which numbers, truth values and words are taken, its certificate's too. Raises
    `InputError`.
    """
    if isinstance(answer, Limit):
        bound = {"dram_bytes": answer.dram_bytes, "limit_s": answer.time_s}
        gaps = {"gap_to_bound": answer.gap_to_bound, "time_over_limit": answer.time_over_limit}
        answer = {**bound, **gaps}
    if isinstance(answer, Estimate):
        made = [
            column(name, read(answer), rows, kind)
            for name, (kind, read) in ESTIMATE.items()
            if not keep or name in keep
        ]
        return polars.DataFrame(made)
    table = _table(answer)
    return polars.DataFrame(
        [column(name, value, rows) for name, value in table.items() if not keep or name in keep]
    )


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
