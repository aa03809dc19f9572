"""Tables of routing in files, read in chunks: columns that must be there, whole numbers in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import cut, shown
from hwmodel.quantity.reading import EXPERTS
from hwmodel.text.frames import Frame, columns_in

CSV_BLOCK_BYTES = 1 << 24
MOST_NUMBER = 2**53
"""Of a token, a row or a count: exact in float64."""
_MOST = {
    **dict.fromkeys(("layer", "layer_from", "layer_to", "rank"), 2**31),
    **dict.fromkeys(("expert", "expert_from", "expert_to"), EXPERTS - 1),
}


def frames_of(path: Path, chunk_rows: int) -> Iterator[Any]:
    """Data frames of consecutive rows."""
    import polars

    if path.suffix == ".parquet":
        broken = (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError)
        try:
            lazy = polars.scan_parquet(path)
            rows = int(lazy.select(polars.len()).collect().item())
            for start in range(0, rows, chunk_rows):
                yield lazy.slice(start, chunk_rows).collect()
        except broken as error:
            raise InputError(f"{path}: expected a Parquet file ({_line(error)})") from None
        return
    with path.open("rb") as stream:
        head = stream.readline()
        rows, tail = 0, b""
        while block := stream.read(CSV_BLOCK_BYTES):
            whole, _, tail = (tail + block).rpartition(b"\n")
            if whole:
                frame = _parsed(path, head, whole, rows)
                rows += frame.height
                yield frame
        if tail.strip():
            yield _parsed(path, head, tail, rows)


def pieces_of(frame: Frame, chunk_rows: int) -> Iterator[Any]:
    """Consecutive rows of a data frame."""
    import polars

    # One of pandas goes by its columns, so that nobody needs pyarrow.
    whole = polars.DataFrame(columns_in(frame, "routing") if hasattr(frame, "iterrows") else frame)
    for start in range(0, whole.height, chunk_rows):
        yield whole.slice(start, chunk_rows)


def _parsed(path: Path, head: bytes, block: bytes, rows: int) -> Any:
    import polars

    columns = head.count(b",")
    for row, line in enumerate(block.splitlines(), rows + 1):
        if line.strip() and b'"' not in line and line.count(b",") != columns:
            raise InputError(
                f"{path}, row {row}: expected {columns + 1} fields, found {line.count(b',') + 1}"
            )
    try:
        return polars.read_csv(head + block, infer_schema_length=None)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise InputError(f"{path}: cannot read rows from {rows + 1}: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return cut((str(error).splitlines() or [type(error).__name__])[0], 200)


def need_column(path: Path, frame: Any, name: str) -> None:
    """Raise `InputError` for a table without a column of that name."""
    if name not in frame.columns:
        raise InputError(
            f"{path}: expected a column {name!r}, found {', '.join(map(str, frame.columns))}"
        )


def whole_numbers(path: Path, frame: Any, name: str, start: int) -> NDArray[np.float64]:
    """A column as whole numbers of 0 or more; the first that is none is named by its row."""
    import polars

    need_column(path, frame, name)
    column = frame.get_column(name)
    if not column.dtype.is_numeric():
        try:
            column = column.cast(polars.Float64, strict=False)
        except polars.exceptions.PolarsError:
            kind = column.dtype
            raise InputError(f"{path}, column {name}: expected numbers, found {kind}") from None
    values: NDArray[np.float64] = column.cast(polars.Float64).to_numpy()
    most = _MOST.get(name, MOST_NUMBER)
    wrong = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    wrong |= values > most
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path}, row {start + row + 1}, column {name}: expected a whole number of 0 or more"
            f" and at most {most:,}, found {shown(frame.get_column(name)[row])}"
        )
    return values
