"""`hwmodel sweep`: what it prints, writes and refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import polars
import pytest

from hwmodel import cli

STUDY = """\
case: {workload: gemm, on: h200, N: 4096, K: 4096}
axes:
  M: {log: [1, 4096], points: 5}
  dtype: [bf16, fp8]
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def study(tmp_path: Path) -> str:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return str(path)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hwmodel", "sweep", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_a_study_prints_as_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, study: str
) -> None:
    assert run(monkeypatch, study) == 0
    text = capsys.readouterr().out
    assert text.startswith("10 rows")
    assert all(word in text for word in ("fp8", "4,096", "bottleneck", "10 points in"))


def test_rows_go_to_files_and_json_says_what_they_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, study: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    assert run(monkeypatch, study, "--out", out, "--front", "time_s,energy_j", "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["points"], told["refused"], told["out"]) == (10, 10, 0, out)
    assert told["columns"]["time_s"] == "s"
    assert [(row["M"], row["dtype"]) for row in told["shown"]] == [(1, "fp8")]
    table = polars.read_parquet(f"{out}/part-*.parquet")
    assert len(table) == 10
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["chunks"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "0"], "--workers: expected 1 or more, found 0"),
        (["--front", "time"], "unknown column 'time'"),
        (["--chunk", "-1"], "chunk: expected a number above 0"),
    ],
)
def test_bad_options_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, study: str, words: list[str], said: str
) -> None:
    assert run(monkeypatch, study, *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_no_scheduler_at_an_address_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, study: str
) -> None:
    pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    assert run(monkeypatch, study, "--dask", "nowhere") == 2
    assert "--dask: expected the address of a scheduler" in capsys.readouterr().err


def test_a_front_is_printed_and_its_columns_are_checked_before_the_work(
    study: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, study, "--front", "time_s", "--most", "M") == 0
    assert "M" in capsys.readouterr().out.splitlines()[2]
    out = tmp_path / "out"
    assert run(monkeypatch, study, "--out", str(out), "--most", "speed") == 2
    assert "unknown column 'speed'" in capsys.readouterr().err
    assert not out.exists()


def test_a_sweep_that_goes_on_counts_only_what_it_evaluated(
    study: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = (study, "--out", str(out), "--chunk", "5")
    assert run(monkeypatch, *words) == 0
    assert "more were there" not in capsys.readouterr().out
    (out / "part-000001.parquet").unlink()
    assert run(monkeypatch, *words) == 0
    text = capsys.readouterr().out
    assert "5 points in" in text
    assert "5 points more were there" in text
