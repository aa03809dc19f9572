"""What README shows, runs."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.quantity.errors import HwmodelError
from hwmodel.verbs.cases import predict_lines

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CASE = '{"workload": "gemm", "M": 4096, "N": 4096, "K": 4096, "dtype": "bf16", "on": "h200"}'


def blocks(language: str) -> list[str]:
    """Fenced blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line[:8] == "hwmodel "]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


MARKED = dict(re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", README))
"""Commands of one line that a fresh checkout is tried with."""


@pytest.mark.parametrize("line", COMMANDS)
def test_command_runs_as_written(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    words = shlex.split(line.split("#")[0])[1:]
    result = CliRunner().invoke(app, words)
    if words[0] == "calibrate":  # here without a GPU, or without torch
        assert isinstance(result.exception, HwmodelError)
        assert "torch" in str(result.exception) or "GPU" in str(result.exception)
        return
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.output or (tmp_path / "estimates.jsonl").read_text(encoding="utf-8")


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


def test_every_case_of_the_examples_is_answered() -> None:
    lines = (ROOT / "examples" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    answers = predict_lines(lines)
    assert len(answers) >= 5
    assert not [answer for answer in answers if "error" in answer]


def test_the_study_that_is_shown_is_that_of_the_examples() -> None:
    assert blocks("yaml") == [(ROOT / "examples" / "study.yaml").read_text(encoding="utf-8")]


def test_the_first_block_keeps_to_one_kernel() -> None:
    calls = re.findall(r"hw\.(?:predict|bound|compare)\(attention.*", blocks("python")[0])
    assert len(calls) == 3
    assert all('kernel="cudnn")' in call for call in calls)


def test_the_case_that_is_shown_is_a_case() -> None:
    assert f"`{CASE}`" in README
