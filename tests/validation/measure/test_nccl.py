"""The collectives' measuring code, on two CPU processes that talk through gloo."""

# pyright: basic, reportMissingImports=false

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the measuring code needs torch")

from hwmodel.quantity.errors import InputError  # noqa: E402
from hwmodel.validation.measure import nccl  # noqa: E402
from hwmodel.validation.store import write_sitting  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


def test_two_processes_check_every_operation_and_write_rows_that_the_store_takes(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "hwmodel.validation.measure.nccl", "--backend", "gloo"]
    command += ["--sitting", "toy", "--most-rows", "8", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "8 rows" in done.stdout
    assert write_sitting(tmp_path / "run", "pair", data=tmp_path / "data") == {"collective": 8}
    stored = (tmp_path / "data" / "pair" / "toy" / "collective.csv").read_text().splitlines()
    assert stored[0].startswith("family,kernel,dtype,op,bytes,ranks,time_s")
    assert stored[1].startswith("collective,nccl,bf16,all_reduce,1024,2,")
    header = json.loads((tmp_path / "data" / "pair" / "toy" / "header.json").read_text())
    assert (header["sitting"], header["ranks"], header["rows"]) == ("toy", 2, 8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--ranks", "1"], "--ranks: expected 2 or more, found 1"),
        (["--seconds", "0"], "--seconds: expected a number above 0, found 0"),
        (["--ranks", "99"], "--ranks 99: expected as many GPUs, found"),
    ],
)
def test_a_bad_argument_is_named(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        nccl.arguments(["--sitting", "x", "--out", str(tmp_path), *given])


def test_a_missing_argument_ends_with_status_2(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        nccl.arguments(["--out", str(tmp_path)])
    assert stopped.value.code == 2
