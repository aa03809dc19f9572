"""The table of a sweep: fronts, best rows, filters; in memory, or read from files part by part.

Columns end in their SI unit. Whatever reduces rows (a front, the best) is done part by part, so
that a table far larger than the memory can be asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import CONDITION_CHARACTERS
from hwmodel.quantity.units import show
from hwmodel.show.fields import POINT
from hwmodel.sweeps.axes import unit_of
from hwmodel.sweeps.pareto import front
from hwmodel.text.frames import Framed
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief, answer_html

SHOWN = 20
"""Rows that a print-out has."""

WIDEST = 10
ASIDE = frozenset(field.name for field in POINT if field.aside)
"""Columns that a print-out leaves out where there are more than `WIDEST`."""


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Brief, Framed):
    """Rows of a sweep, in the order of its grid; `table` is all of them as a polars table."""

    parts: tuple[polars.LazyFrame, ...]
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    complete: bool = True
    """False for a folder that lacks chunks."""

    @property
    def table(self) -> polars.DataFrame:
        """All rows in memory."""
        return polars.concat(list(self._tables()))

    @property
    def lazy(self) -> polars.LazyFrame:
        """All rows, for polars to read as far as it needs to."""
        return polars.concat(self.parts)

    @property
    def units(self) -> dict[str, str | None]:
        """Every column, and the unit that its name ends in (a key of `units.DIMENSIONS`)."""
        return {name: unit_of(name) for name in self.parts[0].collect_schema().names()}

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self.lazy.select(polars.len()).collect().item())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows, part by part."""
        return (row for table in self._tables() for row in table.iter_rows(named=True))

    def filter(self, *conditions: str | polars.Expr) -> "Sweep":
        """The rows that meet all conditions, in SQL ("energy_j < 2") or polars."""
        expressions = [condition(each) for each in conditions]
        for each in expressions:
            self._check(*each.meta.root_names())
        return self._with(part.filter(*expressions) for part in self.parts)

    def pareto(self, *least: str, most: Sequence[str] = ()) -> "Sweep":
        """The rows that no other beats: less of each column of `least`, more of each of `most`.

        Rows without an answer are left out.
        """
        if not least and not most:
            raise InputError("pareto: expected one column or more, found none")
        self._check(*least, *most)
        kept: list[polars.DataFrame] = []
        for table in self._tables():
            kept.append(_front(table, least, most))
        return self._with([_front(polars.concat(kept), least, most).lazy()])

    def best(self, column: str, *, most: bool = False, by: Sequence[str] = ()) -> "Sweep":
        """The row with the least (or `most`) of a column; of each group of equal `by` columns.

        The first in the order of the grid, where several are equal. Constrain it by `filter`.
        """
        self._check(column, *by)
        kept = [_best(table, column, most, by) for table in self._tables()]
        return self._with([_best(polars.concat(kept), column, most, by).lazy()])

    def record(self) -> list[dict[str, Any]]:
        """All rows as plain data, for JSON."""
        return self.table.to_dicts()

    def __str__(self) -> str:
        """The first rows, in units that people read."""
        heads, rows, words = self._head()
        if not rows:
            return self._finding()
        count = len(self)
        more = f"\n... {count - SHOWN:,} rows more" if count > SHOWN else ""
        return f"{self._finding()}\n\n{grid(heads, rows, left=words)}{more}"

    def _repr_html_(self) -> str:
        heads, rows, _ = self._head()
        count = len(self)
        notes = [f"warning: {each}" for each in self.warnings]
        notes += [f"{count - SHOWN:,} rows more, in .table"] if count > SHOWN else []
        return answer_html(self._finding(), [(heads, rows)], notes)

    def _finding(self) -> str:
        count = len(self)
        return f"{count:,} rows" if count else "0 rows: no point is there that meets all conditions"

    def _head(self) -> tuple[list[str], list[list[str]], list[int]]:
        """Heads and texts of the first rows, and the places of columns of words."""
        head = self.lazy.head(SHOWN).collect()
        names = [name for name in head.columns if head[name].null_count() < len(head)]
        if len(names) > WIDEST:
            names = [name for name in names if name not in ASIDE]
        rows = [[_shown(name, row[name]) for name in names] for row in head.iter_rows(named=True)]
        words = [i for i, name in enumerate(names) if head[name].dtype == polars.String]
        return [_bare(name) for name in names], rows, words

    def _with(self, parts: Any) -> "Sweep":
        return Sweep(tuple(parts), self.assumptions, self.warnings, self.complete)

    def _tables(self) -> Iterator[polars.DataFrame]:
        return (part.collect() for part in self.parts)

    def _check(self, *names: str) -> None:
        known = self.parts[0].collect_schema().names()
        for name in names:
            if name not in known:
                raise UnknownNameError("column", name, known)


def condition(text: str | polars.Expr, *, where: str = "condition") -> polars.Expr:
    """Read a condition, such as "M * N <= 1e9 and energy_j < 2"; raises `InputError`."""
    if isinstance(text, polars.Expr):
        return text
    if not isinstance(text, str) or len(text) > CONDITION_CHARACTERS:  # pyright: ignore[reportUnnecessaryIsInstance]
        wanted = f"SQL of at most {CONDITION_CHARACTERS:,} characters"
        raise InputError(f"{where}: expected {wanted}, found {shown(text)}")
    try:
        found = polars.sql_expr(text)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise InputError(
            f"{where}: expected SQL such as 'energy_j < 2', found {shown(text)} ({_line(error)})"
        ) from None
    if not found.meta.undo_aliases().meta.eq(found):
        raise InputError(  # SQL takes a word behind an expression for its name
            f"{where}: expected plain numbers in SI, such as 'time_s < 1e-3', found"
            f" {found.meta.output_name()!r} at the end of {text!r}"
        )
    return found


def _line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())


def _front(table: polars.DataFrame, least: Sequence[str], most: Sequence[str]) -> polars.DataFrame:
    signed = [(name, 1.0) for name in least] + [(name, -1.0) for name in most]
    quantities = [
        sign * table[name].cast(polars.Float64).fill_null(np.nan).to_numpy()
        for name, sign in signed
    ]
    return table.filter(polars.Series(front(quantities)))


def _best(table: polars.DataFrame, column: str, most: bool, by: Sequence[str]) -> polars.DataFrame:
    answered = table.filter(polars.col(column).is_not_null())
    ordered = answered.sort(column, descending=most, maintain_order=True)
    if not by:
        return ordered.head(1)
    return ordered.group_by(list(by), maintain_order=True).first().select(table.columns)


def _unit(name: str) -> str | None:
    """The unit that a column's name ends in, where its numbers take a prefix."""
    dimension = unit_of(name)
    return None if dimension == "per_s" else dimension


def _bare(name: str) -> str:
    dimension = _unit(name)
    return name if dimension is None else name.removesuffix(f"_{dimension}").replace("_", " ")


def _shown(name: str, value: Any) -> str:
    dimension = _unit(name)
    if value is None:
        return "-"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if dimension is not None:
            return show(float(value), dimension)
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return str(value)
