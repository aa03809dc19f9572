"""How many tasks a second the event simulation declares and runs, by what they are like.

    python benchmarks/events.py [TASKS]

Prints a table and asserts nothing. Seconds are of the processor: declaring the tasks, and
simulating them. A task is two or three events (its release, its start, its end). Aims: a million
tasks in seconds; 1,024 micro-batches through 64 stages, forward and backward, in one.
"""

import argparse
import random
import time
from collections.abc import Callable

from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Tasks


def pipeline(count: int) -> Tasks:
    """64 stages run forward and backward passes of micro-batches in 1F1B's order, in memory."""
    stages = 64
    micro = count // (2 * stages)
    tasks = Tasks()
    places = [tasks.resource(f"stage {s}", order="program") for s in range(stages)]
    buffers = [tasks.buffer(f"memory {s}") for s in range(stages)]
    forward: list[int] = []
    earlier: list[int] = []
    for s, (place, buffer) in enumerate(zip(places, buffers, strict=True)):
        ahead, held = min(micro, stages - s), {buffer: 1}
        fed, forward, backward = forward, list[int](), list[int]()
        for i in range(ahead + micro):
            if i < micro:
                before = fed[i] if fed else ()
                forward.append(tasks.task("F", 1.0, place, before, takes=held))
            if i >= ahead - 1 and len(backward) < micro:
                backward.append(tasks.task("B", 2.0, place, gives=held))
        for first, second in zip(backward, earlier, strict=False):
            tasks.link(first, second)
        earlier = backward
    return tasks


def chains(count: int) -> Tasks:
    """A hundred stages in a row, without memory: (m + p - 1) t."""
    tasks, stages = Tasks(), 100
    before: list[int] = []
    for s in range(stages):
        place = tasks.resource(f"stage {s}")
        before = [
            tasks.task("F", 1.0, place, before[i] if before else ()) for i in range(count // stages)
        ]
    return tasks


def queue(count: int) -> Tasks:
    """One server at nine tenths of its load, every arrival at an instant of its own."""
    tasks, draw, now = Tasks(), random.Random(1), 0.0
    desk = tasks.resource("desk")
    for _ in range(count):
        now += draw.expovariate(0.9)
        tasks.task("request", 1.0, desk, release_s=now)
    return tasks


def graph(count: int) -> Tasks:
    """Random precedence over sixteen resources of four units each, with priorities."""
    tasks, draw = Tasks(), random.Random(2)
    places = [tasks.resource(f"r{i}", 4) for i in range(16)]
    for i in range(count):
        after = (draw.randrange(max(0, i - 100), i), draw.randrange(i)) if i else ()
        place, urgency = places[draw.randrange(16)], draw.randrange(3)
        tasks.task("t", draw.random(), place, after, priority=urgency)
    return tasks


def callbacks(count: int) -> Tasks:
    """Steps of an engine, each of which asks for the next when it ends."""
    tasks, left = Tasks(), [count]
    device = tasks.resource("device")

    def step(tasks: Tasks, _: float) -> None:
        if left[0] > 0:
            left[0] -= 1
            tasks.task("step", 0.5, device, then=step)

    tasks.task("start", 0.0, then=step)
    return tasks


KINDS: dict[str, Callable[[int], Tasks]] = {
    "1F1B, 64 stages, memory": pipeline,
    "100 stages in a row": chains,
    "queue of one server": queue,
    "graph, priorities": graph,
    "callbacks": callbacks,
}


def main() -> None:
    """A line for each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tasks", nargs="?", type=int, default=1_000_000)
    count = parser.parse_args().tasks
    print(f"{'':<26}{'tasks':>10}{'declare':>10}{'simulate':>10}{'tasks/s':>10}{'makespan':>12}")
    for name, kind in KINDS.items():
        for size in (131_072, count) if kind is pipeline else (count,):
            began = time.process_time()
            tasks = kind(size)
            declared = time.process_time()
            timeline = simulate(tasks)
            ended = time.process_time()
            done, seconds = len(timeline.names), ended - declared
            print(
                f"{name:<26}{done:>10,}{declared - began:>8.2f} s{seconds:>8.2f} s"
                f"{done / seconds:>10,.0f}{timeline.makespan_s:>12,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
