"""One deterministic event simulation: tasks on resources, in an order, in time.

Pipelines, training steps, serving, offload and clusters stand on it: `Tasks` says what there is to
do, `simulate` when it is done. The rule of an instant, which makes every run the same: all that
ends at it ends, in order of insertion; then the waiting tasks are looked at in one order, by
priority (least first), by the time at which their last predecessor or release let them, by
insertion; each starts if all that it needs is free at once. What cannot start is passed by those
behind it (list scheduling: Graham, SIAM J. Appl. Math. 17(2), 1969), but for resources with
`order="program"`, where tasks start in the order of insertion, as in a CUDA stream. What starts
without a duration ends in the next round of the same instant. Equal instants are equal numbers:
whole durations are exact, sums of fractions may part by a rounding.

A task may have a callback, `then(tasks, now_s)`, called when it ends, after all ends of its round,
which may add tasks, resources and buffers: a serving engine's scheduler is such a callback. What
never starts is a deadlock, refused with the circle of tasks and full buffers that wait for each
other. A heap holds what is to come: n tasks take O(n log n) steps, where no buffer has many waiting
tasks that need different amounts.
"""

from heapq import heapify, heappop, heappush

import numpy as np

from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.systems.tasks import Amounts, Tasks
from hwmodel.systems.timeline import MADE, PRECEDENCE, RELEASE, Timeline

ROUNDING = 1e-9
"""Share of an amount by which sums of fractions may miss a buffer's bounds."""

EARLY, RUNS, ENDED, NOWHERE = -4, -3, -2, -1
"""What a task waits for: predecessors or its release, its end, nothing, not known; else a place."""
ANYONE, NOBODY = -1, -2
"""Whose turn it is on a resource: of all that are ready; of none, before its program goes on."""
NAMED = 8
"""Tasks of a circle that an error names."""


def simulate(tasks: Tasks) -> Timeline:
    """Run until nothing is left to do; the tasks given stay as they are.

    Raises `CapacityError` for a deadlock at a full buffer, and `InputError` for any other or for a
    buffer that is given more than was taken from it.

    >>> tasks = Tasks()
    >>> link, device = tasks.resource("link"), tasks.resource("device")
    >>> loads = [tasks.task(f"load {i}", 2, link) for i in range(3)]
    >>> work = [tasks.task(f"work {i}", 3, device, load) for i, load in enumerate(loads)]
    >>> timeline = simulate(tasks)
    >>> timeline.makespan_s, timeline.idle_s["device"], timeline.binding_s
    (11.0, 2.0, {'device': 9.0, 'link': 2.0})
    """
    state = _State(tasks.running() if tasks.then else tasks)
    state.admit(0.0, [])
    state.run()
    if state.ended < len(state.at):
        raise state.deadlock()
    return state.timeline()


