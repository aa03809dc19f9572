"""Tests run in a copy of the checkout, by a worker that forks for each run."""

import hashlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.mutation.changes import Change
from benchmarks.mutation.checkout import FOLDERS

LIBRARIES = ("numpy", "scipy.optimize", "polars", "pydantic", "matplotlib.pyplot", "networkx")
LIBRARIES += ("rich.table", "typer", "lark", "yaml", "pulp", "highspy", "_pytest.main")
"""What most runs load, once a worker."""

TREE = Path()
"""A worker's copy of the checkout."""

KEPT = Path(tempfile.gettempdir()) / "hwmodel-mutate"


def prepare(trees: Any) -> None:
    """A worker with a copy of its own and the libraries loaded, that forks for each run."""
    global TREE
    TREE = trees.get()
    for name in LIBRARIES:
        importlib.import_module(name)


def forked(words: Sequence[str], limit_s: float, settings: str | None = None) -> tuple[int, str]:
    """Exit status and output of pytest in the copy; -1 where it did not end in time."""
    out = TREE.parent / "out.txt"
    child = os.fork()
    if child == 0:
        try:
            status = _tested(words, out, settings)
        except BaseException:
            status = 3
        os._exit(status)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), out.read_text(errors="replace")
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1, ""


def _tested(words: Sequence[str], out: Path, settings: str | None) -> int:
    """Run pytest in this process, with the lines it executes noted where settings say where."""
    os.setsid()
    with out.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(TREE)
    sys.path[0] = str(TREE)
    os.environ["PYTHONPATH"] = str(TREE)
    traced: Any = None
    if settings:
        traced = importlib.import_module("coverage").Coverage(config_file=settings)
        traced.start()
    status = int(importlib.import_module("pytest").main(["-q", "-p", "no:cacheprovider", *words]))
    if traced:
        traced.stop()
        traced.save()
    sys.stdout.flush()
    return status


def digest(path: Path) -> str:
    """What a file holds, in short."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


@dataclass(frozen=True)
class Executed:
    """What one test file executes: lines by file; its seconds; whether it passes."""

    test: str
    lines: dict[str, list[int]]
    seconds: float
    passed: bool


def executed(test: str) -> Executed:
    """Lines that a test file executes, run alone, or as kept from a run of the same sources."""
    kept = KEPT / (test.replace("/", "+") + ".json")
    if kept.is_file():
        old = json.loads(kept.read_text())
        if all(digest(TREE / name) == value for name, value in old["sources"].items()):
            return Executed(test, old["lines"], old["seconds"], old["passed"])
    found = _traced(test)
    sources = {name: digest(TREE / name) for name in (test, *found.lines)}
    held = {"sources": sources, "lines": found.lines, "seconds": found.seconds}
    kept.write_text(json.dumps(held | {"passed": found.passed}))
    return found


def _traced(test: str) -> Executed:
    data, settings = TREE.parent / "coverage", TREE.parent / "coveragerc"
    include = ",".join(f"{TREE}/{folder}/*" for folder in FOLDERS)
    settings.write_text(f"[run]\ndata_file={data}\ninclude={include}\n")
    data.unlink(missing_ok=True)
    start = time.monotonic()
    status, _ = forked([test], 1200, str(settings))
    read = importlib.import_module("coverage").CoverageData(str(data))
    if data.is_file():
        read.read()
    lines = {
        Path(name).resolve().relative_to(TREE.resolve()).as_posix(): sorted(read.lines(name) or ())
        for name in read.measured_files()
    }
    return Executed(test, lines, time.monotonic() - start, status in (0, 5))


def noticed(change: Change, source: bytes, tests: Sequence[str], limit_s: float) -> str:
    """The first test that fails, "time" where none ends, else an empty word."""
    if not tests:
        return ""
    path = TREE / change.file
    before = path.read_bytes()
    try:
        path.write_bytes(source)
        _forget(path)
        status, text = forked(["-x", "--tb=no", *tests], limit_s)
    finally:
        path.write_bytes(before)
        _forget(path)
    if status in (0, 5):
        return ""
    failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else "time" if status == -1 else f"status {status}"


def _forget(path: Path) -> None:
    """A changed file of the same size and second would be taken from its compiled form."""
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()
