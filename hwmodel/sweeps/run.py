"""Sweeps: a function evaluated over a grid of axes, in chunks of bounded memory, into a table.

`plan` says what is evaluated, `probe` tries a few rows ahead, `pieces` are single calls, `chunks`
what a worker does at a time, and `files` what a folder of them holds.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars

from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import ROWS_IN_MEMORY
from hwmodel.sweeps.chunks import Executor, evaluated
from hwmodel.sweeps.files import Folder
from hwmodel.sweeps.pieces import piece
from hwmodel.sweeps.plan import CHUNK, Plan, Where, planned
from hwmodel.sweeps.probe import probed, walked_where_needed
from hwmodel.sweeps.progress import progress_bar
from hwmodel.sweeps.table import Sweep


@named
def sweep(
    function: Callable[..., Any],
    axes: Mapping[str, Any] | None = None,
    /,
    *,
    where: Where | Sequence[Where] = (),
    keep: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    chunk: int = CHUNK,
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool | None = None,
    **more: Any,
) -> Sweep:
    """Evaluate `function` over axes (see `sweeps.axes`), given as a mapping, by keyword, or both.

    It is called by the names of the axes, with arrays for axes of numbers and single values for
    walked ones, and returns an estimate, or columns as a mapping. `where` are conditions in SQL or
    polars, on axes (tested before) or answers; `keep` the answers wanted (default: all); `samples`
    draws that many rows of each walked combination. `out` is a folder for Parquet files: a sweep
    that was stopped goes on where it was. `executor` runs chunks of some `chunk` rows elsewhere: it
    must be able to pickle `function`, and all must see `out`. Rows are the same however they were
    evaluated. A row that the model refuses has nulls, and says why in column `refused`; each costs
    a call of its own, so keep large parts that make no sense out by `where`. Raises `InputError`
    for what is wrong with the sweep, and what the model refuses where it refuses all probes.

    An axis of numbers that the function takes one at a time only, such as a number of devices, is
    walked as if it were marked by `each`.
    """
    plan = planned(
        function,
        {**(axes or {}), **more},
        where=where,
        keep=keep,
        samples=samples,
        seed=seed,
        chunk=chunk,
    )
    return run(walked_where_needed(plan), executor=executor, out=out, progress=progress)


def run(
    plan: Plan,
    *,
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool | None = None,
) -> Sweep:
    """Evaluate all chunks that are not there yet; raises as `sweep` does."""
    rows = plan.grid.blocks * plan.grid.rows
    if out is None and rows > ROWS_IN_MEMORY:
        raise InputError(
            f"sweep: expected at most {ROWS_IN_MEMORY:,} points in memory, found {rows:,}; write"
            " them to a folder by out"
        )
    probe = probed(plan)
    empty = probe.table.clear()
    notes = {"assumptions": list(probe.assumptions), "warnings": list(probe.warnings)}
    pending: list[int] = list(range(plan.chunks))
    folder = None
    if out is not None:
        folder = Folder(Path(out))
        folder.open(plan, probe.table, notes)
        held = folder.held()
        _recheck(plan, folder, sorted(held & set(pending)), empty)
        pending = [number for number in pending if number not in held]
    tables: dict[int, polars.DataFrame] = {}
    whole = plan.grid.blocks * plan.grid.rows
    left = sum(plan.points(number) for number in pending)
    with progress_bar(whole, whole - left, show=progress, chunks=len(pending)) as advance:
        for number, answer in evaluated(plan, pending, empty, folder, executor):
            if answer is not None:
                tables[number] = answer
            if folder is not None:
                folder.note(number)
            advance(plan.points(number))
    if folder is not None:
        return folder.close(plan)
    frames = [tables[number] for number in sorted(tables)]
    whole_table = polars.concat([empty, *frames], rechunk=False)
    return Sweep((whole_table.lazy(),), probe.assumptions, probe.warnings)


RECHECKED = 2
"""Parts of a folder, beside its first and last, whose first rows are evaluated anew when a sweep
goes on."""

SAME = 1e-9
"""Relative difference up to which two answers of one function are one, on any processor."""


def _recheck(plan: Plan, folder: Folder, held: Sequence[int], empty: polars.DataFrame) -> None:
    """Refuse a folder whose rows the function would not give: the first part's, the last's, ..."""
    drawn = random.Random(len(held)).sample(held, min(RECHECKED, len(held)))
    for number in sorted({*held[:1], *held[-1:], *drawn}):
        made = piece(plan, *next(plan.pieces(number)), empty)
        try:
            there = polars.read_parquet(folder.part(number), n_rows=len(made))
        except (polars.exceptions.PolarsError, OSError) as error:
            told = " ".join(str(error).split())
            raise InputError(f"{folder.part(number)}: expected a part of a sweep: {told}") from None
        odd = _differing(made, there)
        if odd is not None:
            raise InputError(
                f"{folder.part(number)}: {odd}: the function gives other answers than the folder"
                " holds, so it was changed since; give another folder, or delete this one"
            )


def _differing(made: polars.DataFrame, there: polars.DataFrame) -> str | None:
    """The first column in which two tables differ."""
    if made.schema != there.schema or made.height != there.height:
        return "columns"
    for name in made.columns:
        one, other = made[name], there[name]
        if one.dtype.is_float():
            pair = one.to_numpy(), other.to_numpy()
            same = np.isclose(*pair, rtol=SAME, atol=0.0, equal_nan=True).all()
        else:
            same = one.equals(other, null_equal=True)
        if not same:
            return name
    return None
