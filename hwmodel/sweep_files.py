"""A sweep on disk: a folder of Parquet files, one a chunk, and `sweep.json`, which describes it.

Every file is written under a temporary name and then renamed, so that a name that is there is whole
and a sweep that was killed goes on where it was. `sweep.json` holds the axes, the columns with
their units, and the answer of one point: a folder whose question or answer differs is not gone on
with. It holds no dates, so that a resumed sweep leaves the same bytes as an undisturbed one.
"""

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import numpy as np
import polars

from hwmodel import __version__
from hwmodel.answers import REFUSED
from hwmodel.axes import label, unit_of
from hwmodel.errors import InputError
from hwmodel.record import plain
from hwmodel.sweep_table import Sweep

if TYPE_CHECKING:
    from hwmodel.sweeps import Plan

MANIFEST = "sweep.json"
COMPRESSION = "lz4"
"""A tenth larger files than polars' default, in a third of the time (measured)."""

SHOWN = 8
"""Values of an axis that the manifest lists; of a longer one it has the ends and a digest."""


@dataclass(frozen=True)
class Folder:
    """Where a sweep is written."""

    path: Path

    def part(self, number: int) -> Path:
        """The file of a chunk."""
        return self.path / f"part-{number:06}.parquet"

    def open(self, plan: "Plan", probe: polars.DataFrame, notes: Mapping[str, Any]) -> None:
        """Make the folder, or check that it holds this very sweep; raises `InputError`."""
        told = described(plan, probe, notes)
        manifest = self.path / MANIFEST
        if manifest.is_file():
            held = _read(manifest)
            for name, value in told.items():
                if held.get(name) != value:
                    raise InputError(
                        f"{manifest}: {name}: holds another sweep: expected {_brief(value)}, found"
                        f" {_brief(held.get(name))}; give another folder, or delete this one"
                    )
            for left in self.path.glob(".*.tmp"):
                left.unlink(missing_ok=True)
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise InputError(
                    f"{self.path}: expected a new or empty folder, or one with {MANIFEST}, found"
                    " other files"
                )
            text = json.dumps(told, indent=1) + "\n"
            with self._replaced(manifest) as temporary:
                temporary.write_text(text, "utf-8")
        except OSError as error:
            raise InputError(f"{self.path}: expected a folder to write to: {error}") from None

    def write(self, number: int, table: polars.DataFrame) -> None:
        """Write a chunk, whole or not at all; raises `InputError`."""
        try:
            with self._replaced(self.part(number)) as temporary:
                table.write_parquet(temporary, compression=COMPRESSION)
        except OSError as error:
            raise InputError(
                f"{self.part(number)}: cannot be written: {error}; every worker must see the folder"
            ) from None

    def close(self, plan: "Plan") -> Sweep:
        """The sweep, read back where it is needed."""
        missing = [n for n in range(plan.chunks) if not self.part(n).is_file()]
        if missing:
            raise InputError(
                f"{self.part(missing[0])}: expected the file that a worker wrote, found none;"
                " every worker must see the folder"
            )
        return open_sweep(self.path)

    @contextmanager
    def _replaced(self, target: Path) -> Generator[Path, None, None]:
        """A file to write in place of another, which it becomes when all is written."""
        temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def open_sweep(folder: str | Path) -> Sweep:
    """A sweep that was written to a folder, be it finished or not; raises `InputError`."""
    path = Path(folder)
    held = _read(path / MANIFEST)
    parts = sorted(path.glob("part-*.parquet"))
    return Sweep(
        tuple(polars.scan_parquet(part) for part in parts),
        assumptions=tuple(held.get("assumptions", ())),
        warnings=tuple(held.get("warnings", ())),
        complete=len(parts) == held.get("chunks"),
    )


def described(plan: "Plan", probe: polars.DataFrame, notes: Mapping[str, Any]) -> dict[str, Any]:
    """What tells one sweep from another, as `sweep.json` holds it."""
    return plain(
        {
            "hwmodel": __version__,
            "axes": {
                column: _values(axis.columns[name])
                for axis in plan.grid.axes
                for name, column in axis.labels.items()
            },
            "points": plan.grid.blocks * plan.grid.rows,
            "samples": plan.grid.samples,
            "seed": plan.grid.seed,
            "where": [str(each) for each in (*plan.before, *plan.after)],
            "chunk": plan.chunk,
            "chunks": plan.chunks,
            "columns": {
                name: {"type": str(kind), "unit": unit_of(name)}
                for name, kind in probe.schema.items()
            },
            "answer": {k: v for k, v in probe.row(0, named=True).items() if k != REFUSED},
            **notes,
        }
    )


def _values(values: Any) -> Any:
    if isinstance(values, tuple):
        return [label(value) for value in cast(tuple[Any, ...], values)]
    if len(values) <= SHOWN:
        return values.tolist()
    digest = hashlib.sha256(np.ascontiguousarray(values, np.float64).tobytes()).hexdigest()
    return {"first": values[0], "last": values[-1], "count": len(values), "sha256": digest}


def _read(manifest: Path) -> dict[str, Any]:
    try:
        held: Any = json.loads(manifest.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{manifest}: expected the description of a sweep: {error}") from None
    if not isinstance(held, dict):
        raise InputError(f"{manifest}: expected a table, found {type(held).__name__}")
    return cast(dict[str, Any], held)


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 100 else f"{text[:97]}..."
