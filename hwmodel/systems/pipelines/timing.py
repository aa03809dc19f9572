"""How long a schedule takes, and how much it keeps: each rank's passes in its order, in time.

A pass starts when its rank is free and what it needs has come. With the order of each rank fixed,
one walk over all passes finds the times: no list of events has to be kept, so that 1,024
micro-batches on 64 ranks take a fraction of a second. `tasks` states the same for the event
simulation (`systems.events`), which answers the same times, and takes other tasks beside.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.schedule import BW, KINDS, B, F, Layout, Passes, Schedule, W
from hwmodel.systems.pipelines.turns import Array, Turns
from hwmodel.systems.tasks import Task, Tasks

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timed:
    """When the entries of each rank start and end.

    Attributes:
        makespan_s: from the first start to the last end.
        busy_s: of each rank.
        span_s: of each rank, from its first start to its last end.
    """

    schedule: Schedule
    start_s: tuple[Array, ...]
    end_s: tuple[Array, ...]
    makespan_s: float
    busy_s: Array
    span_s: Array

    @property
    def bubble(self) -> float:
        """Share of all ranks' time during which they wait."""
        return float(1 - self.busy_s.mean() / self.makespan_s)


def needs(layout: Layout, passes: Passes, each: int) -> tuple[list[int], list[float]]:
    """By kind and stage: where the pass it needs is noted (-1: nowhere), and the way from there.

    Ends of forward passes are noted from 0 on, those of backward passes after them.
    """
    stages = len(layout.rank)
    base, way_s = [-1] * (4 * stages), [0.0] * (4 * stages)
    for stage, (before, after) in enumerate(zip(layout.before, layout.after, strict=True)):
        for kind, other, offset in ((F, before, 0), (B, after, stages), (BW, after, stages)):
            if other >= 0:
                base[kind * stages + stage] = (offset + other) * each
                if layout.rank[other] != layout.rank[stage]:
                    way_s[kind * stages + stage] = passes.transfer_s
            elif kind != F:
                base[kind * stages + stage] = stage * each
        base[W * stages + stage] = (stages + stage) * each
    return base, way_s


def timed(schedule: Schedule, passes: Passes) -> Timed:
    """The times of all passes; `InputError` where the orders wait for each other."""
    layout, each = schedule.layout, schedule.each
    stages, ranks = len(layout.rank), layout.ranks
    if len(passes.forward_s) != stages:
        raise InputError(
            f"passes: expected the seconds of {stages} stages, found {len(passes.forward_s)}"
        )
    if schedule.ran is not None and schedule.ran.passes == passes:
        return _of(schedule, schedule.ran.start_s, schedule.ran.end_s)
    if schedule.turns is not None:
        return _in_turn(schedule, schedule.turns, passes)
    walked = [_steps(schedule, rank, passes) for rank in range(ranks)]
    noted = array("d", [UNKNOWN]) * (2 * stages * each) + array("d", [0.0, 0.0])
    at, free_s = [0] * ranks, [0.0] * ranks
    starts, ends = [array("d") for _ in range(ranks)], [array("d") for _ in range(ranks)]
    queue = list(range(ranks))
    while queue:
        rank = queue.pop()
        mine, now = walked[rank], free_s[rank]
        needed, way_s, span_s, notes = mine.needed, mine.way_s, mine.span_s, mine.noted
        started, ended = starts[rank].append, ends[rank].append
        for place in range(at[rank], len(needed)):
            ready = noted[needed[place]]
            if ready < 0:
                noted[needed[place]] = UNKNOWN - 1 - rank
                break
            ready += way_s[place]
            if ready > now:
                now = ready
            started(now)
            now += span_s[place]
            ended(now)
            waits = noted[notes[place]]
            noted[notes[place]] = now
            if waits < UNKNOWN:
                queue.append(int(UNKNOWN - 1 - waits))
        at[rank], free_s[rank] = len(starts[rank]), now
    _check(schedule, [int((m.entries < n).sum()) for m, n in zip(walked, at, strict=True)])
    start_s = [np.array(each)[m.entries] for each, m in zip(starts, walked, strict=True)]
    return _of(
        schedule, start_s, [np.array(each)[m.entries] for each, m in zip(ends, walked, strict=True)]
    )


UNKNOWN = -1.0
"""An end that is not yet known; less one and the number of a rank, where that rank waits for it."""


@dataclass(frozen=True)
class Steps:
    """What a rank does, in order.

    Of an entry of two passes the first has a step before, in which its input is waited for, and one
    after, in which its end is noted. What needs nothing reads the last place of notes, and what is
    not noted writes the last but one.

    Attributes:
        needed, noted: where the end is noted that a step needs, and where its own.
        way_s: from what it needs.
        entries: the steps that are entries of the order.
    """

    needed: "array[int]"
    way_s: "array[float]"
    span_s: "array[float]"
    noted: "array[int]"
    entries: Numbers


