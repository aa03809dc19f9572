"""Which kernels run for thousands of convolutions, and how long each takes with a cold L2.

    python -m hwmodel.validation.measure.cold_traces --sitting NAME --seed 1 --seconds 300 --out DIR

A case costs some ten milliseconds here and a fifth of a second in `timer.py`: it is called once, so
that its plan and workspaces exist, then a few times more, each after a read of a large buffer, and
torch's profiler (CUPTI's activity records) says what ran. Half of the cases are layers of networks,
half are drawn (`window_shapes.py`); those of stored sittings come in between, whose whole times are
known by graphs.

Writes DIR/header.json, DIR/names.jsonl, kernels by number as they are first met, and
DIR/traces.jsonl: a case a line, with `kernels`, the launches of one call in order, each as
[number, grid, threads, shared bytes, registers, start after the first, duration], in microseconds,
medians over the calls.
"""

# pyright: basic, reportMissingImports=false

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.fit import is_test
from hwmodel.validation.measure.arena import Arena, Carver, pool_bytes
from hwmodel.validation.measure.board import L2_BYTES, describe, open_board
from hwmodel.validation.measure.cases import build_of
from hwmodel.validation.measure.network_layers import network_cases
from hwmodel.validation.measure.shapes import Case, feasible, work
from hwmodel.validation.measure.trace_events import Event, calls_of, gpu_events, median_launches
from hwmodel.validation.measure.window_shapes import MOST_BYTES, rarer_windows, window_cases
from hwmodel.validation.rows import DATA, SIZES, read_file

CHUNK = 200
"""Cases of one trace."""
TIMES = 3
"""Calls of a case after the first."""
FLUSHED_BYTES = 8 * L2_BYTES
"""Read before a call: the host has launched it all by then."""
MOST_FLOP = 6e11
RESERVED_BYTES = 60e9
REFUSALS = (RuntimeError, ValueError, TypeError, HwmodelError)
STORED = ("2026-11-29-u", "2026-11-29-ab")
"""Sittings of which the fitting half is traced, too."""
COLUMNS = ("op", "layout", "dims", "stride", "dilation", "pad", *SIZES["convolution"])


def stored_cases() -> Iterator[Case]:
    """Convolutions that graphs timed."""
    for sitting in STORED:
        folder = DATA / "h200" / sitting
        for row in read_file(folder / "convolution.csv", sitting, folder):
            if is_test(row):
                continue
            named = {name: row.columns[name] for name in COLUMNS if name in row.columns}
            shape = {k: v if isinstance(v, str) else int(v) for k, v in named.items()}
            yield Case("convolution", "torch", str(row.columns["dtype"]), shape)


def all_cases(seed: int) -> Iterator[Case]:
    """Networks, draws and stored cases in turn, but those that take long or much memory."""
    sources: list[Iterator[Case]] = [
        *(network_cases(seed), window_cases(seed), stored_cases()),
        *(network_cases(seed + 1), rarer_windows(seed), window_cases(seed + 1)),
    ]
    seen: set[str] = set()
    for source in cycle(sources):
        case = next(source, None)
        if case is None or case.family != "convolution" or str(case) in seen:
            continue
        flop, _, once = work(case)
        if feasible(case) and once <= MOST_BYTES and flop <= MOST_FLOP:
            seen.add(str(case))
            yield case


class Tracer:
    """The arena, the buffer that flushes and the numbers of kernels of one sitting."""

    def __init__(self, folder: Path) -> None:
        memory_bytes = torch.cuda.get_device_properties(0).total_memory
        self.arena = Arena(capacity_bytes=pool_bytes(memory_bytes))
        self.buffer = torch.ones(FLUSHED_BYTES // 4, dtype=torch.int32, device="cuda")
        self.marker = torch.zeros(8, dtype=torch.int16, device="cuda")
        self.names: dict[str, int] = {}
        self.names_file = (folder / "names.jsonl").open("w")

    def number(self, name: str) -> int:
        """A kernel's number, written down when it is first met."""
        if name not in self.names:
            self.names[name] = len(self.names)
            self.names_file.write(json.dumps([self.names[name], name]) + "\n")
            self.names_file.flush()
        return self.names[name]

    def run(self, case: Case) -> str | None:
        """All calls of a case between markers; the words in which the library refused it."""
        refused = None
        try:
            call = build_of(case)(Carver(self.arena))
            call()
        except REFUSALS as error:
            refused, call = str(error)[:200], None
        for _ in range(TIMES):
            torch.amax(self.buffer)
            self.marker.fill_(1)
            try:
                if call is not None:
                    call()
            except REFUSALS as error:
                refused = str(error)[:200]
            self.marker.fill_(1)
        torch.cuda.synchronize()
        if torch.cuda.memory_reserved() > RESERVED_BYTES:
            torch.cuda.empty_cache()
        return refused

    def traced(self, cases: Sequence[Case], until: float) -> list[dict[str, Any]]:
        """Rows of cases, of as many as there is time for."""
        refused: list[str | None] = []
        with profile(activities=[ProfilerActivity.CUDA]) as trace:
            for case in cases:
                if time.perf_counter() > until:
                    break
                refused.append(self.run(case))
        groups = calls_of(gpu_events(trace))
        if len(groups) != TIMES * len(refused):
            raise HwmodelError(
                f"cold_traces: expected {TIMES * len(refused)} calls in a trace, found"
                f" {len(groups)}; the profiler lost records"
            )
        rows: list[dict[str, Any]] = []
        for at, (case, words) in enumerate(zip(cases, refused, strict=False)):
            row = {"family": case.family, "kernel": case.kernel, "dtype": case.dtype}
            row |= dict(case.shape)
            calls = groups[TIMES * at : TIMES * (at + 1)]
            row |= {"error": words} if words else {"kernels": self.told(calls)}
            rows.append(row)
        return rows

    def told(self, calls: Sequence[Sequence[Event]]) -> list[list[Any]]:
        """Launches of a case as lists of numbers."""
        return [[self.number(name), *facts] for name, *facts in median_launches(calls)]


def main() -> None:
    """Parses the command line and traces until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sitting", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chunk", type=int, default=CHUNK)
    options = parser.parse_args()
    until = time.perf_counter() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    header = describe(open_board()) | {"sitting": options.sitting, "seed": options.seed}
    (options.out / "header.json").write_text(json.dumps(header, indent=1))
    torch.backends.cudnn.benchmark = False
    tracer, cases, done = Tracer(options.out), all_cases(options.seed), 0
    with (options.out / "traces.jsonl").open("w") as file:
        while time.perf_counter() < until:
            try:
                rows = tracer.traced(list(islice(cases, options.chunk)), until)
            except HwmodelError as error:
                print(error, flush=True)
                continue
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            done += len(rows)
            print(f"{done} cases, {until - time.perf_counter():.0f} s left", flush=True)


if __name__ == "__main__":
    main()
