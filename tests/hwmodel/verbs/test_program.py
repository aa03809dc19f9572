"""`hwmodel program`: its text, its JSON, its exit status, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hwmodel as hw
from hwmodel.cli import app
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.program import ProgramOf

FILE = "examples/best_of_n.yaml"


def test_the_answer_opens_with_its_latency_and_has_a_row_for_each_step() -> None:
    found = CliRunner().invoke(app, ProgramOf.example.split())
    assert found.exit_code == 0
    assert found.output.startswith("best of 16: ")
    assert "33,024 read, 15,360 reused" in found.output
    assert max(map(len, found.output.splitlines())) <= 100


def test_json_and_python_say_the_same() -> None:
    found = CliRunner().invoke(app, ["program", FILE, "--on", "h200", "--batch", "2", "--json"])
    told, answer = json.loads(found.output), hw.program(FILE, on="h200", batch=2)
    assert told["latency_s"] == answer.latency_s
    assert told["latency_s"] == pytest.approx(sum(each["on_path_s"] for each in told["steps"]))
    assert told["tokens_made"] == sum(each["tokens_made"] for each in told["steps"])


def test_what_does_not_fit_has_its_status(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    file.write_text("steps: {ask: {model: llama-3.1-405b, input: 8}}")
    assert CliRunner().invoke(app, ["program", str(file), "--on", "l4"]).exit_code == 3


def test_a_batch_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="program: batch"):
        hw.program(FILE, on="h200", batch=0)
