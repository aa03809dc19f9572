"""Pieces of a sweep: one call of its function each, as rows of axes and answers.

A row that the function refuses has nulls, and the reason in a column of its own: the rows about it
are asked for again, by halves and then one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import numpy as np
import polars

from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.show.columns import REFUSED, columns
from hwmodel.sweeps.axes import Grid, label, plain, unit_of
from hwmodel.sweeps.plan import Plan

FEW = 8
"""Rows, of which the model refuses some, that are tried one by one and not by halves."""


def piece(plan: Plan, block: int, first: int, end: int, empty: polars.DataFrame) -> Any:
    """One call of the function, as a table with the columns of `empty`."""
    fixed, points = plan.grid.fixed(block), plan.grid.points(first, end)
    table = axes_table(plan.grid, fixed, points, end - first)
    if plan.before:
        chosen = masked(table, plan.before)
        table = table.filter(chosen)
        points = {name: values[chosen.to_numpy()] for name, values in points.items()}
    if not len(table):
        return empty
    answers = _filled(_told(_answers(plan, fixed, points, len(table))), plan, empty)
    whole = polars.concat([table, answers], how="horizontal").select(empty.columns)
    whole = whole.cast(cast(Any, empty.schema))
    for each in plan.after:
        whole = whole.filter(each)
    return whole


def masked(table: polars.DataFrame, conditions: Sequence[polars.Expr]) -> polars.Series:
    """Which rows meet all conditions; raises `InputError` where one is none."""
    try:
        found = table.select(each.alias(str(place)) for place, each in enumerate(conditions))
        for each, kind in zip(conditions, found.dtypes, strict=True):
            if kind != polars.Boolean and kind != polars.Null:
                raise InputError(f"where: expected true or false of each row, found {kind}: {each}")
        return found.select(polars.all_horizontal("*").alias("chosen"))["chosen"].fill_null(False)
    except polars.exceptions.PolarsError as error:
        told = " ".join(str(error).split())
        raise InputError(f"where: expected a condition on columns: {told}") from None


def axes_table(
    grid: Grid, fixed: Mapping[str, Any], points: Mapping[str, Any], rows: int
) -> polars.DataFrame:
    """The axes' own columns, in their order; whole numbers are integers."""
    made: list[polars.Series] = []
    for axis in grid.axes:
        for name, values in axis.columns.items():
            if name in fixed:
                shown = [label(value) for value in cast(tuple[Any, ...], values)]
                whole = polars.Series(axis.labels[name], shown, strict=False)
                kind: Any = whole.dtype
                single = polars.Series(whole.name, [label(fixed[name])], kind, strict=False)
                made.append(single.new_from_index(0, rows))
            else:
                column = polars.Series(axis.labels[name], points[name])
                counts = unit_of(column.name) is None
                integers = counts and bool(np.all((np.floor(values) == values) & _exact(values)))
                made.append(column.cast(polars.Int64) if integers else column)
    return polars.DataFrame(made)


def _exact(values: Any) -> Any:
    """Whether whole numbers are exact, and fit an integer of 64 bits."""
    return np.abs(values) <= 2.0**53


def _answers(
    plan: Plan, fixed: Mapping[str, Any], points: Mapping[str, Any], rows: int
) -> Iterator[polars.DataFrame | str]:
    """The function's answers in order, by part where it refuses some rows: those as the reason."""
    given = points if rows > 1 else single(plan.grid.labels, points)
    try:
        yield columns(plan.function(**fixed, **given), rows, plan.keep)
    except UnknownNameError:
        raise  # a name, not a size: the sweep itself is wrong
    except HwmodelError as error:
        if rows == 1:
            yield str(error)
            return
        step = 1 if rows <= FEW else -(-rows // 2)
        for first in range(0, rows, step):
            part = {name: values[first : first + step] for name, values in points.items()}
            yield from _answers(plan, fixed, part, min(step, rows - first))
    except (TypeError, ValueError) as error:
        if rows == 1:
            raise
        raise InputError(
            f"sweep: the function fails on arrays of {', '.join(points)} ({error}); give it one"
            " value a call by marking an axis with hw.each"
        ) from error


def single(labels: Mapping[str, str], points: Mapping[str, Any]) -> dict[str, Any]:
    """One row as plain numbers; those whose axis has a unit, and their name none, as arrays still.

    `Hardware.but` takes a number under a bare name (bandwidth=2e12) for a slip; an array it takes.
    """
    return {
        name: plain(values[0]) if labels[name] == name else values
        for name, values in points.items()
    }


def _told(answers: Iterator[polars.DataFrame | str]) -> polars.DataFrame:
    """Answers as one table, with the reasons of refused rows in a column."""
    parts: list[polars.DataFrame] = []
    for refused, group in groupby(answers, lambda answer: isinstance(answer, str)):
        if refused:
            parts.append(polars.DataFrame({REFUSED: list(group)}))
        else:
            parts += cast(list[polars.DataFrame], list(group))
    return polars.concat(parts, how="diagonal") if len(parts) > 1 else parts[0]


def _filled(answer: polars.DataFrame, plan: Plan, empty: polars.DataFrame) -> polars.DataFrame:
    """An answer with all columns of the sweep, null where it lacks one."""
    axes = set(plan.grid.labels.values())
    wanted = {name: kind for name, kind in empty.schema.items() if name not in axes}
    odd = [name for name in answer.columns if name not in wanted]
    if odd:
        raise InputError(
            f"sweep: the function returned the column {odd[0]!r}, which the first answer lacks;"
            " return the same columns at every point, or choose some by keep"
        )
    missing = [
        polars.lit(None, dtype=kind).alias(name)
        for name, kind in wanted.items()
        if name not in answer.columns
    ]
    return answer.with_columns(missing).select(list(wanted)).cast(cast(Any, wanted))
