"""Measured rows, and what the model says of them: the same cases, evaluated together.

A row is one line of `validation/data/<device>/<sitting>/<family>.csv`: what was measured (family,
kernel, dtype, sizes), the time, and how it was taken. Rows that differ in sizes only form a group,
which is one cascade with arrays, lowered once to kernel calls.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import lone
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.machines.gpu.libraries.library import FEW_QUERIES, ROW_KERNELS, Library
from hwmodel.machines.gpu.libraries.shipped import is_known, with_others
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.machines.gpu.warm import repeated
from hwmodel.quantity.errors import InputError
from hwmodel.validation import fused, irregular, windows

DATA = Path(__file__).resolve().parent / "data"

TRACES, TRACED_COLUMN = "launches.csv", "span_s"
"""Launches of a sitting, and the column that those have which were timed with a cold L2."""

MEMSET, MEMSET_S = "Memset", 2.1e-6
"""The node that clears a counter of tiles before a product, and what it adds to a graph: times of
some 2,000 products in graphs of other boards are the sums of the times of their traced kernels,
and so much longer where there is one (the middle of 570; nine in ten of 1.0 to 3.1)."""

SIZES: dict[str, tuple[str, ...]] = {
    "gemm": ("M", "N", "K"),
    **dict.fromkeys(
        ("attention", "attention_backward"),
        ("batch", "heads", "kv_heads", "queries", "keys", "head_dim"),
    ),
    "moe": ("tokens", "experts", "top_k", "hidden", "intermediate"),
    **dict.fromkeys(ROW_KERNELS, ("rows", "cols")),
    "collective": ("bytes", "ranks"),
    "reduce": ("outputs", "reduced"),
    "convolution": (
        *("batch", "groups", "channels", "filters", "depth", "height", "width"),
        *("taps_d", "taps_h", "taps_w"),
    ),
    "pool": ("batch", "channels", "depth", "height", "width", "taps_d", "taps_h", "taps_w"),
    "scatter": ("sources", "cols", "targets", "hot"),
    "gather": ("sources", "cols", "targets", "bag", "hot"),
    **dict.fromkeys(("cumsum", "cross_entropy"), ("rows", "cols")),
    "sort": ("rows", "cols", "k"),
    **fused.SIZES,
}
"""Family -> the sizes that a row of it states."""

MORE_SIZES: dict[str, tuple[str, ...]] = {"moe": ("ways",)}
"""The same of sizes that a row states where they are not one."""

STEPS = ("llm", "step")
"""Families of rows that are steps of models: of the plain stack, and of an engine by the wall."""

STEP = ("model", "phase", "batch", "prompt", "context")
"""What tells the steps of models apart."""

HELD_OUT = (
    *("2026-11-22-d", "2026-11-22-f", "2026-11-22-h", "2026-11-22-i", "2026-11-28-l"),
    *("2026-11-22-x2b", "2026-11-22-x4a", "2026-11-29-x2c"),
    *("2026-11-29-x2d", "2026-11-29-ai", "2026-11-29-aj"),
    *("2026-11-28-n", "2026-11-28-o", "2026-11-29-r", "2026-11-29-y"),
    *("2026-11-29-ad", "2026-11-29-al", "2026-11-29-ar", "2026-11-29-as"),
    *("2026-11-30-au", "2026-11-30-av", "2026-11-30-ay", "2026-11-30-ax"),
    *("2026-11-30-bc", "2026-11-30-bd", "2026-11-30-be", "2026-11-30-bf"),
)
"""Sittings that no fit of a shipped calibration reads, on boards of their own (but ad, ai, aj,
ar, as, ax, be, bf and x2d, on boards of which fits read kernels alone); of the first, whose library
kernels it does not read, it reads the rows of our own kernels (`OWN_FITTED`)."""

OWN_FITTED = ("2026-11-22-d",)

SHIFTED = "2026-11-22-e"
"""A sitting whose row kernels of ours all ran some 0.37 us sooner than those of the sittings before
(on the same board) and after it, for no known reason. No fit reads them."""

FORM = ("family", "kernel", "dtype", "causal", "routing")
"""What rows of one group share."""

STATED = ("weight_dtype", "repeated", "kv_dtype", "window", "value_dim", "shared", "rotated")
"""What rows of a table may say besides, and share where they do; `repeated`: with a warm L2."""

MORE_STATED: dict[str, tuple[str, ...]] = {"moe": ("gated", "exponent")}
"""The same of single families."""

FORMS = {
    "collective": ("family", "kernel", "dtype", "op"),
    "reduce": ("family", "kernel", "dtype", "op", "axis"),
    "convolution": (
        *("family", "kernel", "dtype", "op", "layout", "dims", "stride", "dilation", "pad"),
    ),
    "pool": ("family", "kernel", "dtype", "op", "layout", "dims", "stride", "pad"),
    **dict.fromkeys(("scatter", "gather", "sort"), ("family", "kernel", "dtype", "op")),
    "cumsum": ("family", "kernel", "dtype", "op", "axis"),
    **fused.FORMS,
}
"""The same of families with columns of their own."""

FILES = (
    *("gemm", "attention", "attention_backward", "moe", "rows", "reduce", "llm"),
    *("convolution", "pool", "scatter", "gather", "cumsum", "sort", "cross_entropy"),
    *fused.SIZES,
)
"""Files of timed rows; energies, counters and probes stand in files of their own."""


@dataclass(frozen=True)
class Row:
    """One measurement; `shape` identifies what was measured, whatever the board and the day."""

    sitting: str
    board: str
    columns: Mapping[str, Any]

    @property
    def time_s(self) -> float:
        """Measured seconds."""
        return float(self.columns["time_s"])

    @property
    def order(self) -> bytes:
        """A place among others that says nothing of its size, the same on every machine."""
        return hashlib.sha256(repr(("order", *self.shape)).encode()).digest()

    @cached_property
    def form(self) -> tuple[str, ...]:
        """What it shares with the rows of its group."""
        names = FORMS.get(str(self.columns["family"]), FORM)
        told = tuple(str(self.columns.get(name, "")) for name in names)
        stated = (*STATED, *MORE_STATED.get(str(self.columns["family"]), ()))
        return (*told, *(str(self.columns[name]) for name in stated if name in self.columns))

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """Form and sizes, or which step of which model; rotated or not, a shape is the same."""
        if self.columns["family"] in STEPS:
            return (*self.form, *(str(self.columns.get(name)) for name in STEP))
        sizes = SIZES.get(str(self.columns["family"]), ())
        told = self.form[: len(self.form) - ("rotated" in self.columns)]
        more = MORE_SIZES.get(str(self.columns["family"]), ())
        there = (*sizes, *(name for name in more if name in self.columns))
        return (*told, *(float(self.columns[name]) for name in there))


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one form with their kernel calls: sizes are arrays, one entry per row."""

    rows: tuple[Row, ...]
    cascade: Cascade
    calls: tuple[Call, ...]
    measured_s: NDArray[np.float64]


