"""Batch predictions: a file of cases, one JSON object a line, answered line by line.

Cases that differ in their sizes only are evaluated together, in vectorised calls, so that a file of
a hundred thousand takes seconds. Answers keep the order of the cases. A case that is refused gets
`{"error": ...}`, which names the file, the line and the field; the others still answer. Fields are
those of `hwmodel.verbs.request`, answers those of `Estimate.record` (SI units), with `schema`, the
version of the fields. A line may ask another verb by `"verb": "bound"`; it answers with what
`--json` prints.
"""

import json
import math
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import numpy as np

from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.quantity.extras import as_missing
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import (
    CASES_BYTES,
    json_value,
    kind_of,
    line_of,
    name_of,
    text_of,
    why,
)
from hwmodel.quantity.units import Amount
from hwmodel.show.json import plain, versioned
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import question
from hwmodel.verbs.request import Request, answerer, read

Answer: TypeAlias = dict[str, Any]
Answerer: TypeAlias = Callable[[Mapping[str, Amount]], Estimate]

AT_ONCE = 16_384
"""Cases in one vectorised call: enough to hide its overhead, few enough to show progress."""

BATCHED = "predict"
"""The verb of a line that names none, and whose lines of one form are one call."""

INTERNAL = "internal: "
"""Before the error of a case that met a fault of the package's own."""

SHOW_PROGRESS = 10_000
"""From this many cases on, progress is shown."""


@dataclass
class _Group:
    """Cases of one form: their places in the file and their sizes, column by column."""

    places: list[int]
    columns: dict[str, list[int]]


def predict_file(cases: str | Path, out: str | Path | None = None) -> int:
    """Answer a file of cases into `out` (default: standard output); the exit status.

    0: all answered; 2: at least one case was refused; 1: a fault of the package's own met one.
    `out` appears whole or not at all. Raises `InputError` when the file cannot be read or `out`
    cannot be written.
    """
    path = Path(cases)
    lines = text_of(path, most=CASES_BYTES, by_line=True).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    with _written(out) as stream, _progress(len(lines)) as advance:
        answers = predict_lines(lines, where=str(path), advance=advance)
        told = (json.dumps(versioned(answer), allow_nan=False) for answer in answers)
        stream.writelines(f"{line}\n" for line in told)
    errors = [answer["error"] for answer in answers if "error" in answer]
    if any(INTERNAL in error for error in errors):
        return HwmodelError.exit_status
    return InputError.exit_status if errors else 0


def predict_lines(
    lines: Sequence[str], *, where: str = "cases", advance: Callable[[int], None] = lambda n: None
) -> list[Answer]:
    """Answers to lines of JSON, in their order; `advance` hears how many cases are done."""
    answers: list[Answer] = [{} for _ in lines]
    groups: dict[str, _Group] = {}
    for place, line in enumerate(lines):
        try:
            case = _parsed(line)
            verb = case.pop("verb", BATCHED)
            if verb == BATCHED:
                _join(groups, place, read(case))
                continue
            kind = question(verb)
            if kind.writes:
                raise InputError(f"verb: expected one that answers, found {verb!r}, which writes")
            asked = kind.read(case)
            answers[place] = plain(asked.record(asked.answer()))
            advance(1)
        except Exception as error:
            answers[place] = _refusal(error, where, place)
            advance(1)
    for form, group in groups.items():
        for place, answer in _answered(form, group, where, advance):
            answers[place] = answer
    return answers


def _parsed(line: str) -> dict[str, Any]:
    case = json_value(line_of(line), lines=False)
    if not isinstance(case, dict):
        raise InputError(f"expected a JSON object, found {type(case).__name__} {shown(case)}")
    return cast(dict[str, Any], case)


def _join(groups: dict[str, _Group], place: int, request: Request) -> None:
    group = groups.get(request.form)
    if group is None:
        group = groups[request.form] = _Group([], {name: [] for name in request.sizes})
    group.places.append(place)
    for name, size in request.sizes.items():
        group.columns[name].append(size)


