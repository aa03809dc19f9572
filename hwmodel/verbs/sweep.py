"""`sweep`: a study evaluated, on this machine's processors or a Dask cluster."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.verbs.ask import Question, Word

if TYPE_CHECKING:
    from hwmodel.sweeps.chunks import Executor
    from hwmodel.sweeps.table import Sweep

MANY_POINTS = 500_000
"""From this many points on, starting worker processes (a second) pays."""


@dataclass(frozen=True, eq=False)
class SweepAnswer:
    """What the command says: the rows (or the front asked for), and what they took."""

    sweep: "Sweep"
    front: "Sweep | None"
    points: int
    held: int
    """Points that the folder had already."""
    seconds: float
    out: str | None

    @property
    def shown(self) -> "Sweep":
        """The rows that are printed."""
        return self.sweep if self.front is None else self.front

    def refusals(self) -> tuple[int, str | None]:
        """How many rows the model refused, and why the first one."""
        import polars

        from hwmodel.show.columns import REFUSED

        refused = self.sweep.lazy.filter(polars.col(REFUSED).is_not_null())
        count = int(refused.select(polars.len()).collect().item())
        return count, refused.select(REFUSED).head(1).collect().item() if count else None

    def record(self) -> dict[str, Any]:
        """Every field; rows where they are not in files, or where a front was asked for."""
        count, why = self.refusals()
        return {
            "out": self.out,
            "points": self.points,
            "points_held": self.held,
            "rows": len(self.sweep),
            "seconds": self.seconds,
            "refused": count,
            "first_refusal": why,
            "columns": self.sweep.units,
            "assumptions": list(self.sweep.assumptions),
            "warnings": list(self.sweep.warnings),
            "shown": self.shown.record() if self.front is not None or self.out is None else None,
        }

    def __str__(self) -> str:
        """The rows, then what was done."""
        count, why = self.refusals()
        made = self.points - self.held
        rate = made / max(self.seconds, 1e-9)
        lines = [f"{made:,} points in {self.seconds:.1f} s ({rate:,.0f} a second)"]
        lines += [f"{self.held:,} points more were there"] if self.held else []
        lines += [f"{count:,} rows refused, the first: {why}"] if count else []
        lines += [f"! {warning}" for warning in self.sweep.warnings]
        lines += [f"written to {self.out}"] if self.out else []
        return f"{self.shown}\n\n" + "\n".join(lines)


class SweepOf(Question):
    """A study's points, evaluated: a table, or files that a second run goes on with."""

    verb: ClassVar[str] = "sweep"
    writes: ClassVar[bool] = True
    example: ClassVar[str] = "sweep study.yaml --out rows/ --front time_s,energy_j"

    study: Annotated[str, Word("A study: a YAML file of a case and its axes.", place=True)]
    out: Annotated[str | None, Word("A folder for Parquet files.")] = None
    chunk: Annotated[int | None, Word("Rows of a file, about.")] = None
    workers: Annotated[int | None, Word("Processes (default: as it pays).")] = None
    dask: Annotated[str | None, Word("The address of a Dask scheduler.")] = None
    front: Annotated[str | None, Word("Print the front of these: time_s,energy_j.")] = None
    most: Annotated[list[str] | None, Word("Of a front: a column of which more is better.")] = None

    def answer(self) -> SweepAnswer:
        """The rows, or the front asked for, and what they took."""
        given = {name: getattr(self, name) for name in ("out", "chunk", "workers", "dask")}
        least = self.front.split(",") if self.front else ()
        return sweep_file(self.study, **given, front=least, most=self.most or ())


def sweep_file(
    path: str,
    *,
    out: str | None = None,
    chunk: int | None = None,
    workers: int | None = None,
    dask: str | None = None,
    front: Sequence[str] = (),
    most: Sequence[str] = (),
) -> SweepAnswer:
    """Evaluate a study; raises `InputError` for what is wrong with it, or with the folder.

    `front` and `most` are columns of which less and more is better, checked before the work.
    """
    from hwmodel.sweeps.files import Folder
    from hwmodel.sweeps.probe import probed
    from hwmodel.sweeps.run import run
    from hwmodel.sweeps.workers import cores
    from hwmodel.verbs.study import study

    plan = study(path, chunk=chunk)
    if front or most:
        known = probed(plan).table.columns
        for name in (*front, *most):
            if name not in known:
                raise UnknownNameError("column", name, known)
    points = plan.grid.blocks * plan.grid.rows
    if workers is None:
        workers = cores() if points >= MANY_POINTS else 1
    files = Folder(Path(out)) if out is not None else None
    there = files.there(hashed=False) if files is not None else {}
    held = sum(plan.points(number) for number in there if number < plan.chunks)
    begin = time.perf_counter()
    with executor_of(workers, dask) as executor:
        found = run(plan, executor=executor, out=out)
    seconds = time.perf_counter() - begin
    best = found.pareto(*front, most=most) if front or most else None
    return SweepAnswer(found, best, points, held, seconds, out)


@contextmanager
def executor_of(workers: int, dask: str | None) -> "Generator[Executor | None, None, None]":
    """Processes of this machine, or a Dask cluster; None: this process."""
    from hwmodel.sweeps.workers import keep_freed_memory, processes

    if dask is not None:
        try:
            import distributed
        except ModuleNotFoundError:
            raise InputError(
                "--dask: expected dask[distributed], found none: pip install 'hwmodel[cluster]'"
            ) from None
        try:
            client = distributed.Client(dask, timeout=10)
        except (OSError, ValueError) as error:
            raise InputError(
                f"--dask: expected the address of a scheduler, such as tcp://host:8786, found"
                f" {dask!r}: {error}"
            ) from None
        with client:
            yield client
        return
    if workers < 1:
        raise InputError(f"--workers: expected 1 or more, found {workers}")
    if workers == 1:
        keep_freed_memory()
        yield None
        return
    with processes(workers) as executor:
        yield executor