def _steps(schedule: Schedule, rank: int, passes: Passes) -> Steps:
    layout, each = schedule.layout, schedule.each
    stages, codes = len(layout.rank), schedule.codes(rank)
    nowhere = 2 * stages * each
    base, way_s = (np.array(found) for found in needs(layout, passes, each))
    key, batch = np.divmod(codes, each)
    need = np.where(base[key] < 0, nowhere + 1, base[key] + batch)
    offset = np.where(key < stages, 0, stages)
    note = np.where(key // stages == W, nowhere, (offset + key % stages) * each + batch)
    seconds = np.array(passes.durations())[key]
    two = (codes[:, 1:] >= 0).any(axis=1)
    own = np.arange(len(codes)) + 2 * np.cumsum(two) - two
    last = np.arange(len(codes)), two.astype(np.int64)
    count = len(codes) + 2 * int(two.sum())
    needed, noted = np.full(count, nowhere + 1), np.full(count, nowhere)
    ways_s, spans_s = np.zeros(count), np.zeros(count)
    needed[own], noted[own], ways_s[own] = need[last], note[last], way_s[key][last]
    spans_s[own] = np.where(two, seconds.sum(axis=1) * passes.overlapped, seconds[:, 0])
    needed[own[two] - 1], ways_s[own[two] - 1] = need[two, 0], way_s[key][two, 0]
    noted[own[two] + 1] = note[two, 0]
    return Steps(
        array("q", needed.tobytes()),
        array("d", ways_s.tobytes()),
        array("d", spans_s.tobytes()),
        array("q", noted.tobytes()),
        own,
    )


def _in_turn(schedule: Schedule, turns: Turns, passes: Passes) -> Timed:
    """The same of ranks that take turns; of stage c p + r on rank r."""
    of_all = np.asarray(passes.durations()).reshape(len(KINDS), turns.chunks, turns.ranks)
    return _of(schedule, *turns.timed(of_all[F], of_all[BW], passes.transfer_s))


def _of(schedule: Schedule, starts: Iterable[Array], ends: Iterable[Array]) -> Timed:
    found = tuple(starts), tuple(ends)
    busy_s = np.array([float((e - s).sum()) for s, e in zip(*found, strict=True)])
    span_s = np.array([float(e[-1] - s[0]) for s, e in zip(*found, strict=True)])
    return Timed(schedule, *found, float(max(e[-1] for e in found[1])), busy_s, span_s)


def _check(schedule: Schedule, at: list[int]) -> None:
    """Refuses orders that stand still."""
    for rank, (order, done) in enumerate(zip(schedule.orders, at, strict=True)):
        if done < len(order):
            kind, stage, micro_batch = schedule.named(order[done][0])
            raise InputError(
                f"schedule {schedule.name}: rank {rank} waits forever for what {kind} of"
                f" micro-batch {micro_batch} at stage {stage} needs; let passes stand after those"
                " that they need"
            )


def peaks(schedule: Schedule, amount: Sequence[float], *, freed_by_b: float = 0.0) -> Array:
    """The most that each rank keeps at once: `amount` for each micro-batch in flight at a stage.

    A forward pass takes it at its start; the end of W gives it back, of which B gives the share
    `freed_by_b`. A rank's passes are one after the other, so no time is needed.
    """
    stages, each = len(schedule.layout.rank), schedule.each
    change = [
        *amount,
        *(-a * freed_by_b for a in amount),
        *(-a * (1 - freed_by_b) for a in amount),
        *(-a for a in amount),
    ]
    found: list[float] = []
    for rank in range(schedule.layout.ranks):
        codes = schedule.codes(rank).ravel()
        keys = codes[codes >= 0] // each
        # Of entries that run at once the forward pass stands first.
        levels = np.cumsum(np.asarray(change)[keys])
        found.append(float(levels.max(initial=0.0)))
    assert len(change) == len(KINDS) * stages
    return np.array(found)


def levels(run: Timed, rank: int, amount: Sequence[float]) -> tuple[Array, Array]:
    """Times at which what a rank keeps changes, and how much it keeps from then on.

    As `peaks` has it: taken at the start of F, given back at the end of W or BW.
    """
    changes: list[tuple[float, float]] = [(0.0, 0.0), (run.makespan_s, 0.0)]
    spans = zip(run.schedule.orders[rank], run.start_s[rank], run.end_s[rank], strict=True)
    for entry, start, end in spans:
        for code in entry:
            kind, stage, _ = run.schedule.named(code)
            if kind == "F":
                changes.append((float(start), amount[stage]))
            elif kind != "B":
                changes.append((float(end), -amount[stage]))
    changes.sort()
    return np.array([time for time, _ in changes]), np.cumsum([change for _, change in changes])


def tasks(schedule: Schedule, passes: Passes) -> tuple[Tasks, list[list[Task]]]:
    """The same as tasks of the event simulation, each rank's entries by its program."""
    layout, each = schedule.layout, schedule.each
    base, way_s = needs(layout, passes, each)
    stages, duration_s = len(layout.rank), passes.durations()
    found, numbers = Tasks(), list[list[Task]]()
    noted: dict[int, Task] = {}
    waits: list[tuple[int, int, float]] = []
    for rank, order in enumerate(schedule.orders):
        resource = found.resource(f"rank {rank}", order="program")
        numbers.append([])
        for entry in order:
            keys = [divmod(code, each) for code in entry]
            span = sum(duration_s[key] for key, _ in keys)
            span *= 1 if len(entry) == 1 else passes.overlapped
            name = " & ".join("{} {} of {}".format(*schedule.named(code)) for code in entry)
            task = found.task(name, span, resource)
            numbers[-1].append(task)
            for key, micro_batch in keys:
                kind, stage = divmod(key, stages)
                if kind != W:
                    noted[(stage if kind == F else stages + stage) * each + micro_batch] = task
                if base[key] >= 0:
                    waits.append((base[key] + micro_batch, task, way_s[key]))
    for place, task, way in waits:
        before = noted[place]
        if way > 0:
            sent = found.task(f"send {place} to {found.names[task]}", way, after=before)
            found.link(sent, task)
        elif before != task:
            found.link(before, task)
    return found, numbers
