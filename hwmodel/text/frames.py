"""Answers as data frames: polars, pandas and Arrow take them as they are.

`polars.DataFrame(answer)` reads the answer's Arrow stream, `pandas.DataFrame(answer)` its rows;
`answer.to_pandas()` does the latter by columns, without pyarrow. Columns end in their SI unit.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodel.quantity.errors import InputError

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
