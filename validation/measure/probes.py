"""What the board itself can do: bandwidths, matrix and exp rates, gaps, contention, power.

Each probe yields rows of (probe, setting, value, unit). Bandwidths count bytes read plus bytes
written; a matrix rate is 2MNK over the time. Units: SI.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl

from hwmodel.validation.measure.arena import Carver
from hwmodel.validation.measure.energy import measure_energy
from hwmodel.validation.measure.library import gemm
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.measure.timer import Timer, event_pair


@dataclass(frozen=True)
class Probe:
    """One measured property; `setting` is the varied quantity (bytes, addresses, size)."""

    probe: str
    setting: str
    value: float
    unit: str
    time_s: float


@triton.jit
def add_to_addresses(target, addresses, repeats, BLOCK: tl.constexpr):
    """Each lane adds 1 to address (lane index modulo `addresses`), `repeats` times over."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ones = tl.full((BLOCK,), 1.0, tl.float32)
    for turn in range(repeats):
        tl.atomic_add(target + (lane + turn * 7919) % addresses, ones, sem="relaxed")


@triton.jit
def repeat_exp(source, target, repeats, BLOCK: tl.constexpr):
    """exp2 applied `repeats` times to each lane, with a subtraction to stay in range."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(source + lane)
    b = a * 0.5
    c = a * 0.25
    d = a * 0.125
    for _ in range(repeats):
        a = tl.exp2(a) - 1.0
        b = tl.exp2(b) - 1.0
        c = tl.exp2(c) - 1.0
        d = tl.exp2(d) - 1.0
    tl.store(target + lane, a + b + c + d)


@triton.jit
def do_nothing(target):
    """An empty kernel."""


def bandwidths(timer: Timer) -> Iterator[Probe]:
    """Copy, read-only and write-only bandwidth of the DRAM against size."""
    for exponent in range(16, 32):
        size = 1 << exponent

        def copy(carver: Carver, elements: int = size // 2) -> Any:
            x = carver.take(elements)
            return lambda: x.clone()

        def double(carver: Carver, elements: int = size // 2) -> Any:
            x = carver.take(elements)
            return lambda: x * 2

        def read(carver: Carver, elements: int = size // 4) -> Any:
            x = carver.take(elements, dtype="fp32")
            return lambda: x.sum()

        def write(carver: Carver, elements: int = size // 4) -> Any:
            carver.take(elements, dtype="fp32")
            return lambda: torch.full((elements,), 1.5, device="cuda")

        for name, build, factor in (
            ("copy_bandwidth", copy, 2), ("multiply_bandwidth", double, 2),
            ("read_bandwidth", read, 1), ("write_bandwidth", write, 1),
        ):  # fmt: skip
            time_s = timer.time(build).time_s
            yield Probe(name, str(size), factor * size / time_s, "byte/s", time_s)


def l2_bandwidth(timer: Timer) -> Iterator[Probe]:
    """One small buffer multiplied into another over and over: read plus write; setting is both."""
    for size in (
        1 << 20,
        2 << 20,
        4 << 20,
        8 << 20,
        16 << 20,
        24 << 20,
        32 << 20,
        48 << 20,
        96 << 20,
    ):
        x = torch.randn(size // 4, device="cuda")
        y = torch.empty_like(x)
        graph = timer.capture([lambda x=x, y=y: torch.mul(x, 1.0001, out=y)], 50)
        elapsed_s, _ = timer.replays(graph, False)
        time_s = (float(np.median(elapsed_s)) - timer.replay_s) / 50
        graph.reset()
        yield Probe("l2_bandwidth", str(2 * size), 2 * size / time_s, "byte/s", time_s)


def matrix_rates(timer: Timer) -> Iterator[Probe]:
    """Large square products of each dtype, in a short burst and sustained."""
    for dtype, size in (("bf16", 8192), ("fp16", 8192), ("fp8", 8192), ("tf32", 8192),
                        ("fp32", 4096), ("bf16", 4096), ("fp8", 4096)):  # fmt: skip
        kernel = "cublas-fast-accum" if dtype == "fp8" else "cublas"
        case = Case("gemm", kernel, dtype, {"M": size, "N": size, "K": size})

        def build(carver: Carver, case: Case = case) -> Any:
            return gemm(case, carver)

        flop = 2.0 * size**3
        burst_s = timer.time(build).time_s
        yield Probe("matrix_rate_burst", f"{dtype} {size}", flop / burst_s, "FLOP/s", burst_s)
        if size == 8192:
            steady = measure_energy(timer, build, seconds=1.0)
            held_s = steady.sustained_time_s
            name = f"{dtype} {size}"
            yield Probe("matrix_rate_sustained", name, flop / held_s, "FLOP/s", held_s)
            yield Probe("matrix_power", name, steady.mean_power_w, "W", held_s)
            yield Probe("matrix_clock", name, steady.clock_hz, "Hz", held_s)


def exp_rate(timer: Timer) -> Iterator[Probe]:
    """exp2 on every lane of the board."""
    source = torch.randn(132 * 16 * 1024, device="cuda") * 0.1
    target = torch.empty_like(source)
    times: list[float] = []
    for repeats in (64, 256):

        def call(repeats: int = repeats) -> None:
            repeat_exp[(132 * 16,)](source, target, repeats, BLOCK=1024, num_warps=8)

        timer.estimate_s(call)
        graph = timer.capture([call], 10)
        elapsed_s, _ = timer.replays(graph, False)
        times.append((float(np.median(elapsed_s)) - timer.replay_s) / 10)
        graph.reset()
    time_s = times[1] - times[0]
    yield Probe("exp_rate", "fp32", source.numel() * 4 * 192 / time_s, "1/s", time_s)


def gaps(timer: Timer) -> Iterator[Probe]:
    """An empty kernel in a graph, and launched one by one from the host."""
    target = torch.zeros(1, device="cuda")

    def call() -> None:
        do_nothing[(1,)](target)

    timer.estimate_s(call)
    times: list[float] = []
    for count in (100, 400):
        graph = timer.capture([call], count)
        elapsed_s, _ = timer.replays(graph, False)
        times.append(float(np.median(elapsed_s)))
        graph.reset()
    node_s = (times[1] - times[0]) / 300
    yield Probe("graph_gap", "empty kernel", node_s, "s", node_s)
    tiny = torch.randn(1024, device="cuda")
    with torch.cuda.stream(timer.stream):
        start, stop = event_pair()
        start.record(timer.stream)
        for _ in range(500):
            tiny.add_(1.0)
        stop.record(timer.stream)
        stop.synchronize()
    eager_s = start.elapsed_time(stop) * 1e-3 / 500
    yield Probe("eager_launch", "tiny add", eager_s, "s", eager_s)
    yield Probe("graph_replay", "empty replay", timer.replay_s, "s", timer.replay_s)


def atomics(timer: Timer) -> Iterator[Probe]:
    """fp32 additions to memory against the number of distinct addresses."""
    target = torch.zeros(1 << 22, device="cuda")
    lanes, repeats = 132 * 8 * 256, 16
    for exponent in range(0, 23, 2):
        addresses = 1 << exponent

        def call(addresses: int = addresses) -> None:
            add_to_addresses[(132 * 8,)](target, addresses, repeats, BLOCK=256)

        timer.estimate_s(call)
        graph = timer.capture([call], 5)
        elapsed_s, _ = timer.replays(graph, False)
        time_s = (float(np.median(elapsed_s)) - timer.replay_s) / 5
        graph.reset()
        yield Probe("atomic_rate", str(addresses), lanes * repeats / time_s, "1/s", time_s)


ALL = (gaps, bandwidths, l2_bandwidth, exp_rate, atomics, matrix_rates)


def probe(timer: Timer) -> Iterator[Probe]:
    """Every probe in turn."""
    with torch.cuda.stream(timer.stream):
        for group in ALL:
            yield from group(timer)
