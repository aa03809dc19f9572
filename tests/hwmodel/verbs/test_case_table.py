"""Cases in data frames: answers as lines of a file have them, refusals in their rows."""

import json
import re
from typing import Any

import polars
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.cases import predict_lines

ROWS: list[dict[str, Any]] = [
    {"workload": "gemm", "M": 64, "N": 512, "K": 1024, "on": "h200", "dtype": "fp8"},
    {"workload": "gemm", "M": 128, "N": 512, "K": 1024, "on": "h200", "dtype": "fp8"},
    {"workload": "softmax", "rows": 64, "cols": 1024, "on": "b200"},
    {"workload": "gemm", "M": 0, "N": 512, "K": 1024, "on": "h200"},
]


class Stream:
    """What speaks Arrow and is nothing else."""

    def __init__(self, frame: polars.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.frame.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("wrapped", [polars.DataFrame, Stream])
def test_a_row_is_answered_as_its_line_is(wrapped: Any) -> None:
    frame = polars.DataFrame(ROWS)
    found = hw.cases(wrapped(frame))
    assert hw.cases(ROWS).table.equals(found.table)
    lines: list[Any] = predict_lines([json.dumps(row) for row in ROWS])
    table = found.table
    assert table.columns[: len(frame.columns)] == frame.columns
    assert table["time_s"].to_list() == [line.get("time_s") for line in lines]
    assert (found.refused, table["error"].null_count()) == (1, 3)
    assert "cases, line 4: gemm: M: expected a number above 0, found 0" in table["error"][3]
    assert "4 cases, 1 refused" in str(found)


def test_whole_numbers_in_columns_of_floats_are_sizes() -> None:
    """As pandas has them where a cell is missing."""
    rows = [{n: float(v) if isinstance(v, int) else v for n, v in row.items()} for row in ROWS]
    found = hw.cases(polars.DataFrame(rows[:3]))
    assert found.refused == 0


def test_a_frame_of_pandas_needs_no_arrow() -> None:
    pandas: Any = pytest.importorskip("pandas")
    assert hw.cases(pandas.DataFrame(ROWS)).refused == 1


def test_what_is_no_frame_or_empty_is_refused() -> None:
    with pytest.raises(InputError, match="cases: expected a data frame, found dict"):
        hw.cases(ROWS[0])  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="cases: row 2: expected a table, found 1"):
        hw.cases([ROWS[0], 1])  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"takes fields\), found dict"):
        hw.predict(ROWS[0], on="h200")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="cases: expected a row or more, found none"):
        hw.cases(polars.DataFrame({"workload": []}))


def test_frames_are_axes_side_by_side_routings_and_tables_of_times() -> None:
    shapes = polars.DataFrame({"N": [4096, 14336], "K": [14336, 4096]})

    def run(N: Any, K: Any) -> Any:
        return hw.predict(hw.workloads.gemm(M=64, N=N, K=K), on="h200")

    swept = hw.sweep(run, shapes=hw.together(shapes)).table
    assert (swept["N"].to_list(), swept["K"].to_list()) == ([4096, 14336], [14336, 4096])
    loads = polars.DataFrame({"layer": [0] * 4, "expert": range(4), "load": [4.0, 3.0, 2.0, 1.0]})
    given: list[Any] = [loads, [[4.0, 3.0, 2.0, 1.0]]]
    placed, same = (str(hw.place(each, devices=2, objective="load")) for each in given)
    assert re.sub(r"[\d.]+ s\b", "", placed) == re.sub(r"[\d.]+ s\b", "", same)
    times = polars.DataFrame({"M": [64], "N": [4096], "K": [4096], "time_us": [12.6]})
    with pytest.raises(InputError, match="table: expected 12 rows or more of a family, found 1"):
        hw.calibrate("out", table=times, device="h200")
