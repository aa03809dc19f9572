"""Answers as data frames: polars, pandas and Arrow take them as they are.

`polars.DataFrame(answer)` reads the answer's Arrow stream, `pandas.DataFrame(answer)` its rows;
`answer.to_pandas()` does the latter by columns, without pyarrow. Columns end in their SI unit.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hwmodel.quantity.errors import InputError

if TYPE_CHECKING:
    import polars


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

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows, one table of fields each."""
        return self.table.iter_rows(named=True)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows for whatever speaks Arrow (the PyCapsule interface)."""
        return self.table.__arrow_c_stream__(requested_schema)
