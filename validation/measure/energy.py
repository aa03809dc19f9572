"""Joules of a call in steady repetition, by the board's energy counter.

A graph of calls is replayed without a pause for a second or more. The counter moves in steps of
tens of milliseconds, so mean power is taken between two of its steps; energy_j is mean power times
the time of a call in that sustained state (`sustained_time_s`), idle power included. The L2 cannot
be flushed in between, so that calls on small inputs find it warm, and `l2` says so. Units: joules,
watts, seconds, hertz.
"""

# pyright: basic, reportMissingImports=false

import time
from dataclasses import dataclass

import numpy as np
import torch

from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.measure.timer import LONGEST_REST_S, Build, Prepared, Timer, rest

WARM_S = 0.4
BATCH_S = 20e-3


@dataclass(frozen=True)
class Energy:
    """Energy of one call and the state that it was measured in."""

    energy_j: float
    sustained_time_s: float
    mean_power_w: float
    clock_hz: float
    temperature_c: float
    calls: int
    window_s: float
    set_bytes: int
    l2: str


def measure_energy(
    timer: Timer, build: Build, *, seconds: float = 1.1, most_sets: int = 400
) -> Energy:
    """Replays until `seconds` have passed between two steps of the energy counter."""
    made = timer.prepare(build, most_sets)
    with torch.cuda.stream(timer.stream):
        once_s = min(timer.one_replay(made.graph, False) for _ in range(2))
        replays = max(1, round(BATCH_S / once_s))
        energy = steady(timer, made, replays, seconds)
    made.graph.reset()
    rest(LONGEST_REST_S)
    return energy


def steady(
    timer: Timer,
    made: Prepared,
    replays: int,
    seconds: float,
) -> Energy:
    """The replay loop: two batches are in flight while the host watches the counter."""
    board, steps, clocks = timer.board, [], []
    marks: list[tuple[float, torch.cuda.Event]] = []
    begin = time.perf_counter()
    counter_j = board.energy_j()
    while True:
        for _ in range(replays):
            made.graph.replay()
        mark = torch.cuda.Event(enable_timing=True)
        mark.record(timer.stream)
        marks.append((time.perf_counter(), mark))
        while True:
            now_j, now = board.energy_j(), time.perf_counter()
            if now_j != counter_j:
                counter_j = now_j
                if now - begin > WARM_S:
                    steps.append((now, now_j))
            if len(marks) < 3 or marks[-2][1].query():
                break
            time.sleep(0.5e-3)
        clocks.append(board.read())
        if len(steps) > 1 and steps[-1][0] - steps[0][0] >= seconds:
            break
        if time.perf_counter() - begin > 4 * seconds + 2:
            raise HwmodelError("the energy counter did not move; this board offers no energies")
    torch.cuda.synchronize()
    window_s = steps[-1][0] - steps[0][0]
    power_w = (steps[-1][1] - steps[0][1]) / window_s
    warm = next(i for i, (at, _) in enumerate(marks) if at - begin > WARM_S)
    device_s = marks[warm][1].elapsed_time(marks[-1][1]) * 1e-3
    call_s = device_s / ((len(marks) - 1 - warm) * replays * made.calls)
    return Energy(
        energy_j=power_w * call_s,
        sustained_time_s=call_s,
        mean_power_w=power_w,
        clock_hz=float(np.mean([c.clock_hz for c in clocks[len(clocks) // 3 :]])),
        temperature_c=clocks[-1].temperature_c,
        calls=made.calls,
        window_s=window_s,
        set_bytes=made.set_bytes,
        l2="warm" if made.flush else "cold",
    )
