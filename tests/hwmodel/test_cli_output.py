"""Where standard output cannot be written, one line says so, and the exit status is 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thorough import but_first

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "hwmodel", "devices", "h200")


def run(shell: str) -> tuple[int, str]:
    """Exit status and standard error of the command, its output directed by the shell."""
    command = f"{' '.join(COMMAND)} {shell}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=120
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    status, told = run("> /dev/full")
    assert status == 2
    assert told == ("error: standard output: cannot be written or read: No space left on device\n")


def test_a_closed_output_is_told() -> None:
    status, told = run(">&-")
    assert status == 2
    assert told == "error: standard output: expected an open one, found it closed\n"


def test_a_reader_that_has_enough_is_no_fault() -> None:
    status, told = run("| head -c 1 > /dev/null")
    assert (status, told) == (0, "")


def test_a_picture_for_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    picture = tmp_path / "absent" / "x.png"
    done = subprocess.run(
        [
            *COMMAND[:3],
            "predict",
            "gemm",
            "M=4",
            "N=4",
            "K=4",
            "--on",
            "h200",
            "--picture",
            str(picture),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {picture}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("where", but_first(1, ["> /dev/full 2>&1", "> /dev/full", "2> /dev/full"]))
def test_a_refusal_that_cannot_be_written_keeps_its_status(where: str) -> None:
    for form in ("", "--json"):
        status, told = run(f"nothing {form} {where}")
        assert status == 2, told
        assert "Traceback" not in told
