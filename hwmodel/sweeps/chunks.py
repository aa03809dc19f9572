"""Chunks of a sweep: evaluated here, or by an executor in other processes, in any order."""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from io import BytesIO
from itertools import islice
from typing import Any, Protocol

import polars

from hwmodel.machines.gpu.chunks import THREADS
from hwmodel.quantity.errors import HwmodelError
from hwmodel.sweeps.files import Folder
from hwmodel.sweeps.pieces import piece
from hwmodel.sweeps.plan import Plan
from hwmodel.sweeps.workers import keep_freed_memory

AHEAD = 256
"""Chunks that an executor is given before any has come back."""


class Executor(Protocol):
    """What runs chunks elsewhere: an executor of `concurrent.futures`, a Dask `Client`, ..."""

    def submit(self, fn: Any, /, *args: Any) -> Any:
        """Start a call and return its future, with `result`, `cancel` and `add_done_callback`."""
        ...


def evaluated(
    plan: Plan,
    pending: Sequence[int],
    empty: polars.DataFrame,
    folder: Folder | None,
    executor: Executor | None,
) -> Iterator[tuple[int, polars.DataFrame | None]]:
    """Each chunk as it is done, with its table where it was not written."""
    if executor is None:
        for number in pending:
            yield number, work(plan, number, empty, folder)
        return
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures: dict[int, Any] = {}
    waiting = iter(pending)

    def start(number: int) -> None:
        future = executor.submit(remote, plan, number, empty, folder)
        futures[number] = future

        def told(_: Any) -> None:
            done.put(number)

        future.add_done_callback(told)

    try:
        for number in islice(waiting, AHEAD):
            start(number)
        while futures:
            number = done.get()
            try:
                yield number, _unpacked(futures.pop(number).result(), empty)
            except BrokenExecutor as error:
                kept = "; run it again, and it goes on where it was" if folder else ""
                raise HwmodelError(
                    f"sweep: a worker process died, out of memory perhaps: {error}{kept}"
                ) from None
            for following in islice(waiting, 1):
                start(following)
    finally:
        for future in futures.values():
            future.cancel()


def remote(plan: Plan, number: int, empty: polars.DataFrame, folder: Folder | None) -> bytes | None:
    """`work` in a process beside others: on one thread, with an allocator that suits it.

    The table comes as the bytes of an Arrow file, without columns that say nothing: to pickle a
    table takes several times as long, column by column.
    """
    keep_freed_memory()
    token = THREADS.set(1)
    try:
        table = work(plan, number, empty, folder)
    finally:
        THREADS.reset(token)
    if table is None:
        return None
    packed = BytesIO()
    said = [column for column in table if column.null_count() < len(column)]
    table.select(said).write_ipc(packed, compression="uncompressed")
    return packed.getvalue()


def _unpacked(packed: bytes | None, empty: polars.DataFrame) -> polars.DataFrame | None:
    """The table of a chunk, with all columns of `empty`."""
    if packed is None:
        return None
    return polars.concat([empty, polars.read_ipc(BytesIO(packed))], how="diagonal")


def work(
    plan: Plan, number: int, empty: polars.DataFrame, folder: Folder | None
) -> polars.DataFrame | None:
    """Evaluate a chunk; its table, or None where the folder has it now."""
    parts = [piece(plan, *place, empty) for place in plan.pieces(number)]
    table = polars.concat([empty, *parts], rechunk=True)
    if folder is None:
        return table
    folder.write(number, table)
    return None
