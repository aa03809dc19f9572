"""Reads routing statistics from files: traces of tokens, aggregated counts, or loads alone.

    .npz             an array `experts` (or the only one), (tokens, layers) or (tokens, layers, k)
    .csv, .parquet   a trace: columns token, layer, expert, and rank where there is more than one
                     choice; the rows of a token stand together
    .csv, .parquet   counts: columns layer_from, layer_to, expert_from, expert_to, count, and where
                     they tell rows apart domain, kind and model
    .csv, .parquet   loads: columns layer, expert, load, each pair once
    .json            loads: a list of layers of experts' loads (or of one layer), or a table that
                     has it as `weight` or `loads`: what EPLB takes

Traces are read in chunks, so that one larger than memory is counted as it streams by. Every refusal
names the file and the row (the first row of data is 1), token or column.
"""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.frames import frames_of, need_column, pieces_of, whole_numbers
from hwmodel.experts.statistics import Routing, Trace, from_counts, from_loads, from_traces
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import EXPERTS, ROUTING_ENTRIES, json_file, kind_of, name_of, why
from hwmodel.quantity.units import counted
from hwmodel.text.frames import Frame, is_frame

COUNT_COLUMNS = ("layer_from", "layer_to", "expert_from", "expert_to", "count")
TRACE_COLUMNS = ("token", "layer", "expert")
LOAD_COLUMNS = ("layer", "expert", "load")
LOAD_NAMES = ("weight", "loads", "load")
"""Fields of a JSON table that hold loads, the first that is there."""
CHUNK_ROWS = 1 << 20
"""Rows of a table, or entries of an array, that are in memory at once."""
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, SyntaxError),
    *(NotImplementedError, RuntimeError, OverflowError, struct.error, tokenize.TokenError),
)
"""What archives and headers of arrays raise that are cut off, flipped, encrypted or made up."""


