"""Hardware traffic counters of library kernels and of our own, read by Nsight Compute (`ncu`).

Method. A child process runs, for each case, a warming pass and then a range of calls that cycle
over input sets larger than the L2 and that together write at least four L2 capacities where the
outputs are large enough; `ncu --replay-mode app-range` runs the child once for each group of
counters, so that kernels follow each other undisturbed, and reports sums over the range, which are
divided by the calls. A single launch would under-report writes, since they stay dirty in the L2.
Clocks and caches are left alone (`--clock-control none --cache-control none`). Units: bytes for the
DRAM, L2 and L1 counters; instructions for the pipes; seconds for the time.
"""

# pyright: basic, reportMissingImports=false

import argparse
import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch

from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.measure.arena import Arena, Carver
from hwmodel.validation.measure.board import L2_BYTES
from hwmodel.validation.measure.cases import build_of
from hwmodel.validation.measure.shapes import Case, work

COUNTERS = {
    "dram_bytes_read": "dram__bytes_read.sum",
    "dram_bytes_written": "dram__bytes_write.sum",
    "l2_bytes": "lts__t_bytes.sum",
    "l1_bytes": "l1tex__t_bytes.sum",
    "tensor_instructions": "sm__inst_executed_pipe_tensor.sum",
    "exp_instructions": "sm__inst_executed_pipe_xu.sum",
    "range_time_s": "gpu__time_duration.sum",
}
MODES = ("app-range", "range")
SCALE = {
    "byte": 1.0, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9, "Tbyte": 1e12, "inst": 1.0, "": 1.0,
    "ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3,
    "s": 1.0, "second": 1.0,
}  # fmt: skip
MOST_CALLS = 256
LEAST_BYTES, MOST_BYTES, MOST_FLOP = 4e6, 1.5e9, 1.2e12


class CountersRefused(HwmodelError):
    """The profiler is absent, or the machine does not let it read the counters."""


def worth_counting(case: Case) -> bool:
    """Whether a case moves enough bytes to be seen, and few enough to be counted quickly."""
    flop, _, once = work(case)
    return LEAST_BYTES < once < MOST_BYTES and flop < MOST_FLOP and case.family != "copy"


def plan_calls(case: Case) -> tuple[int, int]:
    """(sets, calls) so that sets exceed the L2 and the calls write four L2 capacities."""
    _, input_bytes, once = work(case)
    written = max(once - input_bytes, 1.0) if case.family != "moe" else once / 20
    sets = max(3, math.ceil(5 * L2_BYTES / input_bytes))
    calls = min(max(sets, math.ceil(4 * L2_BYTES / written)), MOST_CALLS)
    sets = min(sets, calls)
    return sets, math.ceil(calls / sets) * sets


def run_ranges(path: Path) -> None:
    """What the profiled child does: one profiler range for each case of a JSON file."""
    cases = [Case(**item) for item in json.loads(path.read_text())]
    arena, runtime = Arena(), torch.cuda.cudart()
    for case in cases:
        count, calls = plan_calls(case)
        carver = Carver(arena)
        torch.manual_seed(0)
        build = build_of(case)
        sets = [build(carver) for _ in range(count)]
        outputs: deque[Any] = deque(maxlen=count)
        for index in range(calls):
            outputs.append(sets[index % count]())
        torch.cuda.synchronize()
        runtime.cudaProfilerStart()
        for index in range(calls):
            outputs.append(sets[index % count]())
        torch.cuda.synchronize()
        runtime.cudaProfilerStop()
        del sets, outputs


def command(mode: str, case_path: Path, log_path: Path) -> list[str]:
    """The profiler's command line."""
    return [
        "ncu", "--replay-mode", mode, "--clock-control", "none", "--cache-control", "none",
        "--metrics", ",".join(COUNTERS.values()), "--csv", "--page", "raw",
        "--print-units", "base", "--log-file", str(log_path),
        sys.executable, "-m", "hwmodel.validation.measure.counters", "--child", str(case_path),
    ]  # fmt: skip


def read_log(log_path: Path) -> list[dict[str, float]]:
    """Counters of each range, in SI units, from the profiler's CSV."""
    lines = [line for line in log_path.read_text().splitlines() if line.startswith('"')]
    table = list(csv.reader(lines))
    if not table:
        return []
    header, units = table[0], table[1]
    rows: list[dict[str, float]] = []
    for line in table[2:]:
        row: dict[str, float] = {}
        for name, metric in COUNTERS.items():
            if metric in header:
                at = header.index(metric)
                cell = line[at].replace(",", "")
                if cell and cell[0].isdigit():
                    row[name] = float(cell) * SCALE[units[at]]
        rows.append(row)
    return rows


def count(cases: list[Case], folder: Path, *, timeout_s: float) -> list[dict[str, Any]]:
    """Counters of one call of each case; raises CountersRefused with the profiler's own words."""
    if shutil.which("ncu") is None:
        raise CountersRefused("ncu is not on the PATH; counters are skipped")
    until = time.monotonic() + timeout_s
    case_path = folder / "counter_cases.json"
    case_path.write_text(json.dumps([plain(case) for case in cases]))
    said = ""
    for mode in MODES:
        left_s = max(until - time.monotonic(), 1.0)
        log_path = folder / f"counters-{mode}.csv"
        outcome = run_within(command(mode, case_path, log_path), left_s)
        rows = read_log(log_path) if log_path.exists() else []
        if len(rows) == len(cases):
            return [divide(case, row, mode) for case, row in zip(cases, rows, strict=True)]
        said += f"{mode}: {len(rows)} ranges of {len(cases)}, {outcome}; "
    raise CountersRefused(f"ncu gave no counters; {said}")


def run_within(words: list[str], seconds: float) -> str:
    """How a command ended; one that takes longer is stopped with all that it started.

    What the profiler runs outlives it otherwise, with its memory on the GPU.
    """
    child = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return f"stopped after {seconds:.0f} s"
    return f"status {child.returncode}: {said.strip()[-300:]}"


def divide(case: Case, row: dict[str, float], mode: str) -> dict[str, Any]:
    """Counters of one call."""
    sets, calls = plan_calls(case)
    each = {name: value / calls for name, value in row.items()}
    return {**each, "calls": calls, "sets": sets, "mode": mode}


def plain(case: Case) -> dict[str, Any]:
    """A case as JSON."""
    return {**dataclasses.asdict(case), "shape": dict(case.shape)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", type=Path, required=True)
    run_ranges(parser.parse_args().child)
