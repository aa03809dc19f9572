"""Profiles of a run on a GPU: kernels, how long each took, and which call of a framework ran it.

Read are traces of torch.profiler (Chrome's `traceEvents`, plain or gzipped; with `record_shapes`
calls have shapes), and CSV of Nsight Systems (`nsys stats --report cuda_gpu_trace --format csv`, or
`cuda_gpu_kern_sum`) and of Nsight Compute (`ncu --csv --page raw`, or its details), which has no
shapes, but bytes where they were counted.

A kernel of a trace is launched by a call of the runtime of the same `correlation`; the calls of the
framework that are open on that thread at that moment are those that it belongs to, the innermost
first.
"""

import csv
import gzip
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable
from hwmodel.quantity.reading import bytes_of, name_of

TRACE_BYTES = 2**30
"""Of one profile, unpacked."""
PLACES = {
    **dict.fromkeys(("cpu_op", "operator"), "call"),
    **dict.fromkeys(("cuda_runtime", "cuda_driver", "runtime", "hip_runtime"), "launch"),
    "kernel": "kernel",
}
"""Category of an event -> what it is."""


@dataclass(frozen=True)
class Op:
    """A call of a framework: its name; of its arguments shapes, types, plain values, strides."""

    name: str
    dims: tuple[Any, ...] = ()
    types: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    strides: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Ran:
    """A kernel that ran: seconds in all of `runs`, and the calls that it belongs to.

    `call` tells launches of one call from those of others, of the same shapes too; `dram_bytes` are
    those that counters saw, where any did.
    """

    name: str
    seconds: float
    runs: int = 1
    ops: tuple[Op, ...] = ()
    call: int | None = None
    dram_bytes: float | None = None


@dataclass(frozen=True)
class Profile:
    """What a profile holds: its kernels, and the device as it names it."""

    kernels: tuple[Ran, ...]
    device: str = ""
    kind: str = ""

    @property
    def seconds(self) -> float:
        """Of all kernels, one after the other."""
        return sum(each.seconds for each in self.kernels)


def profile_of(path: str | Path) -> Profile:
    """Read a profile; `InputError` says what is wrong with it."""
    data = bytes_of(path, most=TRACE_BYTES)
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as stream:
                data = stream.read(TRACE_BYTES + 1)
        except (OSError, EOFError) as error:
            raise InputError(f"{name_of(path)}: no valid gzip: {error}") from None
        if len(data) > TRACE_BYTES:
            raise InputError(f"{name_of(path)}: expected at most {TRACE_BYTES:,} bytes, found more")
    text = data.decode("utf-8-sig", "replace")
    found = _of_trace(text, path) if text.lstrip()[:1] in ("{", "[") else _of_table(text, path)
    if not found.kernels:
        raise InputError(f"{name_of(path)}: expected kernels of a GPU, found none")
    return found


def _of_trace(text: str, path: str | Path) -> Profile:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name_of(path)}: no valid JSON: {error}") from None
    whole = cast(dict[str, Any], held) if isinstance(held, dict) else {"traceEvents": held}
    events = whole.get("traceEvents")
    if not isinstance(events, list):
        fields = ", ".join(map(printable, list(whole)[:6])) or "none"
        raise InputError(
            f"{name_of(path)}: expected a table traceEvents of torch.profiler, or results of a"
            f" benchmark of vLLM or SGLang, found fields {fields}"
        )
    known = [_table(each) for each in cast(list[Any], whole.get("deviceProperties") or [])]
    device = str(known[0].get("name", "")) if known else ""
    kinds: dict[str, list[dict[str, Any]]] = {"kernel": [], "call": [], "launch": []}
    for event in map(_table, cast(list[Any], events)):
        place = PLACES.get(str(event.get("cat", "")).lower())
        if place is not None and isinstance(event.get("dur"), (int, float)):
            kinds[place].append(event)
    launched = {_argument(each, "correlation"): each for each in kinds["launch"]}
    open_at = _Open(kinds["call"])
    kernels: list[Ran] = []
    for each in kinds["kernel"]:
        launch = launched.get(_argument(each, "correlation"))
        ops, call = ((), None) if launch is None else open_at(launch)
        seconds = float(each["dur"]) * 1e-6
        kernels.append(Ran(printable(str(each.get("name"))), seconds, ops=ops, call=call))
    return Profile(tuple(kernels), device, "torch.profiler")


