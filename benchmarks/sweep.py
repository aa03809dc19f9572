"""How many estimates a second a sweep makes, end to end into a table or files, and where time goes.

    python benchmarks/sweep.py [POINTS] [--files FOLDER --large POINTS]

Prints tables and asserts nothing. Estimates carry their 90 % intervals, energy, traffic and what
binds, every column of `hwmodel.show.fields.POINT`. Seconds are on the clock ("wall") and of the
processors ("cpu"): where other work shares the machine only the latter say how fast this is, and
"on 2 cores" is twice the points per processor second. Starting the workers, some two seconds, is
left out; with --files, 100 million points say, it is in. Targets on two cores: 1,000,000 kernel
estimates and 200,000 whole-model estimates a second, and 4 GiB for 100 million points.
"""

import argparse
import cProfile
import os
import pstats
import resource
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.sweeps.chunks import remote
from hwmodel.sweeps.plan import CHUNK, PIECE, Plan, planned
from hwmodel.sweeps.probe import probed
from hwmodel.sweeps.run import run
from hwmodel.sweeps.workers import cores, prepare, processes
from hwmodel.verbs.study import Case

POINTS = 2_000_000
MODELS = 100_000
LARGE = 100_000_000

SHAPE = '"batch": 1, "heads": 32, "kv_heads": 8, "head_dim": 128, "on": "h200"'
SIZES = {"M": np.arange(1.0, 16_385), "N": np.arange(64.0, 16_385), "K": np.arange(64.0, 16_385)}
EIGHTS = {name: np.arange(8.0, 16_385, 8) for name in "MNK"}
SWEEPS: dict[str, tuple[str, dict[str, Any], int]] = {
    "gemm, any sizes": ('{"workload": "gemm", "on": "h200"}', SIZES, 1),
    "gemm, multiples of 8": ('{"workload": "gemm", "on": "h200"}', EIGHTS, 1),
    "gemm, bandwidth and SMs": (
        '{"workload": "gemm", "on": "h200", "N": 4096}',
        {
            **{"M": np.arange(8.0, 4097, 8), "K": np.arange(8.0, 16_385, 8)},
            **{"bandwidth": np.linspace(2e12, 20e12, 1000), "sms": np.arange(60.0, 201, 2)},
        },
        1,
    ),
    "attention, prefill": (
        '{"workload": "attention", "causal": true, "queries": 2048, ' + SHAPE + "}",
        {"keys": np.arange(2048.0, 65_537), "batch_": np.arange(1.0, 65)},
        1,
    ),
    "attention, one query": (
        '{"workload": "attention", "queries": 1, ' + SHAPE + "}",
        {"keys": np.arange(64.0, 131_073), "batch_": np.arange(1.0, 65)},
        1,
    ),
    "llama-3.1-8b, decode": (
        '{"workload": "llm", "config": "llama-3.1-8b", "phase": "decode", "on": "h200"}',
        {"batch": np.arange(1.0, 257), "context": np.arange(16.0, 32_769)},
        20,
    ),
    "llama-3.1-8b, prefill": (
        '{"workload": "llm", "config": "llama-3.1-8b", "phase": "prefill", "on": "h200"}',
        {"batch": np.arange(1.0, 33), "prompt": np.arange(32.0, 8193)},
        20,
    ),
}
"""Name -> case, axes to draw from, and how many times fewer points than of a kernel."""

PATHS = (("bandwidth", "hbm.bandwidth_bytes_per_s"), ("sms", "sms.count"))
STAGES = {
    "rows of the axes": ("axes.py:points", "pieces.py:axes_table"),
    "workload": ("request.py:<lambda>",),
    "kernels and problems": ("lower.py:lower",),
    "tiles": ("choose.py:choose",),
    "counts": ("cublas.py:activity", "attention.py:activity", "activity.py:totals"),
    "time": ("activity.py:fold",),
    "power and energy": ("activity.py:sustained_s", "activity.py:energy_j"),
    "bounds": ("roofline.py:floor_of", "least.py:busy_s"),
    "columns": ("columns.py:columns",),
}
"""Stage -> the functions whose time it is; those of one line run one after the other."""


