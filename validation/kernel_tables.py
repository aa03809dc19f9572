"""Tables of timed kernels as rows for a fit: published ones, and a plain CSV of anyone's own.

The plain layout has a header and a line a kernel: the fields of a case by their names, and a time.

    workload,M,N,K,dtype,weight_dtype,kernel,l2,time_us
    gemm,64,4096,4096,bf16,,cublas,cold,12.6

`workload` may be left out for gemm, `dtype` for bf16, `kernel` for torch's choice, `l2` for cold;
the time is `time_s`, `time_ms`, `time_us` or `time_ns`.
The layout of aiconfigurator-core (Apache-2.0) has a
file for each GPU and family; its linear layers say `gemm_dtype, framework, version, kernel_source,
m, n, k, latency_us`, were timed with a warm L2, and are the engine's own but in 16 bits, where all
engines call cuBLAS. Nothing of such tables is shipped: a calibration that was fitted to one says so
in its family's `source`.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwmodel.machines.gpu.libraries.shipped import libraries
from hwmodel.machines.run import COLD, L2
from hwmodel.quantity.errors import InputError, nearest
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import amount
from hwmodel.text.frames import columns_in, is_frame
from hwmodel.validation import engine_tables
from hwmodel.validation.rows import FORMS, MORE_SIZES, SIZES, Row, kernels_known

FORMATS: Mapping[str, Mapping[str, str]] = {
    "bfloat16": {"dtype": "bf16"},
    "float16": {"dtype": "fp16"},
    "fp8": {"dtype": "fp8"},
    "fp8_block": {"dtype": "fp8", "weight_dtype": "fp8@16384:32"},
    "int8_wo": {"dtype": "bf16", "weight_dtype": "int8"},
    "int4_wo": {"dtype": "bf16", "weight_dtype": "int4@128:16"},
    "nvfp4": {"dtype": "nvfp4"},
    "sq": {"dtype": "int8"},
}
"""Formats of linear layers as that package calls them -> fields of a case."""

YES_OR_NO = ("causal", "gated")
TIMES = {"time_s": "s", "time_ms": "ms", "time_us": "us", "time_ns": "ns"}
WORDS = ("workload", "dtype", "weight_dtype", "kernel", *YES_OR_NO, "routing")
"""Fields of a plain line that are no sizes."""

PLAIN = tuple(each for each in SIZES if set(FORMS.get(each, ())) <= {"family", *WORDS})
"""Families whose rows say no more than that."""


def _layer(line: Mapping[str, str]) -> dict[str, Any] | None:
    """A linear layer of aiconfigurator-core; None of a format that no case has."""
    form = FORMATS.get(line["gemm_dtype"])
    if form is None:
        return None
    wide = line["gemm_dtype"] in ("bfloat16", "float16")
    rotated = {"rotated": True} if line["framework"] in ROTATED else {}
    return {
        **{"family": "gemm", "kernel": "cublas" if wide else line["framework"], "repeated": True},
        **form,
        **rotated,
        **{name.upper(): float(line[name]) for name in ("m", "n", "k")},
        "time_s": float(line["latency_us"]) * 1e-6,
    }


ROTATED = ("sglang",)
"""Engines whose timings take activations in turn, too: where those of others find them again, these
do not (products of few columns and weights take up to 2.9 times as long)."""


LAYOUTS: Mapping[str, Callable[[Mapping[str, str]], dict[str, Any] | None]] = {
    "gemm_dtype": _layer,
    "attn_dtype": engine_tables.attention,
    "mla_dtype": engine_tables.latent_attention,
    "moe_dtype": engine_tables.experts,
}
"""A column that tells a published layout -> what a line of it says; None of unknown kernels."""


@dataclass(frozen=True)
class Read:
    """A table's rows whose kernels are modelled, and what was passed over."""

    rows: list[Row]
    unknown: Mapping[str, int]
    """Kernels of lines that no row stands for -> how many lines."""
    unread: tuple[str, ...]
    """Columns that say nothing that a row has."""

    @property
    def told(self) -> tuple[str, ...]:
        """What was passed over, in words, with near names that are known."""
        lines = [
            f"passed over: {count:,} line{'s' * (count > 1)} of {name}, no kernel that is known"
            f"{_near(name, libraries())}"
            for name, count in self.unknown.items()
        ]
        fields = (*WORDS, *TIMES, "l2", *(n for each in PLAIN for n in SIZES[each]))
        columns = [f"{name}{_near(name, fields)}" for name in self.unread]
        return (*lines, *([f"passed over: columns {', '.join(columns)}"] if columns else ()))


