"""Products by the thousand: kernels and times of cold calls, many cases in a profiler's pass.

A timer's graph takes a fifth of a second a case; here a case takes some hundredths. Each is called
`CALLS` times, each time on inputs that no call has read before (they walk through the pools), with
a marker between cases and a rest after some milliseconds of work, so that the L2 is cold and the
power limit stays away. What the driver's records say of a call's kernels is kept: names, grids, the
median over all calls but the first of each kernel's time, and of the span from the first kernel's
start to the last one's end. Neither holds the launch, nor the gap between two nodes of a graph,
some 1 us that `time_s` of other rows has.

Cases are first those of stored rows (the stage `passes` measures them again, so that the kernel of
a timed row is known), then new ones: bf16 most of all, other formats, fp8 with a scale for each row
by cuBLAS and by vLLM. `large_products` are products whose operands exceed the L2 many times, for
counters of the DRAM.
"""

# pyright: basic, reportMissingImports=false

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.measure import vllm_products
from hwmodel.validation.measure.arena import Arena, Carver
from hwmodel.validation.measure.cases import build_of
from hwmodel.validation.measure.launches import split_at_markers
from hwmodel.validation.measure.shapes import (
    HOT_BYTES_PER_S,
    HOT_FLOP_PER_S,
    MODEL_LINEAR,
    Case,
    draw_gemm,
    draws,
    size,
    work,
)
from hwmodel.validation.measure.trace_events import gpu_events
from hwmodel.validation.rows import PASS, SIZES, Row, read_rows

CALLS = 7
"""Of each case; the first warms caches of instructions and descriptors, and is not timed."""

CHUNK = 200
BUSY_S = 8e-3
"""Work after which the board rests as long."""

MIXED = (
    *("bf16",) * 8,
    *(("fp8", "cublas"), ("fp8", "cublas-fast-accum"), ("fp8", "cublas-row-scales")),
    *(("fp8", "cublas-row-scales-fast-accum"), "tf32", "fp16", "fp32"),
    *(("fp8", vllm_products.KERNEL),) * 2,
)
"""Formats, or formats and kernels, of new cases in turn."""

LARGE = (
    (16384, 16384, 16384), (4096, 57344, 8192), (8192, 8192, 8192), (8192, 28672, 8192),
    (16384, 4096, 14336), (4096, 128256, 4096), (16384, 57344, 8192), (12288, 12288, 12288),
)  # fmt: skip
LARGE_SIZES, LARGE_FLOP = (2048, 32768), (3e11, 1.2e13)
MOST_OUTPUTS = 1e9


def pass_cases(seed: int, device: str = "h200") -> Iterator[Case]:
    """Products of stored rows of a device, each once, then new ones without end."""
    yield from {row.shape: case_of(row) for row in _products(read_rows(device))}.values()
    sources = {each: _drawn(seed, each) for each in dict.fromkeys(MIXED)}
    while True:
        for each in MIXED:
            yield next(sources[each])


