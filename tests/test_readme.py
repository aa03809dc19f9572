"""What README shows, runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.errors import HwmodelError
from hwmodel.registry import CATALOGUE

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIG = ROOT / "einsum" / "workloads" / "configs" / "llama-3.1-8b.json"
CASE = '{"workload": "gemm", "M": 4096, "N": 4096, "K": 4096, "dtype": "bf16", "on": "h200"}'
COUNTS = "layer_from,layer_to,expert_from,expert_to,count,kind\n" + "".join(
    f"0,1,{a},{b},{90 if a == (b + 3) % 16 else 1},top1\n" for a in range(16) for b in range(16)
)
"""Routing counts of two layers, each expert of the first with one favourite in the second."""


def blocks(language: str) -> list[str]:
    """Fenced blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line[:8] == "hwmodel "]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", COMMANDS)
def test_command_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.jsonl").write_text(CASE + "\n", encoding="utf-8")
    (tmp_path / "study.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    (tmp_path / "counts.csv").write_text(COUNTS, encoding="utf-8")
    words = shlex.split(line.split("#")[0])[1:]
    given = {"path/to/config.json": str(CONFIG), "my.yaml": str(CATALOGUE / "a100.yaml")}
    result = CliRunner().invoke(app, [given.get(word, word) for word in words])
    if words[0] == "calibrate":  # here without a GPU, or without torch
        assert isinstance(result.exception, HwmodelError)
        assert "torch" in str(result.exception) or "GPU" in str(result.exception)
        return
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.output or (tmp_path / "estimates.jsonl").read_text(encoding="utf-8")


def test_the_case_that_is_shown_is_a_case() -> None:
    assert f"`{CASE}`" in README