def plan_of(name: str, points: int) -> Plan:
    case, axes, fewer = SWEEPS[name]
    if "batch_" in axes:  # an axis of a field that the case fixes too
        case = case.replace('"batch": 1, ', "")
        axes = {("batch" if axis == "batch_" else axis): values for axis, values in axes.items()}
    samples = max(1, points // fewer)
    chunk = min(CHUNK, samples // 6)  # enough chunks that all workers have some
    return planned(Case(case, PATHS), axes, samples=samples, chunk=max(PIECE, chunk))


def cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def burnt_s(_: int) -> tuple[int, float]:
    """A worker's identity and the processor seconds that it has used."""
    time.sleep(0.05)  # so that every worker takes one of these calls
    return os.getpid(), time.process_time()


def all_burnt_s(executor: Executor | None) -> float:
    if executor is None:
        return time.process_time()
    return time.process_time() + sum(dict(executor.map(burnt_s, range(8))).values())


def line(name: str, plan: Plan, executor: Executor | None, workers: int) -> float:
    """One row of the table; estimates per processor second."""
    points = plan.grid.rows
    cpu, wall = all_burnt_s(executor), time.perf_counter()
    run(plan, executor=executor, progress=False)
    wall, cpu = time.perf_counter() - wall, all_burnt_s(executor) - cpu
    print(
        f"{name:<26}{workers:8}{points:12,}{wall:9.2f} s{cpu:9.2f} s{points / wall:13,.0f}/s"
        f"{2 * points / cpu:15,.0f}/s",
        flush=True,
    )
    return points / cpu


def breakdown(name: str, points: int) -> None:
    """Shares of one worker's time, from a profile of a chunk."""
    plan = plan_of(name, points)
    empty = probed(plan).table.clear()
    remote(plan, 0, empty, None)
    profile = cProfile.Profile()
    profile.runcall(remote, plan, 0, empty, None)
    table: Any = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = max(row[3] for row in table.values())
    shares: dict[str, float] = {}
    for stage, functions in STAGES.items():
        rows = ((f"{Path(key[0]).name}:{key[2]}", row[3]) for key, row in table.items())
        shares[stage] = sum(spent for called, spent in rows if called in functions) / whole
    told = ", ".join(f"{stage} {share:.0%}" for stage, share in shares.items() if share >= 0.01)
    print(f"{name:<26}{told}")


def large(folder: Path, points: int, measure: Callable[[], float]) -> None:
    """Many points to files by all processors: time, memory, size."""
    plan = plan_of("gemm, any sizes", points)
    shutil.rmtree(folder, ignore_errors=True)
    wall, cpu = time.perf_counter(), measure()
    with processes(cores()) as executor:
        run(plan, executor=executor, out=folder, progress=None)
    wall, cpu = time.perf_counter() - wall, measure() - cpu
    own, most = (
        resource.getrusage(kind).ru_maxrss * 1024  # kilobytes, on Linux
        for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"\n{points:,} gemms to {plan.chunks:,} files, {cores()} workers: {wall:,.0f} s"
        f" ({cpu:,.0f} s of the processors), {points / wall:,.0f} a second; {size / 1e9:.2f} GB of"
        f" Parquet; at most {own / 2**30:.2f} GiB here and {most / 2**30:.2f} GiB in each worker"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description="sweeps, end to end")
    asked.add_argument("points", nargs="?", type=int, default=POINTS)
    asked.add_argument("--files", type=Path, help="a folder for many points, deleted first")
    asked.add_argument("--large", type=int, default=LARGE, help="how many points go to files")
    given = asked.parse_args()
    if given.files is not None:
        return large(given.files, given.large, cpu_s)
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, {cores()} cores")
    head = ("workers", "points", "wall", "cpu", "on the clock", "on 2 cores")
    print("{:<26}{:>8}{:>12}{:>11}{:>11}{:>15}{:>17}".format("sweep into a table", *head))
    for workers in (1, 2):
        with processes(workers) as executor:
            list(executor.map(burnt_s, range(8)))
            for name in SWEEPS:
                plan = plan_of(name, given.points)
                run(plan_of(name, min(given.points, 20_000)), executor=executor, progress=False)
                line(name, plan, executor, workers)
    print("\nwhere a worker's time goes")
    prepare()
    for name in SWEEPS:
        breakdown(name, given.points)


if __name__ == "__main__":
    main()
