"""A sweep on disk: a folder of Parquet files, one a chunk, and `sweep.json`, which describes it.

Every file is written under a temporary name and then renamed, so that a name that is there is whole
and a sweep that was killed goes on where it was. `sweep.json` holds the axes, the columns with
their units, a digest of the function, and the answer of one point: a folder whose question or
answer differs is not gone on with, nor one whose first, last and a middle rows come out otherwise
now. It holds no dates, so that a resumed sweep leaves the same bytes as an undisturbed one.

`parts.jsonl` has the size and SHA-256 of each part, noted when it was written: a part that is not
noted is made anew, and one that differs is refused by its name.
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
from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import json_table, json_value, kind_of, name_of, text_of, why
from hwmodel.show.columns import REFUSED
from hwmodel.show.json import plain
from hwmodel.sweeps.axes import label, unit_of
from hwmodel.sweeps.fingerprint import PYTHON, digest_of
from hwmodel.sweeps.table import Sweep

if TYPE_CHECKING:
    from hwmodel.sweeps.plan import Plan

MANIFEST = "sweep.json"
NOTED = "parts.jsonl"
TEMPORARY = (f".{MANIFEST}.*.tmp", f".{NOTED}.*.tmp", ".part-*.tmp")
"""Names of files that a killed sweep leaves behind; they are swept away."""

HASHED_BYTES = 2**30
"""Of all parts, up to which opening a sweep compares their digests, not their sizes alone."""

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
        if kind_of(manifest) == "file":
            self._sweep_away()
            held = json_table(manifest, "the description of a sweep")
            for name, value in told.items():
                found = held.get(name)
                if name == "function":  # the bytecode of another Python says nothing
                    self._same_function(found, value)
                elif found != value:
                    raise InputError(
                        f"{name_of(manifest)}: {name}: holds another sweep: expected"
                        f" {_brief(value)}, found {_brief(held.get(name))}; give another folder, or"
                        " delete this one"
                    )
            self._put_in_order()
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._sweep_away()
            if any(self.path.iterdir()):
                raise InputError(
                    f"{self.path}: expected a new or empty folder, or one with {MANIFEST}, found"
                    " other files"
                )
            text = json.dumps(told, indent=1) + "\n"
            with self._replaced(manifest) as temporary:
                temporary.write_text(text, "utf-8")
        except (OSError, ValueError) as error:
            told_why = f"expected a folder to write to: {why(error)}"
            raise InputError(f"{name_of(self.path)}: {told_why}") from None

    def _same_function(self, held: Any, now: Mapping[str, str]) -> None:
        before = cast(dict[str, Any], held) if isinstance(held, dict) else {}
        if any(before.get(python, digest) != digest for python, digest in now.items()):
            raise InputError(
                f"{name_of(self.path / MANIFEST)}: function: holds another sweep: expected the"
                " function that wrote it, found another (its code, defaults, or what it closes"
                " over); give another folder, or delete this one"
            )

    def _sweep_away(self) -> None:
        """Remove what a killed sweep was writing."""
        for pattern in TEMPORARY:
            for left in self.path.glob(pattern):
                left.unlink(missing_ok=True)

    def held(self) -> set[int]:
        """Numbers of the parts that are there as they were written; raises `InputError`."""
        return set(self.there(hashed=True))

    def there(self, *, hashed: bool) -> dict[int, tuple[int, str]]:
        """The noted parts that are there, each found to be what was written."""
        noted = self.noted()
        there = {n: noted[n] for n in sorted(noted) if kind_of(self.part(n)) is not None}
        for number, told in there.items():
            self.check(number, told, hashed=hashed)
        return there

    def noted(self) -> dict[int, tuple[int, str]]:
        """Size and digest of each part, as far as they were noted: a torn last line is none."""
        path = self.path / NOTED
        found: dict[int, tuple[int, str]] = {}
        lines = text_of(path).split("\n")[:-1] if kind_of(path) == "file" else []
        for place, line in enumerate(lines, 1):
            try:
                told = json_value(line, lines=False)
                found[int(told["part"])] = (int(told["bytes"]), str(told["sha256"]))
            except (InputError, TypeError, KeyError, ValueError, OverflowError) as error:
                raise InputError(
                    f"{name_of(path)}, line {place}: expected the size and digest of a part, found"
                    f" {shown(line)} ({type(error).__name__}); delete the folder"
                ) from None
        return found

    def _put_in_order(self) -> None:
        """Write the notes anew: by number, whoever was done first, and without a torn line."""
        noted = self.noted()
        with self._replaced(self.path / NOTED) as temporary:
            text = "".join(_noted(number, *noted[number]) for number in sorted(noted))
            temporary.write_text(text, "utf-8")

    def note(self, number: int) -> None:
        """Add the size and digest of a part that was written."""
        with self._told(self.part(number)), (self.path / NOTED).open("a", encoding="utf-8") as file:
            file.write(_noted(number, *_digest(self.part(number))))

    def check(self, number: int, noted: tuple[int, str], *, hashed: bool) -> None:
        """Raise where a part is not what was written."""
        part = self.part(number)
        with self._told(part):
            size = part.stat().st_size
            same = size == noted[0] and (not hashed or _digest(part) == noted)
        if not same:
            found = f"one of {size:,} bytes" if size != noted[0] else "one with other content"
            raise InputError(
                f"{name_of(part)}: expected the {noted[0]:,} bytes that the sweep wrote, found"
                f" {found}; delete this file, and the sweep makes it anew"
            )

    @contextmanager
    def _told(self, part: Path) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            told = f"expected the file that the sweep wrote: {why(error)}"
            raise InputError(f"{name_of(part)}: {told}") from None

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
        missing = [n for n in range(plan.chunks) if kind_of(self.part(n)) != "file"]
        if missing:
            raise InputError(
                f"{self.part(missing[0])}: expected the file that a worker wrote, found none;"
                " every worker must see the folder"
            )
        self._put_in_order()
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


@named
def open_sweep(folder: str | Path) -> Sweep:
    """A sweep that was written to a folder, be it finished or not; raises `InputError`."""
    if not isinstance(folder, (str, Path)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"open_sweep: expected the folder of a sweep, found {shown(folder)}")
    files = Folder(Path(folder))
    held = json_table(files.path / MANIFEST, "the description of a sweep")
    hashed = sum(size for size, _ in files.noted().values()) <= HASHED_BYTES
    there = files.there(hashed=hashed)
    return Sweep(
        tuple(polars.scan_parquet(files.part(number)) for number in there),
        assumptions=_texts(held, "assumptions"),
        warnings=_texts(held, "warnings"),
        complete=len(there) == held.get("chunks"),
    )


def _texts(held: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found: Any = held.get(name, ())
    return tuple(map(str, cast(list[Any], found))) if isinstance(found, list) else ()


def _noted(number: int, size: int, digest: str) -> str:
    return json.dumps({"part": number, "bytes": size, "sha256": digest}) + "\n"


def _digest(part: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), digest


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
            "function": {PYTHON: digest_of(plan.function)},
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


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 100 else f"{text[:97]}..."
