"""Sweeps: a function evaluated over a grid of axes, in chunks of bounded memory, into a table.

A block of rows (one walked combination) is cut into pieces of `PIECE` rows, and each piece is one
call of the function with arrays. Consecutive pieces make a chunk: what one worker does at a time,
what one Parquet file holds, and what a sweep that was stopped does not do again. Pieces do not
depend on the chunks or on who evaluates them, so neither do the rows.
"""

import queue
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import polars

from hwmodel.machines.gpu.chunks import THREADS
from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import POINTS, ROWS_IN_MEMORY
from hwmodel.quantity.units import counted
from hwmodel.show.columns import REFUSED, columns
from hwmodel.spine.estimate import Estimate
from hwmodel.sweeps.axes import Axis, Grid, grid, label, plain, unit_of
from hwmodel.sweeps.files import Folder
from hwmodel.sweeps.progress import progress_bar
from hwmodel.sweeps.table import Sweep, condition
from hwmodel.sweeps.workers import keep_freed_memory

PIECE = 16_384
"""Rows of one call: enough to hide its overhead, few enough for the cache."""

CHUNK = 131_072
"""Rows of a chunk, about: some 20 MB in a worker."""

AHEAD = 256
"""Chunks that an executor is given before any has come back."""

FEW = 8
"""Rows, of which the model refuses some, that are tried one by one and not by halves."""

Where: TypeAlias = str | polars.Expr


class Executor(Protocol):
    """What runs chunks elsewhere: an executor of `concurrent.futures`, a Dask `Client`, ..."""

    def submit(self, fn: Any, /, *args: Any) -> Any:
        """Start a call and return its future, with `result`, `cancel` and `add_done_callback`."""
        ...


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a worker needs to evaluate any chunk; it can be pickled where `function` can."""

    function: Callable[..., Any]
    grid: Grid
    before: tuple[polars.Expr, ...] = ()
    """Conditions on the axes: rows that fail one are not evaluated."""
    after: tuple[polars.Expr, ...] = ()
    """Conditions on answers: rows that fail one are left out."""
    keep: tuple[str, ...] = ()
    chunk: int = CHUNK

    @cached_property
    def pieces_of_block(self) -> int:
        """Pieces of each block."""
        return -(-self.grid.rows // PIECE)

    @cached_property
    def pieces_of_chunk(self) -> int:
        """Pieces of each chunk but the last."""
        return max(1, self.chunk // min(PIECE, self.grid.rows))

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.grid.blocks * self.pieces_of_block // self.pieces_of_chunk)

    def points(self, chunk: int) -> int:
        """Grid points of a chunk, before any condition."""
        return sum(end - first for _, first, end in self.pieces(chunk))

    def pieces(self, chunk: int) -> Iterator[tuple[int, int, int]]:
        """Block, first row and end of each piece of a chunk."""
        first = chunk * self.pieces_of_chunk
        end = min(first + self.pieces_of_chunk, self.grid.blocks * self.pieces_of_block)
        for piece in range(first, end):
            block, place = divmod(piece, self.pieces_of_block)
            yield block, place * PIECE, min((place + 1) * PIECE, self.grid.rows)


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


def planned(
    function: Callable[..., Any],
    axes: Mapping[str, Any],
    *,
    where: Where | Sequence[Where] = (),
    keep: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    chunk: int = CHUNK,
) -> Plan:
    """A sweep checked as far as it can be without evaluating; raises `InputError`."""
    if not axes:
        raise InputError("sweep: expected one axis or more, found none")
    for what, given, kinds in (("where", where, (str, polars.Expr)), ("keep", keep, (str,))):
        listed: Any = _listed(cast(Any, given))
        if not isinstance(listed, (list, tuple)) or not all(
            isinstance(each, kinds) for each in cast(list[Any], listed)
        ):
            raise InputError(
                f"sweep: {what}: expected a list of texts, found {shown(cast(object, listed))}"
            )
    if samples is not None:
        samples = counted(samples, where="samples", most=POINTS)
    points = grid(axes, samples=samples, seed=counted(seed, where="seed", least=0))
    if points.blocks * points.rows > POINTS:
        found = shown(points.blocks * points.rows)
        raise InputError(f"sweep: expected at most {POINTS:,} points, found {found}")
    names = set(points.labels.values())
    conditions = [condition(each, where="where") for each in _listed(where)]
    ahead = [each for each in conditions if set(each.meta.root_names()) <= names]
    return Plan(
        function,
        points,
        before=tuple(ahead),
        after=tuple(each for each in conditions if not any(each is other for other in ahead)),
        keep=tuple(keep),
        chunk=counted(chunk, where="chunk"),
    )


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
        return not as_arrays and _answers_at(plan, fixed | _single(plan.grid.labels, points))
    return False


def _only_singly(plan: Plan, axis: Axis) -> bool:
    """Whether an array of this axis' values is refused, all others being numbers."""
    for fixed, points in _first(plan):
        own = {name: points[name] for name in axis.columns}
        return not _answers_at(plan, fixed | _single(plan.grid.labels, points) | own)
    return False


