"""Rows of a sweep that are evaluated ahead: which columns there are, what takes arrays at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars

from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.show.columns import REFUSED, columns
from hwmodel.spine.estimate import Estimate
from hwmodel.sweeps.axes import Axis, plain
from hwmodel.sweeps.pieces import axes_table, masked, single
from hwmodel.sweeps.plan import Plan

PROBES = 16
"""Rows that are tried, evenly spread, until one is answered."""


@dataclass(frozen=True, eq=False)
class Probe:
    """Rows evaluated ahead: they show which columns there are, and mark the sweep's answers."""

    table: polars.DataFrame
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def probed(plan: Plan) -> Probe:
    """The first rows that are answered, with their columns; raises where none is."""
    refusal: HwmodelError | None = None
    for block, place in _spread(plan):
        fixed, points = plan.grid.fixed(block), plan.grid.points(place, place + 1)
        axes = axes_table(plan.grid, fixed, points, 1)
        if plan.before and not masked(axes, plan.before)[0]:
            continue
        try:
            answer = plan.function(**fixed, **points)
        except UnknownNameError:
            raise
        except HwmodelError as error:
            refusal = refusal or error
            continue
        made = columns(answer, 1, plan.keep)
        _check_names(plan, axes, made)
        why = polars.Series(REFUSED, [None], dtype=polars.String)
        table = polars.concat([axes, made, why.to_frame()], how="horizontal")
        for each in plan.after:
            masked(table, [each])
        if isinstance(answer, Estimate):
            return Probe(table, answer.assumptions, answer.everywhere)
        return Probe(table)
    if refusal is not None:
        raise refusal
    whole = plan.grid.blocks * plan.grid.rows
    raise InputError(f"where: expected a condition that some of {whole:,} points meet, found none")


def _check_names(plan: Plan, axes: polars.DataFrame, made: polars.DataFrame) -> None:
    for name in plan.keep:
        if name not in made.columns:
            raise UnknownNameError("column to keep", name, made.columns)
    for name in made.columns:
        if name in axes.columns or name == REFUSED:
            raise InputError(f"axis {name}: the answers have a column of this name; rename it")


def walked_where_needed(plan: Plan) -> Plan:
    """The plan with those axes walked whose values the function takes one at a time only.

    That is told where an array of one value is refused and the value itself is not. Rows that are
    drawn keep their arrays, since every combination of what is walked draws anew.
    """
    if plan.grid.samples is not None or not _refuses_arrays(plan):
        return plan
    singly = [axis for axis in plan.grid.arrays if _only_singly(plan, axis)]
    axes = [
        replace(axis, columns={n: tuple(map(plain, values)) for n, values in axis.columns.items()})
        if any(axis is other for other in singly)
        else axis
        for axis in plan.grid.axes
    ]
    return replace(plan, grid=replace(plan.grid, axes=tuple(axes)))


def _refuses_arrays(plan: Plan) -> bool:
    """Whether the first row that is asked for has no answer as arrays, and one as numbers."""
    for fixed, points in _first(plan):
        as_arrays = _answers_at(plan, {**fixed, **points})
        return not as_arrays and _answers_at(plan, fixed | single(plan.grid.labels, points))
    return False


def _only_singly(plan: Plan, axis: Axis) -> bool:
    """Whether an array of this axis' values is refused, all others being numbers."""
    for fixed, points in _first(plan):
        own = {name: points[name] for name in axis.columns}
        return not _answers_at(plan, fixed | single(plan.grid.labels, points) | own)
    return False


def _first(plan: Plan) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The first of the probed rows that meets the conditions."""
    for block, place in _spread(plan):
        fixed, points = plan.grid.fixed(block), plan.grid.points(place, place + 1)
        if plan.before and not masked(axes_table(plan.grid, fixed, points, 1), plan.before)[0]:
            continue
        yield fixed, points
        return


def _answers_at(plan: Plan, given: Mapping[str, Any]) -> bool:
    try:
        columns(plan.function(**given), 1, plan.keep)
    except (HwmodelError, TypeError, ValueError):  # the latter are NumPy's and users' own
        return False
    return True


def _spread(plan: Plan) -> Iterator[tuple[int, int]]:
    """Block and row of some rows, evenly spread."""
    whole = plan.grid.blocks * plan.grid.rows
    for row in sorted({place * (whole - 1) // (PROBES - 1) for place in range(PROBES)}):
        yield divmod(row, plan.grid.rows)
