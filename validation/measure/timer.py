"""The time of one call among many in a CUDA graph, with a cold L2.

Method. `calls` calls of a kernel are captured in one graph; call i works on input set i modulo
`sets`. The sets together exceed the L2 several times; where even one set for each call does not
reach that, the L2 is flushed by a read of a large buffer between replays. Outputs are kept in a
ring as long as the sets, so that they are not rewritten while warm. Each replay is timed by a pair
of events; the median over replays, less the cost of an empty replay, over `calls`, is `time_s`.
Host launch is excluded; the gap between graph nodes is included. Units: seconds, bytes.

Power. On an H200 a call of heavy matrix work runs at the full clock for some 40 ms after a rest;
then the power limit lowers the clock, and 100 ms later the time is steady, up to 17 % longer; a
rest of 80 ms restores it (seen on two boards, 2026-11-22). So two times are taken: `time_s` within
some 25 ms after a rest, and for calls of heavy matrix work `sustained_time_s`, the median past
125 ms of unbroken repetition.

The cost of an empty replay is the intercept of a line through the times of graphs of 40 to 320
tiny kernels; its slope is the time of a tiny kernel with its gap.
"""

# pyright: basic, reportMissingImports=false

import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from hwmodel.validation.measure.arena import Arena, Carver
from hwmodel.validation.measure.board import L2_BYTES, Board, Reading

Call = Callable[[], Any]
Build = Callable[[Carver], Call]
"""Takes one set of inputs and returns the call that works on it."""

COLD_BYTES = 5 * L2_BYTES
REPLAY_S = 800e-6
MEASURE_S = 22e-3
MOST_CALLS = 400
LEAST_REPLAYS, MOST_REPLAYS = 2, 15
LONG_CALL_S = 1e-3
THROTTLED_S, HOLD_S = 0.125, 0.25
LONGEST_REST_S = 0.15
RESERVED_LIMIT_BYTES = 90e9


@dataclass(frozen=True)
class Timing:
    """What one measurement says: seconds for one call, and how it was taken."""

    time_s: float
    p10_s: float
    p90_s: float
    calls: int
    replays: int
    sets: int
    set_bytes: int
    flushed: bool
    clock_hz: float
    power_w: float
    temperature_c: float
    sustained_time_s: float | None
    sustained_clock_hz: float | None
    facts: dict[str, float]


@dataclass(frozen=True)
class Prepared:
    """A captured graph, the input sets that it works on, and what was noted while making them."""

    sets: list[Call]
    graph: torch.cuda.CUDAGraph
    calls: int
    set_bytes: int
    flush: bool
    facts: dict[str, float]


