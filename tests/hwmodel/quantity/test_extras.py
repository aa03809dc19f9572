"""The core answers without the libraries of extras, and says which extra would bring one.

One process, in which none of them can be imported, answers for all.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hwmodel.quantity.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WITHOUT = """
import json, re, sys
for library in {libraries!r}:
    sys.modules[library] = None
from pathlib import Path
from typer.testing import CliRunner
import hwmodel as hw
from hwmodel import cli
from hwmodel.quantity.errors import MissingError
from hwmodel.verbs.cases import predict_lines

readme = Path("README.md").read_text(encoding="utf-8")
told = {{}}
exec(re.findall("```python\\n(.*?)```", readme, flags=re.DOTALL)[0], {{}})
lines = (
    "bound gemm M=64 N=64 K=64 --on h200",
    "map gemm M=64 N=64 K=64 dtype=int8 --on peer-a2",
    "compare llama-3.1-8b --context 2048 --on h200 --on b200",
    "devices h200",
    "models llama-3.1-8b",
    "predict cnn network=mcunet-vww1 --on stm32f746",
    "energy fusemax-2024",
)
for line in lines:
    told[line.split()[0]] = CliRunner().invoke(cli.app, line.split()).exit_code
product = hw.workloads.gemm(M=64, N=64, K=64)
estimate = hw.predict(product, on="h200")


def refused(ask):
    try:
        ask()
    except MissingError as error:
        return [error.name, str(error)]


told["sweep"] = refused(lambda: hw.sweep)
told["table"] = refused(lambda: estimate.table)
told["plot"] = refused(lambda: hw.plot.breakdown(estimate, "never.png"))
case = {{"workload": "collective", "op": "all_reduce", "bytes": 1 << 20, "ranks": 16, "on": "h100",
        "topology": "dgx-h100:nodes=2"}}
told["case"] = predict_lines([json.dumps(case)])[0]
told["place"] = hw.place([[1, 2, 3, 4], [4, 3, 2, 1]], devices=2).value
sys.argv = ["hwmodel", "sweep", "examples/study.yaml"]
try:
    cli.main()
except SystemExit as end:
    told["command"] = end.code
print("\\n" + json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    libraries = [library for each in EXTRAS.values() for library in each]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(libraries=libraries)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "pip install 'hwmodel[sweep]'" in run.stderr  # of the command, in one line
    assert "Traceback" not in run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "verb", ["bound", "map", "compare", "devices", "models", "predict", "energy"]
)
def test_the_core_answers(verb: str, told: dict[str, Any]) -> None:
    """The cells of README among them, without which the process would have failed."""
    assert told[verb] == 0


@pytest.mark.parametrize(
    ("asked", "library", "extra"),
    [
        ("sweep", "polars", "sweep"),
        ("table", "polars", "sweep"),
        ("plot", "matplotlib", "plot"),
    ],
)
def test_what_needs_an_extra_says_which(
    asked: str, library: str, extra: str, told: dict[str, Any]
) -> None:
    name, text = told[asked]
    assert name == library
    assert text == f"this needs {library}, which is not installed: pip install 'hwmodel[{extra}]'"


def test_a_command_says_so_as_other_refusals(told: dict[str, Any]) -> None:
    assert told["command"] == 2


def test_the_core_places_experts_and_answers_over_several_boxes(told: dict[str, Any]) -> None:
    assert told["place"] == 10  # each of two devices serves half of two times ten
    assert told["case"]["time_s"] > 0


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_of_the_package_brings_what_is_told(extra: str) -> None:
    listed = PROJECT["optional-dependencies"]
    assert sorted(name.split(">")[0] for name in listed[extra]) == sorted(EXTRAS[extra])
    assert extra in listed["notebook"][0]
    assert "notebook" in listed["test"][0]
