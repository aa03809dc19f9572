"""How long predictions take: cold, warm, and in sweeps of a million points.

    python benchmarks/speed.py [POINTS]

Prints a table and asserts nothing. Times are the best of a few repetitions, since other work on the
machine only ever adds to them; `peak` is the memory of the whole process so far. Warm calls are of
processor time, from a workload's arguments to its time, each with sizes that no call before had.
Targets: 0.3 ms for a warm kernel and 3 ms for a warm step of a model; on two cores 1,000,000 kernel
estimates and 200,000 whole-model estimates a second; and 1 s for a cold prediction.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import hwmodel
from hwmodel.hardware.catalogue import device
from hwmodel.verbs.cases import predict_lines

POINTS = 1_000_000
MODEL_POINTS = 20_000
CASES = 100_000
COMMAND = ("predict", "llama-3.1-8b", "--on", "h200", "--batch", "32", "--context", "2048")


def best_s(action: Callable[[], Any], repetitions: int) -> float:
    """The shortest time that an action took."""
    times: list[float] = []
    for _ in range(repetitions):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def warm_s(build: Callable[[int], Any], on: Any, calls: int = 200) -> float:
    """The least processor time of one prediction among many, of sizes that change each time."""
    times: list[float] = []
    for call in range(1, calls + 1):
        start = time.process_time()
        assert hwmodel.predict(build(call), on=on).time_s > 0
        times.append(time.process_time() - start)
    return min(times)


def cold_s(*words: str) -> float:
    """A fresh interpreter, to its last line of output."""
    command = [sys.executable, *words]
    return best_s(lambda: subprocess.run(command, check=True, capture_output=True), 5)


def line(name: str, seconds: float, estimates: int = 1) -> None:
    """One row: time in all, time an estimate, estimates a second, peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes, on Linux
    each = f"{seconds / estimates * 1e6:12,.2f} us"
    print(f"{name:<40}{seconds:9.3f} s{each}{estimates / seconds:14,.0f}/s{peak / 1e9:8.2f} GB")


def sizes(points: int) -> Callable[[int, int], np.ndarray[Any, np.dtype[np.float64]]]:
    """Whole numbers, log-uniform between two ends."""
    random = np.random.default_rng(0)
    return lambda low, high: np.floor(np.exp(random.uniform(np.log(low), np.log(high), points)))


def main() -> None:
    """Print the table."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else POINTS
    h200, work = device("h200"), hwmodel.workloads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, {cores} cores")
    print(f"{'':<40}{'time':>11}{'each':>15}{'estimates':>16}{'peak':>11}")

    line("cold: import hwmodel", cold_s("-c", "import hwmodel"))
    line("cold: hwmodel predict, to its table", cold_s("-m", "hwmodel", *COMMAND))

    shape = {"batch": 1, "heads": 32, "kv_heads": 8, "head_dim": 128}
    llm, mixture = hwmodel.model("llama-3.1-8b"), hwmodel.model("qwen3-30b-a3b")
    expert = {"hidden": 2048, "intermediate": 768, "experts": 128, "top_k": 8}
    one: dict[str, Callable[[int], Any]] = {
        "gemm": lambda i: work.gemm(M=4096 + 8 * i, N=4096, K=4096),
        "rmsnorm": lambda i: work.rmsnorm(4096 + i, 4096),
        "attention": lambda i: work.attention(
            queries=4096 + i, keys=4096 + i, causal=True, **shape
        ),
        "attention of one query": lambda i: work.attention(
            queries=1, keys=4096 + i, causal=True, **shape
        ),
        "experts": lambda i: work.moe(tokens=64 + i, **expert),
        "llama-3.1-8b, decode, one batch": lambda i: llm.decode(32, 2048 + i),
        "llama-3.1-8b, decode": lambda i: llm.decode(32 + i, 2048 + i),
        "llama-3.1-8b, prefill": lambda i: llm.prefill(1 + i % 7, 2048 + i),
        "qwen3-30b-a3b, decode, one batch": lambda i: mixture.decode(32, 2048 + i),
        "qwen3-30b-a3b, decode": lambda i: mixture.decode(32 + i, 2048 + i),
    }
    for name, build in one.items():
        line(f"warm: {name}", warm_s(build, h200))

    size = sizes(points)
    queries, several = size(64, 16384), {**shape, "batch": size(1, 64)}
    kernels = {
        "gemm": work.gemm(M=size(1, 16384), N=size(64, 16384), K=size(64, 16384)),
        "attention": work.attention(queries=queries, keys=queries, causal=True, **several),
        "attention of one query": work.attention(queries=1, keys=size(64, 131072), **several),
    }
    for name, kernel in kernels.items():
        line(
            f"sweep: {name}", best_s(lambda k=kernel: hwmodel.predict(k, on=h200).time_s, 3), points
        )

    shapes = zip(*(size(1, 16384)[:CASES].tolist() for _ in "MNK"), strict=True)
    cases = [
        json.dumps({"workload": "gemm", "M": M, "N": N, "K": K, "on": "h200"}) for M, N, K in shapes
    ]
    line("cases: a file of gemms", best_s(lambda: predict_lines(cases), 1), len(cases))

    count = max(1, min(points, MODEL_POINTS))
    size = sizes(count)
    batch, context, prompt = size(1, 256), size(16, 32768), size(32, 8192)
    phases = {"decode steps": llm.decode(batch, context), "prefills": llm.prefill(batch, prompt)}
    for name, stack in phases.items():
        seconds = best_s(lambda s=stack: hwmodel.predict(s, on=h200).time_s, 3)
        line(f"sweep: {name} of llama-3.1-8b", seconds, count)


if __name__ == "__main__":
    main()
