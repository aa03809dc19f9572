"""The GPU of this machine: what its driver says, and a plan's stages measured by a child process.

Needs torch with CUDA and NVML, which are loaded on first use, so that their absence is one line.
"""

# pyright: basic, reportMissingImports=false

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hwmodel.quantity.errors import HwmodelError, InputError

LEAST_CAPABILITY = (8, 0)
POLL_S = 0.5
STOP_S = 10.0
INSTALL = "pip install 'hwmodel[gpu]' on a machine with an NVIDIA GPU"


def find_gpu() -> dict[str, Any]:
    """Facts of the first CUDA device; raises `InputError` where there is none that can be used."""
    try:
        import torch
    except ImportError:
        raise InputError(f"calibrate: needs torch, which is not installed; {INSTALL}") from None
    if not torch.cuda.is_available() or torch.version.cuda is None:
        raise InputError(
            f"calibrate: expected an NVIDIA GPU, found none that torch sees; {INSTALL}"
        )
    try:
        import pynvml

        from hwmodel.validation.measure.board import describe, open_board
    except ImportError as error:
        raise InputError(f"calibrate: needs {error.name}; {INSTALL}") from None
    capability = torch.cuda.get_device_capability(0)
    if capability < LEAST_CAPABILITY:
        raise InputError(
            f"calibrate: {torch.cuda.get_device_name(0)} has compute capability"
            f" {capability[0]}.{capability[1]}; the plan measures bf16, which needs 8.0 or more"
        )
    board = open_board()
    width = pynvml.nvmlDeviceGetMemoryBusWidth(board.handle)
    return describe(board) | {"capability": capability, "memory_bus_bits": width}


def measure_stages(
    stages: Sequence[str],
    seconds: float,
    seed: int,
    name: str,
    folder: Path,
    advance: Callable[[int], None],
) -> None:
    """Runs stages of `measure.run` in a child process; `advance` hears the rows measured so far.

    Leaves header.json, rows.jsonl and log.txt in `folder`. Raises `HwmodelError` with the last line
    of the log where the child fails; an interrupt ends the child first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    command = [sys.executable, "-m", "hwmodel.validation.measure.run", "--sitting", name]
    command += ["--stages", ",".join(stages), "--seconds", str(seconds), "--seed", str(seed)]
    with log.open("w") as written:
        child = subprocess.Popen(
            [*command, "--out", str(folder)], stdout=written, stderr=written, env=_environment()
        )
        try:
            while child.poll() is None:
                advance(rows_in(folder))
                time.sleep(POLL_S)
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    child.kill()
    advance(rows_in(folder))
    if child.returncode != 0:
        lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
        raise HwmodelError(f"calibrate: stage {name} failed: {lines[-1]}; the whole log is {log}")


def rows_in(folder: Path) -> int:
    """Lines of the rows written so far."""
    path = folder / "rows.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _environment() -> dict[str, str]:
    """The child's environment, in which this very package is found first."""
    root = str(Path(__file__).absolute().parents[3])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}
