"""What a simulation answers: when each task ran, on what, why no sooner, and what that adds up to.

A `Timeline` holds an array entry for each task, in order of insertion. Each task starts at an
instant at which something let it: its release, the end of its last predecessor, or another task's
end that freed a resource or gave back a buffer. Followed back from the task that ends last, these
causes are the critical path: its durations add up to the makespan from the start of its first task
on. Seconds throughout; Chrome's trace format counts microseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import UnknownNameError

RELEASE, PRECEDENCE, MADE = -1, -2, -3
"""Why a task started when it did, where no resource or buffer kept it: its release (or nothing at
all), the end of a predecessor, the callback that made it."""

MICROSECONDS = 1e6
"""Chrome's unit of time, in seconds' multiples."""


@dataclass(frozen=True)
class Store:
    """A resource of equal units, or a buffer with room for an amount; `level` taken at first."""

    name: str
    capacity: float
    resource: bool
    level: float = 0


@dataclass(frozen=True)
class Step:
    """A task of the critical path, and what it started upon."""

    task: int
    name: str
    on: tuple[str, ...]
    start_s: float
    end_s: float
    why: str

    @property
    def duration_s(self) -> float:
        """Seconds that it ran."""
        return self.end_s - self.start_s


@dataclass(frozen=True, eq=False)
class Timeline:
    """The simulated tasks in order of insertion, and the level of each buffer over time.

    Attributes:
        names: of the tasks.
        start_s, end_s, ready_s: seconds at which each started, ended, and first could have started
            for its predecessors and its release.
        only: the one resource of each task, by its number among `places`; -1 where `held` says it.
        held: task -> its resources, of those that need none, several, or a buffer too.
        cause: the task whose end let each start; -1 where none did.
        via: what that end freed: the number of a resource or buffer, or RELEASE, PRECEDENCE, MADE.
        places: resources and buffers in order of insertion.
        levels: number of a buffer -> (seconds, level from then on) at each change, in order.
    """

    names: Sequence[str]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    ready_s: NDArray[np.float64]
    only: NDArray[np.int64]
    held: Mapping[int, tuple[int, ...]]
    cause: NDArray[np.int64]
    via: NDArray[np.int64]
    places: tuple[Store, ...]
    levels: Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]

    @property
    def makespan_s(self) -> float:
        """Seconds from 0 to the last end; 0 of no tasks."""
        return float(self.end_s.max()) if len(self.names) else 0.0

    @property
    def busy_s(self) -> dict[str, float]:
        """Seconds that each resource worked, its units together."""
        seconds = self.end_s - self.start_s
        lone = self.only >= 0
        total = np.bincount(self.only[lone], seconds[lone], minlength=len(self.places)).tolist()
        for task, places in self.held.items():
            for place in places:
                total[place] += float(seconds[task])
        return {
            place.name: busy
            for place, busy in zip(self.places, total, strict=True)
            if place.resource
        }

    @property
    def idle_s(self) -> dict[str, float]:
        """Seconds that the units of each resource stood still before the last end, together."""
        busy = self.busy_s
        return {
            place.name: place.capacity * self.makespan_s - busy[place.name]
            for place in self.places
            if place.resource
        }

    @property
    def waited_s(self) -> NDArray[np.float64]:
        """Seconds between a task's last predecessor or release and its start."""
        return self.start_s - self.ready_s

    @property
    def peaks(self) -> dict[str, float]:
        """The most that each buffer ever held."""
        return {self.places[i].name: float(level.max()) for i, (_, level) in self.levels.items()}

    def level(self, buffer: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds at which a buffer's level changed, and what it was from then on."""
        return self.levels[self._number(buffer, resource=False)]

    def tasks_on(self, resource: str) -> list[int]:
        """Numbers of a resource's tasks, by start; of equal starts those inserted first."""
        number = self._number(resource, resource=True)
        tasks = np.flatnonzero(self.only == number).tolist()
        tasks += [task for task, places in self.held.items() if number in places]
        return sorted(tasks, key=lambda task: (self.start_s[task], task))

    @property
    def critical_path(self) -> tuple[Step, ...]:
        """From the start to the task that ends last, each started by the end of the one before."""
        steps: list[Step] = []
        task = int(self.end_s.argmax()) if len(self.names) else -1
        while task >= 0:
            start, end = float(self.start_s[task]), float(self.end_s[task])
            on = tuple(self.places[place].name for place in self._on(task))
            steps.append(Step(task, self.names[task], on, start, end, self.why(task)))
            task = int(self.cause[task])
        return tuple(reversed(steps))

    @property
    def binding_s(self) -> dict[str, float]:
        """Seconds of the critical path by the resources that worked on it; "" is none."""
        found: dict[str, float] = {}
        for step in self.critical_path:
            name = " + ".join(step.on)
            found[name] = found.get(name, 0.0) + step.duration_s
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def why(self, task: int) -> str:
        """What a task started upon, in words."""
        via, cause = int(self.via[task]), int(self.cause[task])
        by = f" {self.names[cause]!r}" if cause >= 0 else ""
        if via == RELEASE:
            return "release"
        if via == PRECEDENCE:
            return f"after{by}"
        if via == MADE:
            return f"made by{by}"
        place = self.places[via]
        freed = f"{'freed' if place.resource else 'given back'} by{by}" if by else "in its turn"
        return f"{'resource' if place.resource else 'buffer'} {place.name!r} {freed}"

    def trace(self) -> dict[str, Any]:
        """The timeline in Chrome's trace format, a table to write as JSON: chrome://tracing.

        A row for each unit of a resource, and one for tasks without; a counter for each buffer.
        """
        rows: dict[tuple[int, int], int] = {}
        events: list[dict[str, Any]] = []
        for task, place, unit in self._units():
            row = rows.setdefault((place, unit), len(rows))
            start, end = float(self.start_s[task]), float(self.end_s[task])
            spent = {"ts": start * MICROSECONDS, "dur": (end - start) * MICROSECONDS}
            said = {"args": {"task": task, "why": self.why(task)}}
            events.append(
                {"name": self.names[task], "ph": "X", "pid": 0, "tid": row} | spent | said
            )
        for (place, unit), row in rows.items():
            name = self.places[place].name if place >= 0 else "no resource"
            several = place >= 0 and self.places[place].capacity > 1
            title = {"args": {"name": f"{name} {unit}" if several else name}}
            events.append({"name": "thread_name", "ph": "M", "pid": 0, "tid": row} | title)
        for number, (times, levels) in self.levels.items():
            name = self.places[number].name
            for at, level in zip(times.tolist(), levels.tolist(), strict=True):
                point = {"ts": at * MICROSECONDS, "args": {"level": level}}
                events.append({"name": name, "ph": "C", "pid": 0} | point)
        return {"traceEvents": events, "displayTimeUnit": "ns"}

    def _units(self) -> list[tuple[int, int, int]]:
        """Each task with each of its resources (-1: none) and the least unit that was free."""
        found: list[tuple[int, int, int]] = []
        free: dict[int, list[int]] = {}
        ends: dict[int, list[tuple[float, int]]] = {}
        opened: dict[int, int] = {}
        # A task without duration has left its unit when another starts at its instant.
        for task in np.lexsort((self.end_s > self.start_s, self.start_s)).tolist():
            start, end = float(self.start_s[task]), float(self.end_s[task])
            for place in self._on(task) or (-1,):
                running, units = ends.setdefault(place, []), free.setdefault(place, [])
                while running and running[0][0] <= start:
                    heappush(units, heappop(running)[1])
                if not units:
                    opened[place] = opened.get(place, 0) + 1
                unit = heappop(units) if units else opened[place] - 1
                heappush(running, (end, unit))
                found.append((task, place, unit))
        return found

    def _on(self, task: int) -> tuple[int, ...]:
        return self.held[task] if self.only[task] < 0 else (int(self.only[task]),)

    def _number(self, name: str, *, resource: bool) -> int:
        known = {p.name: i for i, p in enumerate(self.places) if p.resource == resource}
        if name not in known:
            raise UnknownNameError("resource" if resource else "buffer", name, known)
        return known[name]