def _answered(
    form: str, group: _Group, where: str, advance: Callable[[int], None]
) -> Iterator[tuple[int, Answer]]:
    """Place and answer of every case of a group."""
    try:
        answer = answerer(form)
    except Exception as error:
        yield from ((place, _refusal(error, where, place)) for place in group.places)
        advance(len(group.places))
        return
    for start in range(0, len(group.places), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        columns = {name: column[part] for name, column in group.columns.items()}
        yield from _evaluated(answer, group.places[part], columns, where)
        advance(len(group.places[part]))


def _evaluated(
    answer: Answerer, places: list[int], columns: Mapping[str, list[int]], where: str
) -> Iterable[tuple[int, Answer]]:
    """One vectorised call; where a case spoils it, halves of it, down to that case."""
    try:
        records = _records(answer(_sizes(columns)), len(places))
    except UnknownNameError as error:  # a name, not a size: all cases of this form share it
        return [(place, _refusal(error, where, place)) for place in places]
    except Exception as error:
        if len(places) == 1:
            return [(places[0], _refusal(error, where, places[0]))]
        middle = len(places) // 2
        left = {name: column[:middle] for name, column in columns.items()}
        right = {name: column[middle:] for name, column in columns.items()}
        return [
            *_evaluated(answer, places[:middle], left, where),
            *_evaluated(answer, places[middle:], right, where),
        ]
    return zip(places, records, strict=True)


def _sizes(columns: Mapping[str, list[int]]) -> dict[str, Amount]:
    """Columns as arrays; a size that all cases share as the int that it is."""
    return {
        name: column[0] if _constant(column) else np.array(column, dtype=np.float64)
        for name, column in columns.items()
    }


def _constant(column: list[int]) -> bool:
    return column.count(column[0]) == len(column)


def _records(estimate: Estimate, count: int) -> list[Answer]:
    """An estimate of many points as one record a point."""
    record = estimate.record()
    del record["warnings"]
    columns = {name: _column(value, count) for name, value in record.items()}
    beyond = [(text,) if text else () for text in estimate.beyond(count)]
    own = estimate.everywhere
    some = (beyond, *(note.at(count) for note in estimate.notes))
    columns["warnings"] = [
        [*own, *(text for texts in each for text in texts)] for each in zip(*some, strict=True)
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(value: Any, count: int) -> list[Any]:
    if np.ndim(value) == 0:
        return [_finite(value.item() if isinstance(value, np.generic) else value)] * count
    return [_finite(item) for item in np.broadcast_to(value, (count,)).tolist()]


def _finite(value: Any) -> Any:
    """What is no number is null: JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refusal(error: Exception, where: str, place: int) -> Answer:
    """What one case is told; a fault of ours costs its own line, and no other."""
    if isinstance(error, ImportError):
        error = as_missing(error)
    told = str(error)
    if not isinstance(error, HwmodelError):
        told = f"{INTERNAL}{type(error).__name__}: {shown(told)}"
    return {"error": f"{where}, line {place + 1}: {told}"}


@contextmanager
def _written(out: str | Path | None) -> Generator[IO[str], None, None]:
    """A stream that becomes `out` when all is written; standard output where there is none."""
    if out is None:
        import sys

        yield sys.stdout
        sys.stdout.flush()
        return
    target = Path(out)
    if kind_of(target) == "folder":
        raise InputError(f"{name_of(target)}: expected a file to write to, found a folder")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:64]}.")
    except (OSError, ValueError) as error:
        told = f"expected a file that can be written: {why(error)}"
        raise InputError(f"{name_of(target)}: {told}") from None
    try:
        os.chmod(name, 0o666 & ~_umask())
        with open(handle, "w", encoding="utf-8") as stream:
            yield stream
        os.replace(name, target)
    except OSError as error:  # no space left, or the target is no file to be replaced
        Path(name).unlink(missing_ok=True)
        told = f"expected a file that can be written: {why(error)}"
        raise InputError(f"{name_of(target)}: {told}") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The permissions that new files are denied; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _progress(cases: int) -> Generator[Callable[[int], None], None, None]:
    """A progress bar on standard error for long files; silence for short ones."""
    if cases <= SHOW_PROGRESS:
        yield lambda n: None
        return
    from rich.console import Console  # only where a bar is drawn: rich costs 0.1 s to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("cases"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("cases", total=cases)
        yield lambda n: bar.update(task, advance=n)