def sittings(device: str, data: Path = DATA) -> tuple[str, ...]:
    """Names of the sittings in which a device was measured."""
    folder = data / device
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir())) if folder.is_dir() else ()


def read_rows(device: str, names: Iterable[str] | None = None, data: Path = DATA) -> list[Row]:
    """All timed rows of a device, or those of some sittings; rows of errors are left out.

    Of a shape that a timer timed, on any board, traced times are left out: so no fit sees a shape
    that a board apart is to judge because its kernel was traced again elsewhere.
    """
    rows: list[Row] = []
    traced: list[Row] = []
    for sitting in names or sittings(device, data):
        folder = data / device / sitting
        for family in FILES:
            path = folder / f"{family}.csv"
            if path.is_file():
                rows += read_file(path, sitting, folder)
        if (folder / TRACES).is_file():
            traced += read_traces(folder / TRACES, sitting, folder)
    timed = {row.shape for row in rows} if traced else set[tuple[Any, ...]]()
    return rows + [row for row in traced if row.shape not in timed]


def read_traces(path: Path, sitting: str, folder: Path) -> list[Row]:
    """Calls whose kernels were timed in passes of the profiler, each once, as timed rows."""
    found: dict[tuple[Any, ...], Row] = {}
    calls: list[tuple[Row, float]] = []
    for row in read_file(path, sitting, folder):
        if TRACED_COLUMN in row.columns:
            calls.append((row, 0.0))
        if calls:
            cleared = str(row.columns["name"]).startswith(MEMSET)
            spent_s = MEMSET_S if cleared else float(row.columns["traced_s"])
            calls[-1] = calls[-1][0], calls[-1][1] + spent_s
    for row, time_s in calls:
        names = ("family", "kernel", "dtype", *SIZES[str(row.columns["family"])])
        told = {name: row.columns[name] for name in names}
        found.setdefault(row.shape, Row(sitting, row.board, {**told, "time_s": time_s, **PASS}))
    return list(found.values())


PASS = {"pass": "traced"}
"""What tells such rows from those of a timer."""


def read_file(path: Path, sitting: str, folder: Path) -> list[Row]:
    """Rows of one file; the sitting's header names the board."""
    header = json.loads((folder / "header.json").read_text(encoding="utf-8"))
    board = str(header["board"])
    with path.open(encoding="utf-8", newline="") as stream:
        found = [{k: _value(v) for k, v in line.items() if v} for line in csv.DictReader(stream)]
    return [Row(sitting, board, line) for line in found if "family" in line and "error" not in line]


