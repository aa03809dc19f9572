"""What a sweep of 10^9 points costs on a cluster: each step of it measured on this machine.

    python benchmarks/cluster.py FOLDER [POINTS]

Prints a table and asserts nothing. A GPU's design space (shapes of layers, tokens, DRAM bandwidth,
processors, L2), columns of `KEEP` alone, in parts of Parquet files. Measured are the processor
seconds of a point, from its axes to its file; those of a process before its first point; the bytes
of a point in files; the seconds that a sweep takes which finds all of its parts there; and what a
chunk costs by way of a Dask scheduler (two workers on this machine) beyond its own work. What 10^9
points take is worked out of these, on the clock of so many cores that nothing else uses.
"""

import argparse
import importlib
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.sweeps.plan import CHUNK, Plan, planned
from hwmodel.sweeps.run import run
from hwmodel.sweeps.workers import prepare
from hwmodel.verbs.study import Case

WHOLE = 10**9
CORES = (2, 64, 1024)
KEEP = ("time_s", "time_low_s", "time_high_s", "energy_j", "bottleneck")
CASE = '{"workload": "gemm", "on": "h200"}'
PATHS = (
    ("bandwidth", "hbm.bandwidth_bytes_per_s"),
    ("sms", "sms.count"),
    ("l2", "l2.capacity_bytes"),
)
AXES: dict[str, Any] = {
    **{"N": np.array([4096.0, 6144, 14336, 28672]), "K": np.array([4096.0, 14336])},
    **{"M": np.unique(np.round(np.logspace(0, 14, 125, base=2.0)))},
    **{"bandwidth": np.linspace(2e12, 20e12, 100), "sms": np.arange(60.0, 200, 2)},
    "l2": np.linspace(20e6, 200e6, 172),
}


def plan_of(points: int) -> Plan:
    """So many points, drawn from the axes."""
    return planned(Case(CASE, PATHS), AXES, samples=points, keep=list(KEEP), chunk=CHUNK)


def cpu_s() -> float:
    """Processor seconds of this process, and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def begun_s() -> float:
    """Processor seconds of a process before its first point."""
    before = cpu_s()
    code = "from benchmarks.cluster import plan_of; from hwmodel.sweeps.probe import probed"
    subprocess.run([sys.executable, "-c", f"{code}; probed(plan_of(100_000))"], check=True)
    return cpu_s() - before


def by_dask(points: int, folder: Path) -> float | None:
    """Processor seconds of a sweep by two workers of Dask, all of their processes; None without."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ModuleNotFoundError:
        return None
    before = cpu_s()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as at:
        with distributed.Client(at) as client:
            run(plan_of(points), executor=client, out=folder, progress=False)
    return cpu_s() - before


def main() -> None:
    asked = argparse.ArgumentParser(description="sweeps on clusters, sized")
    asked.add_argument("folder", type=Path, help="where parts go; deleted first")
    asked.add_argument("points", nargs="?", type=int, default=4_000_000)
    given = asked.parse_args()
    prepare()
    plan = plan_of(given.points)
    shutil.rmtree(given.folder, ignore_errors=True)
    run(plan_of(100_000), progress=False)
    before = cpu_s()
    run(plan, out=given.folder / "alone", progress=False)
    each_s = (cpu_s() - before) / given.points
    size = sum(path.stat().st_size for path in (given.folder / "alone").iterdir()) / given.points
    before = cpu_s()
    run(plan, out=given.folder / "alone", progress=False)
    again_s = cpu_s() - before
    start_s, dask_s = begun_s(), by_dask(given.points, given.folder / "dask")
    parts = -(-WHOLE // CHUNK)
    print(f"design space {np.prod([len(v) for v in AXES.values()]):,} points, {len(KEEP)} columns")
    print(f"{given.points:,} points in {plan.chunks} parts")
    print(
        f"a point                {each_s * 1e6:8.2f} us of a processor, {size:.1f} bytes in files"
    )
    print(f"a process, to begin    {start_s:8.2f} s of a processor")
    print(f"to find all there      {again_s:8.2f} s of a processor")
    if dask_s is not None:
        more = dask_s - each_s * given.points
        print(f"by Dask                {more:8.2f} s more, workers and scheduler started anew")
    print(f"\n{WHOLE:,} points: {parts:,} parts, {WHOLE * size / 1e9:.0f} GB")
    for cores in CORES:
        print(f"  {cores:5} cores {(WHOLE * each_s / cores + start_s) / 60:8.1f} min")


if __name__ == "__main__":
    main()