def read_routing(
    path: str | Path | Frame,
    *,
    kind: str | None = None,
    domains: Sequence[str] = (),
    experts: int | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Routing:
    """Routing of a file of traces or counts, or of a data frame with its columns.

    `kind` picks rows of counts by their column `kind` (needed where there are several), and counts
    first choices (`top1`, the default) or all (`topk`) of a trace; `domains` picks text of that
    name, all by default; `experts` is inferred from the highest number unless given.
    Raises `InputError` with the place of what is malformed.
    """
    if not isinstance(path, (str, Path)) and not is_frame(path):
        raise InputError(f"routing: expected the path of a file, found {shown(path)}")
    experts = None if experts is None else counted(experts, where="experts", most=EXPERTS)
    names: Any = domains
    if not isinstance(names, (list, tuple)):
        raise InputError(f"routing: domains: expected a list of names, found {shown(names)}")
    for what, given in (("kind", kind), *(("domains", each) for each in domains)):
        if given is not None and type(given) is not str:
            raise InputError(f"routing: {what}: expected a name, found {shown(given)}")
    if not isinstance(path, (str, Path)):
        frames = pieces_of(path, chunk_rows)
        return _of_tables(Path("routing"), frames, kind, domains, experts)
    path = Path(path)
    if kind_of(path) != "file":
        raise InputError(
            f"{name_of(path)}: expected a file of routing traces or counts, found none"
        )
    if path.suffix == ".npz":
        if domains:
            raise InputError(f"{path}: an array of experts has no domains to choose from")
        return _named(path, _array_chunks(path, chunk_rows), kind or "top1", experts, None)
    if path.suffix == ".json":
        return _from_json(path, kind, domains, experts)
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(
            f"{path}: expected a file .npz, .csv, .parquet or .json, found {path.suffix!r}"
        )
    return _of_tables(path, frames_of(path, chunk_rows), kind, domains, experts)


def _of_tables(
    path: Path,
    tables: Iterator[Any],
    kind: str | None,
    domains: Sequence[str],
    experts: int | None,
) -> Routing:
    """What data frames of consecutive rows hold: counts, loads or a trace."""
    first = next(tables, None)
    if first is None:
        raise InputError(f"{path}: expected rows of data, found none")
    rest = _chained(first, tables)
    if set(COUNT_COLUMNS) <= set(first.columns):
        return _from_count_tables(path, rest, kind, domains, experts)
    if set(LOAD_COLUMNS) <= set(first.columns):
        _no_choice(path, kind, domains)
        return _from_load_tables(path, rest, experts)
    missing = [name for name in TRACE_COLUMNS if name not in first.columns]
    if missing:
        raise InputError(
            f"{path}: expected columns {', '.join(COUNT_COLUMNS)} (counts),"
            f" {', '.join(TRACE_COLUMNS)} (a trace) or {', '.join(LOAD_COLUMNS)} (loads); found"
            f" {', '.join(first.columns)}"
        )
    if domains:
        need_column(path, first, "domain")
    reader = _TraceRows(path, domains)
    return _named(path, reader.chunks(rest), kind or "top1", experts, reader)


def _no_choice(path: Path, kind: str | None, domains: Sequence[str]) -> None:
    if kind or domains:
        raise InputError(f"{path}: loads have no kinds and no domains to choose from")


def _from_json(
    path: Path, kind: str | None, domains: Sequence[str], experts: int | None
) -> Routing:
    _no_choice(path, kind, domains)
    held: Any = json_file(path)
    if isinstance(held, dict):
        table = cast(dict[str, Any], held)
        name = next((name for name in LOAD_NAMES if name in table), None)
        if name is None:
            raise InputError(
                f"{path}: expected loads under one of {', '.join(LOAD_NAMES)}, found"
                f" {shown(sorted(table))}"
            )
        held = table[name]
    try:
        routing = from_loads(held)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return _of_experts(path, routing, experts)


def _of_experts(path: Path, routing: Routing, experts: int | None) -> Routing:
    """Loads with experts behind them that were never chosen."""
    if experts is None or experts == routing.experts:
        return routing
    if experts < routing.experts:
        raise InputError(f"{path}: expected {experts} experts, found {routing.experts}")
    more = np.pad(routing.loads, ((0, 0), (0, experts - routing.experts)))
    return from_loads(more, routing.layers)


def _from_load_tables(path: Path, frames: Iterator[Any], experts: int | None) -> Routing:
    import polars

    found: dict[tuple[int, int], float] = {}
    rows = 0
    for frame in frames:
        layers, numbers = (whole_numbers(path, frame, name, rows) for name in LOAD_COLUMNS[:2])
        loads = frame.get_column("load").cast(polars.Float64, strict=False).to_list()
        for row, (layer, expert, load) in enumerate(zip(layers, numbers, loads, strict=True), 1):
            at = (int(layer), int(expert))
            if load is None or not math.isfinite(load) or load < 0:
                raise InputError(
                    f"{path}, row {rows + row}, column load: expected a number of 0 or more,"
                    f" found {shown(frame.get_column('load')[row - 1])}"
                )
            if at in found:
                raise InputError(
                    f"{path}, row {rows + row}: layer {at[0]}, expert {at[1]} stands here a second"
                    " time"
                )
            found[at] = load
        rows += frame.height
    names = tuple(sorted({layer for layer, _ in found}))
    size = 1 + max((expert for _, expert in found), default=0)
    if len(names) * size > ROUTING_ENTRIES:
        raise InputError(f"{path}: expected at most {ROUTING_ENTRIES:,} loads in all")
    table = np.zeros((len(names), size))
    for (layer, expert), load in found.items():
        table[names.index(layer), expert] = load
    try:
        return _of_experts(path, from_loads(table, names), experts)
    except InputError as error:
        text = str(error)
        raise (error if text.startswith(str(path)) else InputError(f"{path}: {text}")) from None


def _named(
    path: Path,
    chunks: Iterator[Trace],
    kind: str,
    experts: int | None,
    rows: "_TraceRows | None",
) -> Routing:
    """Count the chunks; what is refused names the file, and layers keep their numbers."""
    first = next(chunks, None)
    try:
        layers = None if rows is None else rows.layers
        stream = iter(()) if first is None else _chained(first, chunks)
        return from_traces(stream, kind=kind, experts=experts, layers=layers)
    except UnknownNameError:
        raise
    except InputError as error:
        text = str(error)
        raise (error if text.startswith(str(path)) else InputError(f"{path}: {text}")) from None


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _array_chunks(path: Path, chunk_rows: int) -> Iterator[Trace]:
    """The array of an .npz, a few tokens at a time, without ever holding all of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            name = "experts" if "experts" in names else names[0] if len(names) == 1 else None
            if name is None:
                found = shown(names)
                raise InputError(f"{path}: expected an array named 'experts', found {found}")
            with archive.open(f"{name}.npy") as stream:
                yield from _stream(path, cast(BinaryIO, stream), chunk_rows)
    except InputError:
        raise
    except _DAMAGED as error:
        told = f"{type(error).__name__}: {why(error)}"
        raise InputError(
            f"{path}: expected a whole .npz archive, found a damaged one ({told})"
        ) from None


def _stream(path: Path, stream: BinaryIO, chunk_rows: int) -> Iterator[Trace]:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise InputError(f"{path}: expected an array of format 1.0 or 2.0, found {version}")
    shape, by_column, dtype = read[version](stream)
    if dtype.kind not in "iu" or len(shape) not in (2, 3) or by_column:
        raise InputError(
            f"{path}: expected whole numbers in C order, (tokens, layers) or (tokens, layers,"
            f" choices); found {dtype} of shape {shape}" + (" in Fortran order" * by_column)
        )
    if not all(shape):
        raise InputError(f"{path}: expected a token, a layer and a choice or more, found {shape}")
    each = math.prod(shape[1:])
    if each > CHUNK_ROWS:
        raise InputError(f"{path}: expected at most {CHUNK_ROWS:,} choices a token, found {each:,}")
    step = max(1, chunk_rows // each)
    for start in range(0, shape[0], step):
        tokens = min(step, shape[0] - start)
        data = stream.read(tokens * each * dtype.itemsize)
        if len(data) != tokens * each * dtype.itemsize:
            raise InputError(f"{path}: expected {shape[0]} tokens, the array ends at {start}")
        chunk: NDArray[Any] = np.frombuffer(data, dtype=dtype)
        yield chunk.reshape(tokens, shape[1], -1)


def _from_count_tables(
    path: Path,
    frames: Iterator[Any],
    kind: str | None,
    domains: Sequence[str],
    experts: int | None,
) -> Routing:
    tables: dict[tuple[int, int], NDArray[np.float64]] = {}
    seen: dict[str, set[str]] = {"kind": set(), "domain": set(), "model": set()}
    rows, highest = 0, 0
    parts: list[NDArray[np.float64]] = []
    for frame in frames:
        kept, numbers = frame, [whole_numbers(path, frame, name, rows) for name in COUNT_COLUMNS]
        for name, values in zip(COUNT_COLUMNS[2:4], numbers[2:4], strict=True):
            if experts is not None and (values >= experts).any():
                row = int(np.argmax(values >= experts))
                raise InputError(
                    f"{path}, row {rows + row + 1}, column {name}: expected an expert of 0 to"
                    f" {experts - 1}, found {int(values[row])}"
                )
        mask = np.ones(frame.height, dtype=bool)
        for name, wanted in (("kind", (kind,) if kind else ()), ("domain", tuple(domains))):
            if wanted:
                need_column(path, frame, name)
            if name in frame.columns:
                seen[name].update(map(str, frame.get_column(name).unique()))
                if wanted:
                    mask &= frame.get_column(name).is_in(list(wanted)).to_numpy()
        if "model" in kept.columns:
            seen["model"].update(map(str, kept.get_column("model").unique()))
        rows += frame.height
        parts.append(np.stack([values[mask] for values in numbers]))
        highest = max(highest, *(int(values.max(initial=0)) for values in numbers[2:4]))
    _check_choice(path, seen, kind, domains)
    size = highest + 1 if experts is None else experts
    found = {(int(a), int(b)) for part in parts for a, b in np.unique(part[:2].T, axis=0)}
    if len(found) * size**2 > ROUTING_ENTRIES:
        raise InputError(
            f"{path}: expected at most {ROUTING_ENTRIES:,} counts in all, found {len(found)} pairs"
            f" of layers of {size} x {size} experts"
        )
    for part in parts:
        pairs = part[:2].astype(np.int64).T
        for a, b in np.unique(pairs, axis=0):
            here = (pairs[:, 0] == a) & (pairs[:, 1] == b)
            table = tables.setdefault((int(a), int(b)), np.zeros((size, size)))
            place = (part[2, here].astype(np.int64), part[3, here].astype(np.int64))
            np.add.at(table, place, part[4, here])
    try:
        return from_counts(tables)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_choice(
    path: Path, seen: dict[str, set[str]], kind: str | None, domains: Sequence[str]
) -> None:
    """Names exist, and rows that count the same tokens twice are not added up."""
    for what, names in (("kind", (kind,) if kind else ()), ("domain", tuple(domains))):
        for name in names:
            if name not in seen[what]:
                raise UnknownNameError(f"{what} in {path}", name, seen[what])
    if kind is None and len(seen["kind"]) > 1:
        raise InputError(
            f"{path}: holds the kinds {', '.join(sorted(seen['kind']))}, which count the same"
            " tokens; choose one with kind (--kind)"
        )
    if len(seen["model"]) > 1:
        raise InputError(
            f"{path}: expected counts of one model, found {', '.join(sorted(seen['model']))}"
        )


class _TraceRows:
    """Rows of a long table into arrays: every token has the same layers and choices."""

    def __init__(self, path: Path, domains: Sequence[str]) -> None:
        self.path, self.domains = path, tuple(domains)
        self.layers: tuple[int, ...] = ()
        self.ranks = 0
        self.rows = 0

    def chunks(self, frames: Iterator[Any]) -> Iterator[Trace]:
        """Arrays of whole tokens; the last token of a frame waits for the next frame."""
        waiting = np.zeros((5, 0))
        for frame in frames:
            mask = np.ones(frame.height, dtype=bool)
            if self.domains:
                mask = frame.get_column("domain").is_in(list(self.domains)).to_numpy()
            names = TRACE_COLUMNS + (("rank",) if "rank" in frame.columns else ())
            numbers = [whole_numbers(self.path, frame, name, self.rows) for name in names]
            height: int = frame.height
            if len(numbers) == 3:
                numbers.append(np.zeros(height))
            numbers.append(self.rows + np.arange(1, height + 1, dtype=np.float64))
            self.rows += height
            held = np.concatenate([waiting, np.stack(numbers)[:, mask]], axis=1)
            cut = np.flatnonzero(np.diff(held[0]))
            end = int(cut[-1]) + 1 if cut.size else 0
            if end:
                yield self._array(held[:, :end])
            waiting = held[:, end:]
        if waiting.size:
            yield self._array(waiting)
        elif self.domains and not self.layers:
            raise InputError(f"{self.path}: no token of domains {', '.join(self.domains)}")

    def _array(self, rows: NDArray[np.float64]) -> Trace:
        token, layer, expert, rank, row = rows
        starts = np.concatenate([[0], np.flatnonzero(np.diff(token)) + 1, [token.size]])
        if not self.layers:
            end = int(starts[1])
            self.layers = tuple(int(x) for x in np.unique(layer[:end]))
            self.ranks = len(np.unique(rank[:end]))
        each = len(self.layers) * self.ranks
        sizes = np.diff(starts)
        wrong = sizes != each
        if wrong.any():
            at = int(starts[int(np.argmax(wrong))])
            raise InputError(
                f"{self.path}, row {int(row[at])}, token {int(token[at])}: expected {each} rows"
                f" together ({len(self.layers)} layers x {self.ranks} choices), found"
                f" {int(sizes[int(np.argmax(wrong))])}"
            )
        order = np.lexsort((rank, layer, np.repeat(np.arange(sizes.size), sizes)))
        shape = (sizes.size, len(self.layers), self.ranks)
        expected = (np.array(self.layers, dtype=float)[None, :, None], np.arange(self.ranks))
        for name, values, want in zip(("layer", "rank"), (layer, rank), expected, strict=True):
            sorted_values = values[order].reshape(shape)
            bad = sorted_values != want
            if bad.any():
                at = int(order[int(np.argmax(bad.ravel()))])
                raise InputError(
                    f"{self.path}, row {int(row[at])}, token {int(token[at])}: expected each"
                    f" layer of {list(self.layers)} with ranks 0 to {self.ranks - 1} once, found"
                    f" {name} {int(values[at])}"
                )
        return expert[order].reshape(shape).astype(np.int64)