def _value(text: str) -> Any:
    """Numbers as numbers, booleans as booleans, anything else as text."""
    if text in ("True", "False", "true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def kernels_known(row: Row) -> bool:
    """Whether the model has the kernel that the row measured."""
    return is_known(str(row.columns["kernel"])) and not fused.beside(row.columns)


def libraries_of(rows: Iterable[Row]) -> tuple[Library, ...]:
    """The libraries that are shipped, then those that rows name by "module:NAME"."""
    return with_others(dict.fromkeys(str(row.columns["kernel"]) for row in rows))


def may_fit(row: Row) -> bool:
    """Whether a fit may read the row, were its shape one for fitting."""
    if row.columns.get("pass") == "menu" or is_shifted(row):
        return False
    own = row.sitting in OWN_FITTED and row.columns["kernel"] == "triton"
    return own or row.sitting not in HELD_OUT


def is_shifted(row: Row) -> bool:
    """Whether it was timed in the rarer of two states, which no fit knows and intervals hold."""
    return row.sitting == SHIFTED and row.columns["family"] in ROW_KERNELS


def groups(rows: Iterable[Row]) -> list[Group]:
    """Rows by form, each form one vectorised workload of one kind of kernel."""
    forms: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        few = float(row.columns.get("queries", 0)) <= FEW_QUERIES
        depthwise = windows.is_depthwise(row.columns)
        fresh = row.columns.get("keys") == row.columns.get("queries")  # a prompt without a past
        form = (*row.form, few, fresh, depthwise, bool(row.columns.get("stream_k")))
        forms.setdefault(form, []).append(row)
    return [_group(members) for members in forms.values()]


LAUNCHED = "tile_"
"""Prefix of the columns that hold the launch record of one of our own kernels."""


def _launched(call: Call, rows: list[Row]) -> Call:
    """The call with the tile that each row was launched with."""
    plain = call.menu[0]
    known = {
        field.name: np.array(
            [float(r.columns.get(LAUNCHED + field.name, getattr(plain, field.name))) for r in rows]
        )
        for field in fields(plain)
        if any(LAUNCHED + field.name in row.columns for row in rows)
    }
    if len(known) < 2 or (call.schedule == "rows") != ("elements" in known):
        return call
    if "passes" in rows[0].columns:
        known["rereads"] = np.array([float(row.columns["passes"]) - 1 for row in rows])
    tile, launch = replace(call.menu[0], **known), call.library.launches[call.schedule]
    if rows[0].columns.get("stream_k"):
        call = replace(call, activity=launch.streamed)
    return replace(call, menu=(tile,), resolve=launch.completes)


def reduction(columns: Mapping[str, Any], sizes: Mapping[str, Any]) -> Cascade:
    """A sum or maximum (`amax`) of `reduced` numbers to each of `outputs`, as a cascade."""
    op, axis = str(columns["op"]), str(columns["axis"])
    indices = "n, a" if axis == "first" else "a, n"
    operator = {"sum": "sum", "amax": "max"}[op]
    ranks = {"a": sizes["outputs"], "n": sizes["reduced"]}
    text = f"Y[a] = {operator}(n) X[{indices}]"
    return parse(text, sizes=ranks, dtypes={"*": str(columns["dtype"])}, name=f"{op} over {axis}")


MADE: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Cascade]] = {
    "reduce": reduction,
    "convolution": windows.convolution,
    "pool": windows.pool,
    "scatter": irregular.scatter,
    "gather": irregular.gather,
    "cumsum": irregular.cumsum,
    "sort": irregular.sort,
    "cross_entropy": irregular.cross_entropy,
    **fused.MADE,
}
"""Family -> the cascade of rows of one form, where it is no shipped workload."""


def _group(rows: list[Row]) -> Group:
    columns = rows[0].columns
    family = str(columns["family"])
    if family not in SIZES:
        raise InputError(f"row of family {family!r}: expected one of {', '.join(SIZES)}")
    sizes = {name: np.array([float(row.columns[name]) for row in rows]) for name in SIZES[family]}
    for name in MORE_SIZES.get(family, ()):
        if any(name in row.columns for row in rows):
            sizes[name] = np.array([float(row.columns.get(name, 1)) for row in rows])
    told = (name for name in STATED if name not in ("repeated", "rotated"))
    stated = ("dtype", "causal", "routing", *told, *MORE_STATED.get(family, ()))
    options = {name: columns[name] for name in stated if name in columns}
    if family in MADE:
        cascade = MADE[family](columns, sizes)
    else:
        cascade = lone(WORKLOADS[family](**sizes, **options))
    assert cascade is not None, family
    calls = lower(cascade, str(columns["kernel"]))
    if columns.get("repeated"):
        calls = repeated(calls, bool(columns.get("rotated")))
    if LAUNCHED + "warps" in columns:
        calls = tuple(_launched(call, rows) for call in calls)
    measured = [float(row.columns.get("time_s", float("nan"))) for row in rows]
    return Group(tuple(rows), cascade, calls, np.array(measured))