@dataclass
class Timer:
    """One stream, one graph memory pool and one arena, used for every measurement of a sitting."""

    board: Board
    arena: Arena = field(default_factory=Arena)
    replay_s: float = 0.0
    stream: torch.cuda.Stream = field(default_factory=torch.cuda.Stream)
    flush_buffer: torch.Tensor | None = None
    pool: Any = None
    keeper: Any = None

    def __post_init__(self) -> None:
        self.new_pool()

    def new_pool(self) -> None:
        """A fresh memory pool for graphs; what the old one holds is given back."""
        self.keeper = None
        torch.cuda.empty_cache()
        self.change_pool()

    def change_pool(self) -> None:
        """A fresh memory pool for graphs, held open by a graph that is never replayed.

        One in which a capture has failed can take no other.
        """
        self.pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self.stream):
            graph.capture_begin(pool=self.pool)
            held = torch.zeros(1, device="cuda")
            graph.capture_end()
        self.keeper = (graph, held)

    def flush(self) -> None:
        """Reads a buffer of several L2 capacities, which which fills it with other, clean data."""
        if self.flush_buffer is None:
            self.flush_buffer = torch.ones(COLD_BYTES // 4, dtype=torch.int32, device="cuda")
        torch.amax(self.flush_buffer)

    def capture(self, sets: list[Call], calls: int) -> torch.cuda.CUDAGraph:
        """A graph of `calls` calls that cycle over the sets."""
        graph = torch.cuda.CUDAGraph()
        outputs: deque[Any] = deque(maxlen=max(len(sets), 2))
        with torch.cuda.stream(self.stream):
            graph.capture_begin(pool=self.pool)
            try:
                for index in range(calls):
                    outputs.append(sets[index % len(sets)]())
            finally:
                graph.capture_end()
        return graph

    def estimate_s(self, call: Call) -> float:
        """A rough time of one call launched from the host, after it has been warmed."""
        with torch.cuda.stream(self.stream):
            call()
            start, stop = event_pair()
            start.record(self.stream)
            call()
            stop.record(self.stream)
            stop.synchronize()
            if start.elapsed_time(stop) < 20.0:
                start.record(self.stream)
                call()
                call()
                stop.record(self.stream)
                stop.synchronize()
                return max(start.elapsed_time(stop) * 1e-3 / 2, 1e-6)
        return start.elapsed_time(stop) * 1e-3

    def prepare(self, build: Build, most_sets: int) -> Prepared:
        """Input sets, and a graph of calls that cycles over them."""
        with torch.cuda.stream(self.stream):
            carver = Carver(self.arena)
            sets = [build(carver)]
            set_bytes = carver.taken_bytes
            call_s = self.estimate_s(sets[0])
            calls = min(math.ceil(REPLAY_S / call_s), MOST_CALLS)
            least = 2 if set_bytes > 1.5e9 or call_s > LONG_CALL_S else 3
            wanted = max(math.ceil(COLD_BYTES / max(set_bytes, 1)), least)
            count = min(wanted, max(calls, least), most_sets)
            sets += [build(carver) for _ in range(count - 1)]
            calls = math.ceil(calls / count) * count
            graph = self.capture(sets, calls)
        rest(4 * call_s)
        return Prepared(
            sets=sets,
            graph=graph,
            calls=calls,
            set_bytes=set_bytes,
            flush=count * set_bytes < 4 * L2_BYTES,
            facts={name: float(np.mean(values)) for name, values in carver.facts.items()},
        )

    def time(
        self, build: Build, *, most_sets: int = MOST_CALLS, hold_below_s: float = 0.0
    ) -> Timing:
        """The median marginal time of a call that `build` makes.

        A call shorter than `hold_below_s` (its work over a rate that draws much power) is also held
        in repetition until the clock is steady.
        """
        made = self.prepare(build, most_sets)
        elapsed_s, reading = self.replays(made.graph, made.flush)
        each = (np.asarray(elapsed_s) - self.replay_s) / made.calls
        low, middle, high = np.percentile(each, [10, 50, 90])
        sustained_s = clock_hz = None
        if middle < hold_below_s:
            sustained_s, clock_hz = self.hold(made.graph, float(np.median(elapsed_s)))
            sustained_s = (sustained_s - self.replay_s) / made.calls
            rest(LONGEST_REST_S)
        made.graph.reset()
        if torch.cuda.memory_reserved() > RESERVED_LIMIT_BYTES:
            self.new_pool()
        return Timing(
            time_s=float(middle),
            p10_s=float(low),
            p90_s=float(high),
            calls=made.calls,
            replays=len(each),
            sets=len(made.sets),
            set_bytes=made.set_bytes,
            flushed=made.flush,
            clock_hz=reading.clock_hz,
            power_w=reading.power_w,
            temperature_c=reading.temperature_c,
            sustained_time_s=sustained_s,
            sustained_clock_hz=clock_hz,
            facts=made.facts,
        )

    def hold(self, graph: torch.cuda.CUDAGraph, replay_s: float) -> tuple[float, float]:
        """Time of a replay and SM clock once repetition has lasted long enough to be steady."""
        warm = math.ceil(THROTTLED_S / replay_s)
        count = max(math.ceil((HOLD_S - THROTTLED_S) / replay_s), 3)
        with torch.cuda.stream(self.stream):
            for _ in range(warm):
                graph.replay()
            marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
            marks[0].record(self.stream)
            for mark in marks[1:]:
                graph.replay()
                mark.record(self.stream)
            marks[-2].synchronize()
            clock_hz = self.board.read().clock_hz
            self.stream.synchronize()
        pairs = itertools.pairwise(marks)
        return float(np.median([a.elapsed_time(b) * 1e-3 for a, b in pairs])), clock_hz

    def replays(self, graph: torch.cuda.CUDAGraph, flush: bool) -> tuple[list[float], Reading]:
        """Times of single replays, queued back to back, and the sensors while they run."""
        with torch.cuda.stream(self.stream):
            first_s = self.one_replay(graph, flush)
            if first_s < MEASURE_S / 4:
                first_s = min(first_s, self.one_replay(graph, flush))
            count = min(max(int(MEASURE_S / first_s), LEAST_REPLAYS), MOST_REPLAYS)
            pairs = [event_pair() for _ in range(count)]
            for start, stop in pairs:
                if flush:
                    self.flush()
                start.record(self.stream)
                graph.replay()
                stop.record(self.stream)
            reading = self.board.read()
            self.stream.synchronize()
        rest(count * first_s)
        return [start.elapsed_time(stop) * 1e-3 for start, stop in pairs], reading

    def one_replay(self, graph: torch.cuda.CUDAGraph, flush: bool) -> float:
        """The time of one replay on its own."""
        if flush:
            self.flush()
        start, stop = event_pair()
        start.record(self.stream)
        graph.replay()
        stop.record(self.stream)
        stop.synchronize()
        return start.elapsed_time(stop) * 1e-3

    def calibrate(self) -> dict[str, float]:
        """Fits the cost of an empty replay and of a tiny graph node; the first is subtracted."""
        counts = [40, 80, 160, 320]
        buffer = torch.randn(1024, device="cuda")
        medians: list[float] = []
        for count in counts:
            graph = self.capture([lambda: buffer.add_(1.0)], count)
            for _ in range(3):
                elapsed_s, _ = self.replays(graph, True)
            medians.append(float(np.median(elapsed_s)))
            graph.reset()
        node_s, replay_s = np.polyfit(counts, medians, 1)
        self.replay_s = float(max(replay_s, 0.0))
        return {"replay_s": self.replay_s, "node_s": float(node_s)}


def rest(busy_s: float) -> None:
    """Lets the power limiter forget `busy_s` of load; nothing for loads too short to matter."""
    if busy_s > 5e-3:
        time.sleep(min(busy_s, LONGEST_REST_S))


def event_pair() -> tuple[torch.cuda.Event, torch.cuda.Event]:
    """Two timing events."""
    return torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
