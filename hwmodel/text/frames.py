"""Answers as data frames: polars, pandas and Arrow take them as they are; tables that come in.

`polars.DataFrame(answer)` reads the answer's Arrow stream, `pandas.DataFrame(answer)` its rows;
`answer.to_pandas()` does the latter by columns, without pyarrow. Columns end in their SI unit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown

if TYPE_CHECKING:
    import polars


def _in_markdown(table: "polars.DataFrame", path: Path) -> None:
    path.write_text(markdown(table), encoding="utf-8")


WRITERS: Mapping[str, Callable[["polars.DataFrame", Path], Any]] = {
    ".csv": lambda table, path: table.write_csv(path),
    ".parquet": lambda table, path: table.write_parquet(path),
    ".arrow": lambda table, path: table.write_ipc(path),
    ".json": lambda table, path: table.write_json(path),
    ".jsonl": lambda table, path: table.write_ndjson(path),
    ".md": _in_markdown,
}
"""Ending of a file -> what writes a table into it."""


class Frame(Protocol):
    """A data frame: of polars, of pandas from 2.2 on, or what else speaks Arrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Its rows as a stream (the PyCapsule interface)."""
        ...


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame: of polars, of pandas, or what speaks Arrow."""
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__dataframe__")


def columns_in(frame: Any, where: str) -> dict[str, list[Any]]:
    """The columns of a data frame as lists, by name; what is missing in a row is None.

    Those of pandas and of polars are read by their own words, others by the Arrow stream that they
    give, which polars reads. Raises `InputError` for what is no frame, and for names that are none.
    """
    if not is_frame(frame):
        raise InputError(f"{where}: expected a data frame, found {type(frame).__name__}")
    if hasattr(frame, "iterrows"):  # of pandas, whose stream would need pyarrow
        columns = frame.astype(object).where(frame.notna(), None).to_dict("list")
    else:
        import polars

        held = frame if isinstance(frame, polars.DataFrame) else polars.DataFrame(frame)
        columns = held.to_dict(as_series=False)
    for name in columns:
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: expected columns with names, found {name!r:.40}")
    return {name: [_as_plain(value) for value in values] for name, values in columns.items()}


def rows_in(frame: Any, where: str) -> list[dict[str, Any]]:
    """The rows of a data frame, or of a list of tables, those fields left out that are missing.

    Raises `InputError` for what is neither.
    """
    if isinstance(frame, list | tuple):
        listed = cast(Sequence[Any], frame)
        for at, row in enumerate(listed, 1):
            if not isinstance(row, Mapping):
                raise InputError(f"{where}: row {at}: expected a table, found {shown(row)}")
        rows = [{str(name): _as_plain(value) for name, value in row.items()} for row in listed]
    else:
        columns = columns_in(frame, where)
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _as_plain(value: Any) -> Any:
    """Numbers of libraries as Python's, whole ones as int: sizes that a column of floats holds."""
    plain = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value
    if isinstance(plain, float):
        return None if plain != plain else int(plain) if plain.is_integer() else plain
    return plain


def write_table(table: "polars.DataFrame", path: str | Path) -> None:
    """Write a table by the ending of its file; raises `InputError`."""
    place = Path(path)
    writer = WRITERS.get(place.suffix.lower())
    if writer is None:
        known = ", ".join(WRITERS)
        raise InputError(f"{path}: expected a table's ending ({known}), found {place.suffix!r}")
    try:
        writer(table, place)
    except OSError as error:
        told = error.strerror or str(error)
        raise InputError(f"{path}: expected a place to write to: {told}") from None


def markdown(table: "polars.DataFrame") -> str:
    """A table as GitHub and others show it: numbers to six digits, flush right; `|` escaped.

    Columns keep their names, which end in their unit.
    """
    numbers = [kind.is_numeric() for kind in table.dtypes]

    def cell(value: Any) -> str:
        text = f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
        return " ".join(text.replace("|", "\\|").split())

    rows = [
        [cell(name) for name in table.columns],
        ["---:" if number else "---" for number in numbers],
    ]
    rows += [[cell(value) for value in row] for row in table.iter_rows()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


class Framed:
    """What has a `table` and can stand where a data frame is expected."""

    @property
    def table(self) -> "polars.DataFrame":
        """All rows, in polars."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """All rows, in pandas; raises `InputError` where it is not installed."""
        try:
            import pandas
        except ModuleNotFoundError:
            raise InputError(
                "to_pandas: expected pandas, found none: pip install 'hwmodel[pandas]'; .table is"
                " the same in polars"
            ) from None
        table = self.table
        return pandas.DataFrame(
            {
                name: column.to_numpy() if column.dtype.is_numeric() else column.to_list()
                for name, column in zip(table.columns, table.get_columns(), strict=True)
            }
        )

    def write(self, path: str | Path) -> None:
        """Write all rows: .csv, .parquet, .arrow, .json, .jsonl or .md; raises `InputError`."""
        write_table(self.table, path)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows, one table of fields each."""
        return self.table.iter_rows(named=True)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows for whatever speaks Arrow (the PyCapsule interface)."""
        return self.table.__arrow_c_stream__(requested_schema)
