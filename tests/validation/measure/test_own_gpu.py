"""What a user sees without a GPU, and how a failing stage is told."""

import importlib.util
import sys
from pathlib import Path

import pytest

from hwmodel import cli
from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.measure.own_gpu import measure_stages, rows_in

NO_GPU = importlib.util.find_spec("torch") is None
without_torch = pytest.mark.skipif(not NO_GPU, reason="torch is installed here")


@without_torch
def test_without_torch_the_command_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["hwmodel", "calibrate", "--out", str(tmp_path / "mine")])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err.strip()
    assert stopped.value.code == 2
    assert said.startswith("error: calibrate: needs torch, which is not installed; pip install")
    assert "\n" not in said
    assert not (tmp_path / "mine").exists()


@without_torch
def test_a_stage_that_fails_tells_its_last_words_and_the_log(tmp_path: Path) -> None:
    heard: list[int] = []
    with pytest.raises(HwmodelError, match=r"stage first failed: .*torch.*; the whole log is"):
        measure_stages(["rows"], 1.0, 1, "first", tmp_path / "aside", heard.append)
    assert heard[-1] == 0
    assert "torch" in (tmp_path / "aside" / "log.txt").read_text()


def test_rows_are_counted_while_they_are_written(tmp_path: Path) -> None:
    assert rows_in(tmp_path) == 0
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert rows_in(tmp_path) == 2
