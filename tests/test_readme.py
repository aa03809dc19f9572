"""What README shows, runs, and is true; and it is short."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.verbs.cases import predict_lines
from tests.snippets import ROOT, blocks, run

README = (ROOT / "README.md").read_text(encoding="utf-8")
ASKING = ROOT / "docs" / "asking.md"
CASE = '{"workload": "gemm", "M": 4096, "N": 4096, "K": 4096, "dtype": "bf16", "on": "h200"}'
MARKED = dict(re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", README))
"""Commands of one line that a fresh checkout is tried with."""


def test_what_is_shown_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(ROOT / "README.md", tmp_path)


def test_it_is_read_in_minutes() -> None:
    assert len(README.splitlines()) < 150


def test_the_first_command_predicts() -> None:
    setup, command = MARKED["predict"].split(" && .venv/bin/hwmodel ")
    assert setup == "python3 -m venv .venv && .venv/bin/pip install -q ."
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0
    assert "tokens/s" in result.output


def test_the_tests_run_on_all_cores() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert MARKED["test"].endswith(".venv/bin/python -m pytest -n auto")
    assert any(name.startswith("pytest-xdist") for name in extra["optional-dependencies"]["test"])


def test_the_table_of_errors_is_that_of_the_page_on_accuracy() -> None:
    """Whose own is held to what `hwmodel validate` prints."""
    page = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    lines = [line.split(" another board ") for line in page.splitlines()]
    printed: dict[str, list[str]] = {}
    for family, told in (line for line in lines if len(line) == 2):
        printed.setdefault(family.strip(), told.split())  # the first table, of rested boards
    row = r"^\| ([\w -]+?) \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| (\d+) % \|$"
    shown = re.findall(row, README, re.MULTILINE)
    assert len(shown) == 8
    for family, rows, mean, p90, inside in shown:
        told = printed[family]
        assert (told[0], told[1], told[3], told[6]) == (rows, f"{mean}%", f"{p90}%", f"{inside}%")


def test_every_case_of_the_examples_is_answered() -> None:
    lines = (ROOT / "examples" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    answers = predict_lines(lines)
    assert len(answers) >= 5
    assert not [answer for answer in answers if "error" in answer]


def test_the_study_that_is_shown_is_that_of_the_examples() -> None:
    shown = [block.body for block in blocks(ASKING) if block.language == "yaml"]
    study = (ROOT / "examples" / "study.yaml").read_text(encoding="utf-8")
    assert [text.split("\n", 1)[1] for text in shown] == [study]


def test_the_case_that_is_shown_is_a_case() -> None:
    assert f"`{CASE}`" in ASKING.read_text(encoding="utf-8")
