"""The measured rows: what is stored, what is read back, and that no row is beyond the hardware."""

import json
from pathlib import Path

import polars
import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.validation.measure.shapes import Case, work
from hwmodel.validation.store import (
    FILES,
    ROW_KERNELS,
    SHAPE_COLUMNS,
    launch_columns,
    read_rows,
    sittings,
    write_sitting,
)

DRAM_BYTES_PER_S = 4.8e12
"""H200 datasheet."""
PEAK_FLOP_PER_S = {"bf16": 989.5e12, "fp16": 989.5e12, "tf32": 494.7e12, "fp32": 66.9e12,
                   "fp8": 1979e12}  # fmt: skip
"""H200 SXM datasheet, dense."""
TIMED = ("gemm", "attention", "moe", "rows", "llm")


def row(**fields: object) -> str:
    return json.dumps({"stage": "gemm", "family": "gemm", "kernel": "cublas"} | fields)


def test_rows_come_back_as_they_were_measured(tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir()
    (run / "header.json").write_text(json.dumps({"sitting": "one", "board": "abc"}))
    lines = [
        row(dtype="bf16", M=1, N=2, K=3, time_s=1.234567e-6, flushed=True, sustained_time_s=None),
        row(stage="anchors", dtype="fp8", M=4, N=16, K=16, time_s=2e-6, flushed=False),
        row(stage="rows", family="gelu", dtype="bf16", rows=2, cols=5, time_s=3e-6),
        row(stage="gemm-thin", dtype="bf16", M=1, N=1, K=3, time_s=4e-6),
        row(stage="moe", family="moe", dtype="bf16", error="refused"),
    ]
    (run / "rows.jsonl").write_text("\n".join(lines) + "\n")
    assert write_sitting(run, "toy", data=data) == {
        "gemm": 2, "gemm_thin": 1, "refused": 1, "rows": 1,
    }  # fmt: skip
    table = read_rows("toy", "gemm", data=data)
    assert table["time_s"].to_list() == [1.2346e-6, 2e-6]
    assert table["flushed"].to_list() == [1, 0]
    assert table["pass"].to_list() == ["random", "anchor"]
    assert table["board"].to_list() == ["abc", "abc"]
    assert "sustained_time_s" not in table.columns
    assert read_rows("toy", "rows", data=data)["cols"].to_list() == [5]


def test_a_line_that_was_cut_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "header.json").write_text(json.dumps({"sitting": "one", "board": "abc"}))
    (tmp_path / "rows.jsonl").write_text(row(dtype="bf16") + '\n{"stage": "ge')
    with pytest.raises(InputError, match=r"rows.jsonl, line 2: expected one JSON object"):
        write_sitting(tmp_path, "toy", data=tmp_path / "data")


def test_an_unmeasured_device_is_answered_with_the_measured_ones() -> None:
    with pytest.raises(InputError, match=r"'h300' has no measured rows; measured devices: .*h200"):
        sittings("h300")


def test_an_unknown_kind_of_rows_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no rows of kind 'conv'; kinds: gemm, attention"):
        read_rows("h200", "conv")


def test_there_are_enough_rows_from_enough_boards() -> None:
    assert len(sittings("h200")) >= 3
    assert read_rows("h200", "gemm")["board"].n_unique() >= 3
    assert sum(len(read_rows("h200", name)) for name in TIMED) >= 3000
    assert len(read_rows("h200", "counters")) >= 150
    assert len(read_rows("h200", "energy")) >= 100


def cases(name: str) -> list[tuple[Case, dict[str, float]]]:
    table = read_rows("h200", name)
    shape_columns = [
        column for column in SHAPE_COLUMNS[name.removesuffix("_thin")] if column in table.columns
    ]
    return [
        (
            Case(
                row["family"], row["kernel"], row["dtype"], {key: row[key] for key in shape_columns}
            ),
            row,
        )
        for row in table.iter_rows(named=True)
    ]


@pytest.mark.parametrize("name", ["gemm", "gemm_thin", "attention", "moe", "rows"])
def test_no_row_is_faster_than_the_datasheet(name: str) -> None:
    for case, measured in cases(name):
        flop, inputs, _ = work(case)
        assert flop / measured["time_s"] <= PEAK_FLOP_PER_S[case.dtype], case
        if name != "moe":  # a random routing may leave experts untouched
            assert inputs / measured["time_s"] <= DRAM_BYTES_PER_S, case


@pytest.mark.parametrize("name", [*TIMED, "gemm_thin"])
def test_times_are_positive_and_their_spread_is_ordered(name: str) -> None:
    table = read_rows("h200", name)
    assert (table["time_s"] > 0).all()
    table = table.filter(polars.col("p10_s").is_not_null())  # traced times have no spread
    # A long step has two or three replays, whose percentiles interpolate around the median.
    ordered = table.filter(
        (polars.col("p10_s") > 0)
        & (polars.col("p10_s") <= polars.col("time_s"))
        & (polars.col("time_s") <= polars.col("p90_s"))
    )
    assert len(ordered) == len(table)


def test_the_counters_of_compulsory_traffic_are_never_below_it() -> None:
    table = read_rows("h200", "counters").filter(polars.col("family").is_in(ROW_KERNELS))
    for measured in table.iter_rows(named=True):
        shape = {"rows": measured["rows"], "cols": measured["cols"]}
        _, inputs, once = work(Case(measured["family"], "torch", measured["dtype"], shape))
        assert measured["dram_bytes_read"] > 0.97 * inputs
        assert measured["dram_bytes_written"] > 0.97 * (once - inputs)


@pytest.mark.parametrize("name", list(FILES))
def test_every_stored_column_is_a_declared_one(name: str) -> None:
    for folder in sittings("h200"):
        path = folder / f"{name}.csv"
        if path.exists():
            columns = path.read_text().split("\n", 1)[0].split(",")
            launched = launch_columns([dict.fromkeys(columns)])
            assert set(columns) <= {*FILES[name], *launched}


def test_traces_are_stored_a_call_a_line_with_their_kernels_by_number(tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir()
    (run / "header.json").write_text(json.dumps({"sitting": "one", "board": "abc"}))
    case = {"family": "convolution", "kernel": "torch", "dtype": "bf16", "batch": 2}
    kernels = [[1, "2x1x1", 128, 0, 32, 0.0, 1.5], [0, "", 32, 0, 16, 2.0, 0.75]]
    lines = [case | {"kernels": kernels}, case | {"batch": 3, "error": "refused"}]
    (run / "traces.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (run / "names.jsonl").write_text('[0, "last"]\n[1, "first<a, b>"]\n')
    assert write_sitting(run, "toy", data=data) == {"trace_kernels": 2, "traces": 2}
    table = read_rows("toy", "traces", data=data)
    assert table["kernels"].to_list() == ["1:1.5@2x1x1 0:0.75", None]
    assert read_rows("toy", "trace_kernels", data=data)["name"].to_list() == ["last", "first<a, b>"]