def _near(name: str, known: Iterable[str]) -> str:
    found = nearest(name, known)
    return f" (did you mean {found[0]}?)" if found else ""


def kernel_rows(table: Any) -> list[Row]:
    """The rows of a table whose kernels are modelled; `InputError` names line and column."""
    return read(table).rows


def read(table: Any) -> Read:
    """What a table says: the path of a CSV, or a data frame with its columns.

    Raises `InputError`, which names line and column, also where no row is of a kernel that is
    modelled.
    """
    path, lines = _lines(table)
    layout = next((LAYOUTS[name] for name in LAYOUTS if lines and name in lines[0]), None)
    found: list[Row] = []
    unknown: Counter[str] = Counter()
    for number, line in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        columns = _plain(line, where) if layout is None else layout(line)
        board = f"{line['framework']} {line['version']}" if layout else path.stem
        row = None if columns is None else Row(path.stem, board, columns)
        if row is not None and kernels_known(row):
            found.append(row)
        else:
            unknown[_kernel(line)] += 1
    own = {name for family in PLAIN for name in (*SIZES[family], *MORE_SIZES.get(family, ()))}
    stated = own.union(WORDS, TIMES, ("l2",))
    unread = () if layout else tuple(name for name in (lines or [{}])[0] if name not in stated)
    made = Read(found, unknown, unread)
    if not found:
        told = "; ".join(("expected lines of kernels that are modelled, found none", *made.told))
        raise InputError(f"{path}: {told}; docs/adding.md has the layouts")
    return made


def _kernel(line: Mapping[str, str]) -> str:
    """What a line calls its kernel, with its format where one layout has many."""
    said = (line.get(n) for n in ("framework", "kernel_source", *LAYOUTS, "kv_cache_dtype"))
    return line.get("kernel") or " ".join(each for each in said if each) or "torch"


FRAME = "table"
"""What messages call a data frame."""


def _lines(table: Any) -> tuple[Path, list[dict[str, str]]]:
    """The name of a table, and its lines in words."""
    if is_frame(table):
        rows = columns_in(table, FRAME)
        words = [["" if v is None else str(v) for v in values] for values in rows.values()]
        return Path(FRAME), [
            dict(zip(rows, line, strict=True)) for line in zip(*words, strict=True)
        ]
    if not isinstance(table, (str, Path)):
        told = "expected the path of a CSV, or a data frame"
        raise InputError(f"table: {told}, found {shown(table)}")
    path = Path(table)
    with path.open(encoding="utf-8", newline="") as text:
        return path, list(csv.DictReader(text))


def _plain(line: Mapping[str, str], where: str) -> dict[str, Any]:
    """A line of the plain layout."""
    family = line.get("workload") or "gemm"
    if family not in PLAIN:
        raise InputError(f"{where}: workload: expected one of {', '.join(PLAIN)}, found {family!r}")
    time = next((name for name in TIMES if line.get(name)), None)
    if time is None:
        raise InputError(f"{where}: expected one of {', '.join(TIMES)}, found none")
    columns: dict[str, Any] = {"family": family, "kernel": "torch", "dtype": "bf16"}
    columns |= {name: line[name] for name in WORDS[1:] if line.get(name)}
    state = line.get("l2") or COLD
    if state not in L2:
        raise InputError(f"{where}: l2: expected one of {', '.join(L2)}, found {state!r}")
    if state != COLD:
        columns["repeated"] = True
    columns |= {name: columns[name].lower() == "true" for name in YES_OR_NO if name in columns}
    more = (name for name in MORE_SIZES.get(family, ()) if line.get(name))
    for name in (*SIZES[family], *more):
        columns[name] = _number(line.get(name), f"{where}: {name}")
    columns["time_s"] = amount(f"{line[time]} {TIMES[time]}", "s", where=f"{where}: {time}")
    return columns


def _number(text: str | None, where: str) -> float:
    """A size as a table has it."""
    try:
        value = float(text or "")
    except ValueError:
        raise InputError(f"{where}: expected a whole number, found {text or 'none'}") from None
    return float(amount(value, None, where=where, whole=True))