def _first(plan: Plan) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The first of the probed rows that meets the conditions."""
    for block, place in _spread(plan):
        fixed, points = plan.grid.fixed(block), plan.grid.points(place, place + 1)
        if plan.before and not _masked(axes_table(plan.grid, fixed, points, 1), plan.before)[0]:
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


def _listed(where: Where | Sequence[Where]) -> Sequence[Where]:
    return [where] if isinstance(where, (str, polars.Expr)) else where


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
    evaluated = _evaluated(plan, pending, empty, folder, executor)
    tables: dict[int, polars.DataFrame] = {}
    whole = plan.grid.blocks * plan.grid.rows
    left = sum(plan.points(number) for number in pending)
    with progress_bar(whole, whole - left, show=progress, chunks=len(pending)) as advance:
        for number, answer in evaluated:
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
        piece = next(iter(plan.pieces(number)))
        made = _piece(plan, *piece, empty)
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


def _evaluated(
    plan: Plan,
    pending: Sequence[int],
    empty: polars.DataFrame,
    folder: Folder | None,
    executor: Executor | None,
) -> Iterator[tuple[int, polars.DataFrame | None]]:
    """Each chunk as it is done, with its table where it was not written."""
    if executor is None:
        for number in pending:
            yield number, work(plan, number, empty, folder)
        return
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures: dict[int, Any] = {}
    waiting = iter(pending)

    def start(number: int) -> None:
        future = executor.submit(remote, plan, number, empty, folder)
        futures[number] = future

        def told(_: Any) -> None:
            done.put(number)

        future.add_done_callback(told)

    try:
        for number in islice(waiting, AHEAD):
            start(number)
        while futures:
            number = done.get()
            try:
                yield number, futures.pop(number).result()
            except BrokenExecutor as error:
                kept = "; run it again, and it goes on where it was" if folder else ""
                raise HwmodelError(
                    f"sweep: a worker process died, out of memory perhaps: {error}{kept}"
                ) from None
            for following in islice(waiting, 1):
                start(following)
    finally:
        for future in futures.values():
            future.cancel()


def remote(
    plan: Plan, number: int, empty: polars.DataFrame, folder: Folder | None
) -> polars.DataFrame | None:
    """`work` in a process beside others: on one thread, with an allocator that suits it."""
    keep_freed_memory()
    token = THREADS.set(1)
    try:
        return work(plan, number, empty, folder)
    finally:
        THREADS.reset(token)


def work(
    plan: Plan, number: int, empty: polars.DataFrame, folder: Folder | None
) -> polars.DataFrame | None:
    """Evaluate a chunk; its table, or None where the folder has it now."""
    parts = [_piece(plan, *piece, empty) for piece in plan.pieces(number)]
    table = polars.concat([empty, *parts], rechunk=True)
    if folder is None:
        return table
    folder.write(number, table)
    return None


def _piece(plan: Plan, block: int, first: int, end: int, empty: polars.DataFrame) -> Any:
    """One call of the function, as a table with the columns of `empty`."""
    fixed, points = plan.grid.fixed(block), plan.grid.points(first, end)
    table = axes_table(plan.grid, fixed, points, end - first)
    if plan.before:
        chosen = _masked(table, plan.before)
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


def _masked(table: polars.DataFrame, conditions: Sequence[polars.Expr]) -> polars.Series:
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
    given = points if rows > 1 else _single(plan.grid.labels, points)
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


def _single(labels: Mapping[str, str], points: Mapping[str, Any]) -> dict[str, Any]:
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


@dataclass(frozen=True, eq=False)
class Probe:
    """Rows evaluated ahead: they show which columns there are, and mark the sweep's answers."""

    table: polars.DataFrame
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


PROBES = 16
"""Rows that are tried, evenly spread, until one is answered."""


def probed(plan: Plan) -> Probe:
    """The first rows that are answered, with their columns; raises where none is."""
    refusal: HwmodelError | None = None
    for block, place in _spread(plan):
        fixed, points = plan.grid.fixed(block), plan.grid.points(place, place + 1)
        axes = axes_table(plan.grid, fixed, points, 1)
        if plan.before and not _masked(axes, plan.before)[0]:
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
            _masked(table, [each])
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