def _products(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        timed = row.columns["family"] == "gemm" and row.columns.get("pass") != PASS["pass"]
        if timed and str(row.columns["kernel"]).startswith("cublas"):
            yield row


def case_of(row: Row) -> Case:
    """The case of a stored row."""
    columns = row.columns
    shape = {name: int(columns[name]) for name in SIZES["gemm"]}
    return Case("gemm", str(columns["kernel"]), str(columns["dtype"]), shape)


def _drawn(seed: int, kind: str | tuple[str, str]) -> Iterator[Case]:
    dtype, kernel = (kind, "cublas") if isinstance(kind, str) else kind
    if kernel == vllm_products.KERNEL:
        return draws(seed, "pass" + kernel, layer_rows)
    return draws(seed, "pass" + dtype + kernel, lambda rng: draw_gemm(rng, dtype, kernel))


def layer_rows(rng: np.random.Generator) -> Case:
    """Scaled products of vLLM: a layer of a model by any number of rows, or any product."""
    drawn = draw_gemm(rng, "fp8", vllm_products.KERNEL)
    if rng.random() < 0.4:
        return drawn
    n, k = MODEL_LINEAR[rng.integers(len(MODEL_LINEAR))]
    return replace(drawn, shape={"M": int(rng.integers(1, 4097)), "N": n, "K": k})


def large_products(seed: int) -> Iterator[Case]:
    """Products of thousands by thousands: fixed ones in bf16, then two in bf16 and one in fp8."""
    for m, n, k in LARGE:
        yield Case("gemm", "cublas", "bf16", {"M": m, "N": n, "K": k})
    rng = np.random.default_rng([seed, *b"large"])
    while True:
        for dtype in ("bf16", "bf16", "fp8"):
            yield _large(rng, dtype)


def _large(rng: np.random.Generator, dtype: str) -> Case:
    while True:
        m, n, k = (size(rng, *LARGE_SIZES, 64) for _ in range(3))
        if m * n <= MOST_OUTPUTS and LARGE_FLOP[0] <= 2.0 * m * n * k <= LARGE_FLOP[1]:
            return Case("gemm", "cublas", dtype, {"M": m, "N": n, "K": k})


def record_cold(cases: Sequence[Case], arena: Arena) -> list[list[dict[str, Any]] | str]:
    """For each case its kernels with their times, or the words in which it was refused."""
    from hwmodel.validation.measure.timer import rest  # asks for the driver's library

    marker = torch.zeros(8, dtype=torch.int16, device=arena.device)
    refused: dict[int, str] = {}
    carver = Carver(arena)
    calls = [_prepared(case, carver, refused, at) for at, case in enumerate(cases)]
    torch.cuda.synchronize()
    rest(2 * BUSY_S)
    busy_s = 0.0
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        for at, (case, each) in enumerate(zip(cases, calls, strict=True)):
            marker.fill_(1)
            busy_s += CALLS * least_s(case)
            try:
                for call in each:
                    call()
            except RuntimeError as error:
                refused[at] = str(error)[:200]
            if busy_s > BUSY_S:
                torch.cuda.synchronize()
                rest(busy_s)
                busy_s = 0.0
        marker.fill_(1)
        torch.cuda.synchronize()
    groups = split_at_markers(gpu_events(trace))
    found: list[list[dict[str, Any]] | str] = []
    for at, group in enumerate(groups[: len(cases)]):
        found.append(refused[at] if at in refused else medians(group, CALLS))
    return found


def least_s(case: Case) -> float:
    """Seconds of a call, roughly: by its work at half of a peak, or its bytes."""
    flop, _, once = work(case)
    return max(flop / (2 * HOT_FLOP_PER_S[case.dtype]), once / HOT_BYTES_PER_S)


def _prepared(
    case: Case, carver: Carver, refused: dict[int, str], at: int
) -> list[Callable[[], Any]]:
    """The calls of a case, of which one has run, so that modules are loaded."""
    make = vllm_products.builder if case.kernel == vllm_products.KERNEL else build_of
    try:
        build = make(case)
        calls = [build(carver) for _ in range(CALLS)]
        calls[0]()
    except (RuntimeError, OSError, AttributeError, HwmodelError) as error:
        refused[at] = str(error)[:200]
        return []
    return calls


def medians(launched: Sequence[dict[str, Any]], calls: int) -> list[dict[str, Any]] | str:
    """Kernels of one call with the medians of their times over all calls but the first.

    `launched` are those of all calls in order, with `start_s` and `traced_s`. Where calls do not
    launch one and the same list of kernels, the words for that.
    """
    each, over = divmod(len(launched), calls)
    names = [launch["name"] for launch in launched]
    if over or not each or names != names[:each] * calls:
        return f"{len(launched)} kernels in {calls} calls, not the same in each: {names[:3]}"
    parts = [launched[at : at + each] for at in range(each, len(launched), each)]
    spans = [p[-1]["start_s"] + p[-1]["traced_s"] - p[0]["start_s"] for p in parts]
    found: list[dict[str, Any]] = []
    for index, first in enumerate(parts[0]):
        told = {name: value for name, value in first.items() if name != "start_s"}
        told["traced_s"] = median(part[index]["traced_s"] for part in parts)
        found.append(told | {"calls": len(parts)} | ({} if index else {"span_s": median(spans)}))
    return found
