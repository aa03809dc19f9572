"""Answers as data frames: in polars, in pandas, in Arrow."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars
import pytest

import hwmodel as hw
from hwmodel.text.frames import write_table

STEPS = hw.predict(hw.model("llama-3.2-1b").decode(np.array([1.0, 8, 64]), 1000), "h200")
GEMM = hw.predict(hw.workloads.gemm(M=64, N=64, K=64), "h200")


def even(x: Any) -> dict[str, Any]:
    if x % 2:
        raise hw.InputError("odd")
    return {"time_s": x / 2, "word": "two"}


ROWS = hw.sweep(even, x=hw.each([1, 2, 4]))


def test_polars_takes_an_estimate_point_by_point() -> None:
    found: polars.DataFrame = polars.DataFrame(STEPS)
    assert found["time_s"].to_list() == STEPS.time_s.tolist()
    assert found["device"].unique().to_list() == ["NVIDIA H200 SXM 141 GB"]
    assert found["tokens_per_s"].to_list() == pytest.approx([1, 8, 64] / STEPS.time_s)
    single: polars.DataFrame = polars.DataFrame(GEMM)
    assert single.select("workload", "time_s", "bottleneck").rows() == [
        ("gemm", GEMM.time_s, GEMM.bottleneck)
    ]


def test_points_on_a_grid_are_rows_in_its_order() -> None:
    batch, bandwidth = np.array([[1.0], [64.0]]), np.array([2e12, 4e12, 8e12])
    on = hw.device("h200").but(hbm={"bandwidth_bytes_per_s": bandwidth})
    crossed: hw.Estimate = hw.predict(hw.workloads.gemm(M=batch, N=4096, K=4096), on)
    assert crossed.time_s.shape == (2, 3)
    assert crossed.table["time_s"].to_list() == crossed.time_s.ravel().tolist()
    assert crossed.table["bound_bytes"].n_unique() == 2


def test_polars_takes_a_sweep() -> None:
    found: polars.DataFrame = polars.DataFrame(ROWS)
    assert found.equals(ROWS.table)


def test_rows_are_told_one_by_one() -> None:
    assert list(ROWS)[1:] == [
        {"x": 2, "time_s": 1.0, "word": "two", "refused": None},
        {"x": 4, "time_s": 2.0, "word": "two", "refused": None},
    ]
    assert list(STEPS) == STEPS.table.to_dicts()


def test_columns_go_to_pandas_without_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = ROWS.to_pandas()
    assert list(found) == ["x", "time_s", "word", "refused"]
    assert np.isnan(found["time_s"][0])
    assert found["time_s"][1:].tolist() == [1.0, 2.0]
    assert found["word"] == [None, "two", "two"]


def test_without_pandas_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(hw.InputError, match=r"pip install 'hwmodel\[pandas\]'; \.table"):
        ROWS.to_pandas()


def test_pandas_takes_them_too() -> None:
    pandas: Any = pytest.importorskip("pandas")
    assert pandas.DataFrame(ROWS)["word"].tolist()[1:] == ["two", "two"]
    assert pandas.DataFrame(STEPS)["time_s"].tolist() == STEPS.time_s.tolist()
    assert ROWS.to_pandas()["x"].tolist() == [1, 2, 4]


def test_polars_takes_a_comparison_with_who_refused() -> None:
    found = hw.compare(hw.workloads.gemm(M=64, N=64, K=64, dtype="fp8"), ["h200", "a100", "b200"])
    table: polars.DataFrame = polars.DataFrame(found)
    assert table["device"].to_list()[:2] == [each.device for each in found.estimates]
    assert table["time_s"].to_list() == [*(each.time_s for each in found.estimates), None]
    assert "fp8" in table["refused"][2]
    assert [row["device"] for row in found] == table["device"].to_list()


READ: dict[str, Any] = {
    ".csv": polars.read_csv,
    ".parquet": polars.read_parquet,
    ".arrow": polars.read_ipc,
    ".json": polars.read_json,
    ".jsonl": polars.read_ndjson,
}


@pytest.mark.parametrize("ending", READ)
def test_rows_are_written_by_the_ending_of_a_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{ending}"
    ROWS.write(path)
    found: polars.DataFrame = READ[ending](path)
    assert found.columns == ROWS.table.columns
    assert found["time_s"].to_list() == ROWS.table["time_s"].to_list()


def test_a_table_in_markdown_keeps_its_columns_apart(tmp_path: Path) -> None:
    table = polars.DataFrame({"a|b": ["x|y", None], "time_s": [0.123456789, 2.0]})
    path = tmp_path / "rows.md"
    write_table(table, path)
    assert path.read_text() == (
        "| a\\|b | time_s |\n| --- | ---: |\n| x\\|y | 0.123457 |\n|  | 2 |\n"
    )


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(hw.InputError, match=r"expected a table's ending \(.csv, .*found '.xls'"):
        ROWS.write(tmp_path / "rows.xls")
    with pytest.raises(hw.InputError, match="expected a place to write to"):
        ROWS.write(tmp_path / "absent" / "rows.csv")
    with pytest.raises(hw.InputError, match="expected an estimate of one point, found 3"):
        _ = STEPS.kernels


def test_kernels_are_rows_whose_runs_make_the_whole() -> None:
    step = hw.predict(hw.model("llama-3.2-1b").decode(batch=8, context=1000), "h200")
    table = step.kernels
    assert table["kernel"].to_list() == [part.name for part in step.parts]
    assert (table["runs"] * table["sustained_time_s"]).sum() == pytest.approx(step.sustained_time_s)
    assert (table["runs"] * table["energy_j"]).sum() == pytest.approx(step.energy_j)
    assert (table["runs"] * table["dram_bytes_read"]).sum() == pytest.approx(step.dram_bytes_read)
