"""What shells complete: verbs, options, names and fields, in each shell's way, at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwmodel import completion
from hwmodel.completion import completed
from tests import completions

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_are_those_of_the_records() -> None:
    assert completions.FILE.read_text(encoding="utf-8") == completions.text(), (
        "python -m tests.face_stub"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pre", ["predict"]),
        ("predict --kern", ["--kernel"]),
        ("predict llama-3.1-8b --on h2", ["h20", "h200"]),
        ("predict llama-3.1-7", ["llama-3.1-70b"]),
        ("predict gemm M=64 --on h200 acc", []),
        ("predict gemm M=64 --on h200 wei", ["weight_dtype="]),
        (
            "predict gemm --kernel attention=cudn",
            ["attention=cudnn:tensor-memory", "attention=cudnn"],
        ),
        ("deploy llama-3.1-8b --on h100,l40s", ["h100,l40s"]),
        ("predict llama-3.1-8b --engine v", ["vllm"]),
        ("compare llama-3.1-8b --on a100 --on gh", ["gh200"]),
        ("papers fusem", ["fusemax"]),
        ("nothing --o", []),
    ],
)
def test_what_a_line_may_go_on_with(line: str, expected: list[str]) -> None:
    *before, begun = line.split()
    assert [*completed(before, begun)] == expected


def test_a_flag_takes_no_word_and_an_option_of_files_leaves_them_to_the_shell() -> None:
    assert "llama-3.1-8b" in completed(["predict", "--json"], "llama")
    assert completed(["predict", "gemm", "--picture"], "") == {}


def test_devices_of_ones_own_are_completed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "hwmodel" / "devices"
    folder.mkdir(parents=True)
    (folder / "my-card.yaml").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert [*completed(["devices"], "my")] == ["my-card"]


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("zsh", """_arguments '*: :(("devices":"The devices that are known"""),
        ("fish", "devices\tThe devices that are known"),
        ("powershell", "devices:::The devices that are known"),
    ],
)
def test_each_shell_is_answered_in_its_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str, expected: str
) -> None:
    monkeypatch.setenv("_HWMODEL_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "hwmodel devi")
    monkeypatch.setenv("_TYPER_COMPLETE_WORD_TO_COMPLETE", "devi")
    assert completion.answer() == 0
    assert capsys.readouterr().out.startswith(expected)


def test_a_quotation_that_is_open_is_one_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_HWMODEL_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", 'hwmodel bound --einsum "Z[m] = A[m]" --on "h20')
    assert completion.answer() == 0
    assert capsys.readouterr().out.splitlines() == ["h20", "h200"]


def test_nothing_of_the_models_is_loaded_and_a_command_that_is_no_question_goes_on() -> None:
    code = (
        "import os, sys\nfrom hwmodel.completion import answer\nassert answer() is None\n"
        "os.environ.update(_HWMODEL_COMPLETE='complete_bash', COMP_CWORD='2',\n"
        "    COMP_WORDS='hwmodel devices h20')\n"
        "assert answer() == 0\n"
        "print(*{'numpy', 'pydantic', 'typer', 'yaml', 'lark'} & {*sys.modules})\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.split() == ["h20", "h200"], run.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_by_the_script_that_is_installed(tmp_path: Path) -> None:
    command = tmp_path / "hwmodel"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hwmodel "$@"\n')
    command.chmod(0o755)
    line = (
        'eval "$(_HWMODEL_COMPLETE=source_bash hwmodel)"\n'
        "COMP_WORDS=(hwmodel predict llama-3.1-8b --on h2) COMP_CWORD=4\n"
        '_hwmodel_completion hwmodel\necho "${COMPREPLY[@]}"\n'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": path, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        ["bash", "-c", line], env={**os.environ, **more}, capture_output=True, text=True
    )
    assert run.stdout.split() == ["h20", "h200"], run.stderr