class _State:
    """Where each task and each place stands, as flat lists by their numbers."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.events: list[tuple[float, int]] = []
        """Ends of running tasks and releases of waiting ones, a heap."""
        self.ended = 0
        self.missing: list[int] = []
        self.edges = 0
        self.at: list[int] = []
        self.ready: list[float] = []
        self.start: list[float] = []
        self.end: list[float] = []
        self.cause: list[int] = []
        self.via: list[int] = []
        self.level: list[float] = []
        self.capacity: list[float] = []
        self.limit: list[float] = []
        """Capacities, and how far sums of fractions may round above them."""
        self.waiting: list[list[tuple[float, float, int]]] = []
        """Heaps of the tasks that wait for a place, but for resources with programs."""
        self.turn: list[int] = []
        self.played: list[int] = []
        """How many tasks of its program each resource has started."""
        self.freed_by: list[int] = []
        self.history: dict[int, tuple[list[float], list[float]]] = {}

    def admit(self, now: float, fresh: list[int], maker: int = -1) -> None:
        """Take in new places and tasks; those that may start at once are `fresh`."""
        tasks, count = self.tasks, len(self.tasks.names)
        for number in range(len(self.level), len(tasks.places)):
            place = tasks.places[number]
            self.level.append(place.level)
            self.capacity.append(place.capacity)
            self.limit.append(place.capacity * (1 if place.resource else 1 + ROUNDING))
            self.waiting.append([])
            self.turn.append(NOBODY if number in tasks.programs else ANYONE)
            self.played.append(0)
            self.freed_by.append(-1)
            if not place.resource:
                self.history[number] = ([now], [place.level])
        first = len(self.at)
        more = count - first
        self.at += [EARLY] * more
        self.missing += tasks.predecessors[first:]
        for edge in range(self.edges, len(tasks.sources)):
            if self.at[tasks.sources[edge]] == ENDED:
                self.missing[tasks.targets[edge]] -= 1
        self.edges = len(tasks.sources)
        for times in (self.ready, self.start, self.end):
            times += [-1.0] * more
        self.cause += [-1] * more
        self.via += [RELEASE] * more
        for number in range(first, count):
            if tasks.programs:
                for place, _ in tasks.held.get(number, (((tasks.only[number], 1),), ()))[0]:
                    if self.turn[place] == NOBODY:
                        self.turn[place] = number
            if self.missing[number] == 0 and tasks.releases_s[number] <= now and maker >= 0:
                self.cause[number], self.via[number] = maker, MADE
                fresh.append(number)
            elif self.missing[number] == 0:
                heappush(self.events, (tasks.releases_s[number], number))

    def run(self) -> None:
        """Instant by instant: ends, callbacks, then starts."""
        tasks, events, at, ready = self.tasks, self.events, self.at, self.ready
        missing, cause, via = self.missing, self.cause, self.via
        first_edge, next_edge, targets = tasks.first_edge, tasks.next_edge, tasks.targets
        level, freed_by, waiting, turn = self.level, self.freed_by, self.waiting, self.turn
        only, held, then = tasks.only, tasks.held, tasks.then
        releases, priorities = tasks.releases_s, tasks.priorities
        while events:
            now = events[0][0]
            fresh: list[int] = []
            freed: list[int] = []
            calls: list[int] = []
            while events and events[0][0] == now:
                task = heappop(events)[1]
                if at[task] == EARLY:
                    cause[task], via[task] = -1, RELEASE
                    fresh.append(task)
                    continue
                at[task] = ENDED
                self.ended += 1
                place = only[task]
                if place < 0:
                    self._give(task, held[task][1], now, freed)
                else:
                    level[place] -= 1
                    freed_by[place] = task
                    freed.append(place)
                edge = first_edge[task]
                while edge >= 0:
                    after, edge = targets[edge], next_edge[edge]
                    missing[after] -= 1
                    if missing[after] == 0:
                        if releases[after] > now:
                            heappush(events, (releases[after], after))
                        else:
                            cause[after], via[after] = task, PRECEDENCE
                            fresh.append(after)
                if task in then:
                    calls.append(task)
            for task in calls:
                then[task](tasks, now)
                self.admit(now, fresh, task)
            candidates: list[tuple[float, float, int]] = []
            for task in fresh:
                at[task], ready[task] = NOWHERE, now
                candidates.append((priorities[task], now, task))
            for place in freed if len(freed) == 1 else dict.fromkeys(freed):
                if waiting[place] or turn[place] >= 0:
                    self._call(place, candidates)
            if candidates:
                self._start(candidates, now)

    def _start(self, candidates: list[tuple[float, float, int]], now: float) -> None:
        """Start those that can, in order; those that cannot wait for what they lack.

        A place that is freed sends its first waiting task, and the next when that one has had its
        chance: so the candidates hold, at every step, the first of all that may start.
        """
        tasks, at, level, limit = self.tasks, self.at, self.level, self.limit
        turn, waiting, events = self.turn, self.waiting, self.events
        only, held, durations = tasks.only, tasks.held, tasks.durations_s
        passed: list[tuple[int, tuple[float, float, int]]] = []
        heapify(candidates)
        while candidates:
            item = heappop(candidates)
            task = item[2]
            source, place = at[task], only[task]
            if place < 0:
                blocker = self._lacking(task, held[task][0])
            else:
                mine = turn[place] == ANYONE or turn[place] == task
                blocker = NOWHERE if mine and level[place] < limit[place] else place
            if blocker == NOWHERE:
                at[task] = RUNS
                self.start[task] = now
                self.end[task] = end = now + durations[task]
                heappush(events, (end, task))
                if source != NOWHERE:
                    self.cause[task], self.via[task] = self.freed_by[source], source
                if place < 0:
                    self._take(task, held[task][0], now, candidates)
                else:
                    level[place] += 1
                    if turn[place] == task:
                        self._next(place, task, candidates)
            else:
                at[task] = blocker
                if turn[blocker] == ANYONE:
                    # Not before this instant is over: what it lacks now, it will lack until then.
                    passed.append((blocker, item))
            if source >= 0 and waiting[source]:
                self._call(source, candidates)
        for place, item in passed:
            heappush(waiting[place], item)

    def _call(self, place: int, candidates: list[tuple[float, float, int]]) -> None:
        """Make the first task that waits for a place with room a candidate."""
        if self.level[place] >= self.capacity[place]:
            return
        if self.turn[place] == ANYONE:
            if self.waiting[place]:
                heappush(candidates, heappop(self.waiting[place]))
        else:
            task = self.turn[place]
            if task >= 0 and self.at[task] == place:
                item = (self.tasks.priorities[task], self.ready[task], task)
                heappush(candidates, item)

    def _next(self, place: int, task: int, candidates: list[tuple[float, float, int]]) -> None:
        """Pass the turn of a program on; what starts thereupon starts for the same cause."""
        program = self.tasks.programs[place]
        self.played[place] += 1
        played = self.played[place]
        self.turn[place] = program[played] if played < len(program) else NOBODY
        self.freed_by[place] = self.cause[task]
        self._call(place, candidates)

    def _lacking(self, task: int, needs: Amounts) -> int:
        """The first place that keeps a task from starting, or NOWHERE."""
        for place, amount in needs:
            if self.level[place] + amount > self.limit[place]:
                return place
            if self.turn[place] != ANYONE and self.turn[place] != task:
                return place
        return NOWHERE

    def _take(
        self,
        task: int,
        needs: Amounts,
        now: float,
        candidates: list[tuple[float, float, int]],
    ) -> None:
        for place, amount in needs:
            self.level[place] += amount
            if place in self.history:
                self._note(place, now)
        for place, _ in needs:
            if self.turn[place] == task:
                self._next(place, task, candidates)

    def _give(self, task: int, amounts: Amounts, now: float, freed: list[int]) -> None:
        for place, amount in amounts:
            left = self.level[place] - amount
            if left < -ROUNDING * amount:
                raise InputError(
                    f"task {self.tasks.names[task]}: gives {amount:,} back to buffer"
                    f" {self.tasks.places[place].name} at {now} s, which holds"
                    f" {self.level[place]:,}; let what it gives be taken first"
                )
            self.level[place] = left if left > 0 else 0
            self.freed_by[place] = task
            freed.append(place)
            if place in self.history:
                self._note(place, now)

    def _note(self, place: int, now: float) -> None:
        times, levels = self.history[place]
        times.append(now)
        levels.append(self.level[place])

    def timeline(self) -> Timeline:
        """The answer, when all has ended."""
        return Timeline(
            names=tuple(self.tasks.names),
            start_s=np.array(self.start, dtype=np.float64),
            end_s=np.array(self.end, dtype=np.float64),
            ready_s=np.array(self.ready, dtype=np.float64),
            only=np.array(self.tasks.only, dtype=np.int64),
            held={
                task: tuple(place for place, _ in needs if self.tasks.places[place].resource)
                for task, (needs, _) in self.tasks.held.items()
            },
            cause=np.array(self.cause, dtype=np.int64),
            via=np.array(self.via, dtype=np.int64),
            places=tuple(self.tasks.places),
            levels={
                place: (np.array(times, dtype=np.float64), np.array(levels, dtype=np.float64))
                for place, (times, levels) in self.history.items()
            },
        )

    def deadlock(self) -> InputError | CapacityError:
        """Why the first task that never starts does not, followed back to a circle or an end."""
        tasks, open_ = self.tasks, [where != ENDED for where in self.at]
        before: dict[int, int] = {}
        for source, target in zip(tasks.sources, tasks.targets, strict=True):
            if open_[source]:
                before.setdefault(target, source)
        givers: dict[int, list[int]] = {}
        for giver, (_, gives) in tasks.held.items():
            for place, _ in gives if open_[giver] else ():
                givers.setdefault(place, []).append(giver)
        task, seen = open_.index(True), dict[int, int]()
        said: list[str] = []
        full: list[str] = []
        while task >= 0 and task not in seen:
            seen[task] = len(said)
            task, why, buffer = self._obstacle(task, before, givers)
            said.append(why)
            full.append(buffer)
        first = seen.get(task, 0)
        circle, buffers = said[first:], [name for name in full[first:] if name]
        listed = [*circle[:NAMED], *(["..."] if len(circle) > NAMED else [])]
        stuck = len(self.at) - self.ended
        text = (
            f"events: deadlock: {stuck} of {len(self.at)} tasks never start: {', '.join(listed)}; "
        )
        if buffers:
            names = " or ".join(dict.fromkeys(buffers))
            return CapacityError(f"{text}give {names} more room, or order the tasks otherwise")
        return InputError(f"{text}take an order or a precedence out of this circle")

    def _obstacle(
        self, task: int, before: dict[int, int], givers: dict[int, list[int]]
    ) -> tuple[int, str, str]:
        """What a task waits for: the next task to ask (-1: none), in words, and a full buffer."""
        tasks, name = self.tasks, repr(self.tasks.names[task])
        if self.at[task] == EARLY:
            source = before[task]
            return source, f"{name} waits for the end of {tasks.names[source]!r}", ""
        place = self.at[task]
        store = tasks.places[place]
        if store.resource:
            first = self.turn[place]
            return first, f"{name} comes after {tasks.names[first]!r} on {store.name!r}", ""
        amount = sum(each for number, each in tasks.held[task][0] if number == place)
        text = (
            f"{name} needs {amount:,} of buffer {store.name!r}, which is full"
            f" ({self.level[place]:,} of {store.capacity:,})"
        )
        for giver in givers.get(place, ()):
            if giver != task:
                return giver, f"{text} until {tasks.names[giver]!r} ends", store.name
        return -1, f"{text}, and nothing more is given back", store.name
