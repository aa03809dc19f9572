"""Worker processes for sweeps on this machine, one thread each.

    with processes(2) as executor:
        sweep(function, axes, executor=executor)

`function` must be importable by its name, since workers are fresh interpreters.
"""

import ctypes
import multiprocessing
import os
import sys
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""

KEPT_BYTES = 1 << 28
"""Freed memory that a worker keeps for its next arrays: to ask the system for it anew, page by
page, takes as long as the sweep itself (measured)."""


@contextmanager
def processes(workers: int) -> Generator[ProcessPoolExecutor, None, None]:
    """An executor of that many processes; what has not begun is dropped on the way out."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=prepare)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def prepare() -> None:
    """Make this process a worker: one thread, and an allocator that keeps what it has freed."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is first imported
    keep_freed_memory()


@cache
def keep_freed_memory() -> None:
    """Tell the allocator of this process to keep `KEPT_BYTES` of what is freed."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # glibc; musl has none
            mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
            mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