def _table(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _argument(event: Mapping[str, Any], name: str) -> Any:
    held = event.get("args")
    return cast(dict[str, Any], held).get(name) if isinstance(held, dict) else None


class _Open:
    """Which calls are open on a thread at a moment."""

    def __init__(self, calls: Iterable[dict[str, Any]]) -> None:
        by_thread: dict[Any, list[dict[str, Any]]] = {}
        for each in calls:
            by_thread.setdefault((each.get("pid"), each.get("tid")), []).append(each)
        self.threads: dict[Any, tuple[list[float], list[dict[str, Any]], list[int]]] = {}
        for thread, held in by_thread.items():
            held.sort(key=lambda each: (float(each["ts"]), -float(each["dur"])))
            outer: list[int] = []
            stack: list[int] = []
            for place, each in enumerate(held):
                while stack and _end(held[stack[-1]]) <= float(each["ts"]):
                    stack.pop()
                outer.append(stack[-1] if stack else -1)
                stack.append(place)
            self.threads[thread] = ([float(each["ts"]) for each in held], held, outer)

    def __call__(self, launch: Mapping[str, Any]) -> tuple[tuple[Op, ...], int | None]:
        found = self.threads.get((launch.get("pid"), launch.get("tid")))
        if found is None:
            return (), None
        starts, held, outer = found
        moment = float(launch["ts"])
        place = bisect_right(starts, moment) - 1
        ops: list[Op] = []
        call = None
        while place >= 0:
            if _end(held[place]) >= moment:
                ops.append(_op(held[place]))
                call = id(held[place]) if call is None else call
            place = outer[place]
        return tuple(ops), call


def _end(event: Mapping[str, Any]) -> float:
    return float(event["ts"]) + float(event["dur"])


def _op(event: Mapping[str, Any]) -> Op:
    def words(name: str) -> tuple[Any, ...]:
        held = _argument(event, name)
        return tuple(cast(list[Any], held)) if isinstance(held, list) else ()

    types = tuple(map(str, words("Input type")))
    values = tuple(map(str, words("Concrete Inputs")))
    strides = words("Input Strides")
    return Op(str(event.get("name")), words("Input Dims"), types, values, strides)


NAMES = ("Name", "Kernel Name")
HOST = ("Num Calls", "Result", "Tid", "Thread Name")
"""Columns of reports on calls of the host, such as cuda_api_sum and osrt_sum."""
SCALES = {
    **{"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3},
    **{"s": 1.0, "second": 1.0, "byte": 1.0, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9, "": 1.0},
}
"""Units of Nsight's columns -> SI."""
DURATION = ("gpu__time_duration.sum", "Duration")
DRAM = ("dram__bytes_read.sum", "dram__bytes_write.sum")
GPU = "device__attribute_display_name"


def _of_table(text: str, path: str | Path) -> Profile:
    """A CSV of Nsight: of several reports in one the first that names kernels of the GPU."""
    rows = [[each.strip() for each in row] for row in csv.reader(text.splitlines())]
    heads = {at: row for at, row in enumerate(rows) if any(name in row for name in NAMES)}
    if not heads:
        raise InputError(
            f"{name_of(path)}: expected a trace of torch.profiler or a CSV of nsys or ncu, with a"
            f" column {' or '.join(NAMES)}"
        )
    start = next((at for at, row in heads.items() if not set(HOST) & set(row)), None)
    if start is None:
        raise InputError(
            f"{name_of(path)}: expected kernels of a GPU, found calls of the host; nsys stats"
            " --report cuda_gpu_kern_sum lists kernels"
        )
    head, below = rows[start], rows[start + 1 :]
    body = list(takewhile(bool, below))  # up to a blank line
    if "Metric Name" in head:  # rows of metrics end before what is of rules
        body = [row + [""] * (len(head) - len(row)) for row in body]
    body = [row for row in body if len(row) == len(head)]
    try:
        if "Metric Name" in head:
            return _of_metrics(head, body)
        if any(name in head for name in DURATION):
            return _of_counters(head, body)
        return _of_nsys(head, body, path)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name_of(path)}: expected a number: {error}") from None


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _of_nsys(head: Sequence[str], body: Sequence[Sequence[str]], path: str | Path) -> Profile:
    """Launches one by one (`Duration (ns)`), or kernels in sum (`Total Time (ns)`, `Instances`)."""
    time = next((n for n in head if n.startswith(("Duration", "Total Time"))), None)
    if time is None:
        told = f"Duration, Total Time or {DURATION[0]}"
        raise InputError(f"{name_of(path)}: expected a column {told}, found {head}")
    unit = SCALES.get(time.partition("(")[2].rstrip(")"), 1e-9)
    name, runs = head.index(next(n for n in NAMES if n in head)), None
    if "Instances" in head:
        runs = head.index("Instances")
    place = head.index(time)
    kernels = [
        Ran(
            printable(row[name]), _number(row[place]) * unit, int(_number(row[runs])) if runs else 1
        )
        for row in body
        if not row[name].startswith("[CUDA mem")
    ]
    place = head.index("Device") if "Device" in head and body else None
    device = "" if place is None else printable(body[0][place].rpartition(" (")[0])
    return Profile(tuple(kernels), device, "nsys")


def _of_counters(head: Sequence[str], body: Sequence[Sequence[str]]) -> Profile:
    """A row a launch (`--page raw`); the row below the head has units."""
    units, launches = dict(zip(head, body[0], strict=True)), body[1:]
    time = next(name for name in DURATION if name in head)
    kernels: list[Ran] = []
    device = ""
    for row in (dict(zip(head, each, strict=True)) for each in launches):
        device = device or printable(row.get(GPU, ""))
        seconds = _number(row[time]) * SCALES.get(units[time], 1e-9)
        moved = [_number(row[n]) * SCALES.get(units[n], 1.0) for n in DRAM if row.get(n)]
        name = printable(next(row[n] for n in NAMES if n in row))
        kernels.append(Ran(name, seconds, dram_bytes=sum(moved) if moved else None))
    return Profile(tuple(kernels), device, "ncu")


def _of_metrics(head: Sequence[str], body: Sequence[Sequence[str]]) -> Profile:
    """A row a metric of a launch (details): launches are told apart by `ID`."""
    found: dict[str, Ran] = {}
    for row in (dict(zip(head, each, strict=True)) for each in body):
        launch = found.setdefault(row["ID"], Ran(printable(row["Kernel Name"]), 0.0))
        scale = SCALES.get(row.get("Metric Unit", ""), 1.0)
        if row["Metric Name"] in DURATION:
            found[row["ID"]] = replace(launch, seconds=_number(row["Metric Value"]) * scale)
        elif row["Metric Name"] in DRAM:
            moved = (launch.dram_bytes or 0.0) + _number(row["Metric Value"]) * scale
            found[row["ID"]] = replace(launch, dram_bytes=moved)
    return Profile(tuple(each for each in found.values() if each.seconds), kind="ncu")
