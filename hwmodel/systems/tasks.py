"""What a simulation is given: tasks with durations, the resources and buffers that they need.

Durations come from estimates: seconds, scalars. What a task may wait for:

    release    it starts no sooner than so many seconds
    after      other tasks that have to end first
    on         a unit of each of these resources, held while it runs
    takes      room in buffers, from its start on; `gives` hands room back at an end, its own or
               another's: a forward pass takes an activation's bytes, its backward gives them back

Everything is kept in flat lists by number, so that a million tasks take seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from numbers import Integral, Real
from typing import Any, Literal, NewType, TypeAlias

from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.systems.timeline import Store

Task = NewType("Task", int)
"""Number of a task, in order of insertion from 0."""
Resource = NewType("Resource", int)
"""Number of a resource; resources and buffers are counted together."""
Buffer = NewType("Buffer", int)
"""Number of a buffer."""

Amounts: TypeAlias = tuple[tuple[int, float], ...]
"""Numbers of places, and how much of each."""
Then: TypeAlias = Callable[["Tasks", float], None]
"""Called at the end of a task with the tasks, to add more, and the time."""
Order: TypeAlias = Literal["ready", "program"]
ORDERS = ("ready", "program")


class Tasks:
    """Tasks, resources and buffers, to be simulated by `events.simulate`, which changes nothing.

    Attributes:
        places: resources and buffers, by their number.
        programs: resource of `order="program"` -> its tasks in order.
        names, durations_s, releases_s, priorities: of each task, by its number.
        predecessors: how many tasks each waits for.
        first_edge: the first of the edges that leave each task; -1 where none does.
        sources, targets, next_edge: of each edge, and the next that leaves the same task, or -1.
        only: the one resource that a task needs, and nothing else; -1 where `held` says more.
        held: task -> what it takes at its start and what it gives at its end, resources included.
        then: task -> its callback.
    """

    def __init__(self) -> None:
        self.places: list[Store] = []
        self.programs: dict[int, list[int]] = {}
        self.names: list[str] = []
        self.durations_s: list[float] = []
        self.releases_s: list[float] = []
        self.priorities: list[float] = []
        self.predecessors: list[int] = []
        self.first_edge: list[int] = []
        self.sources: list[int] = []
        self.targets: list[int] = []
        self.next_edge: list[int] = []
        self.only: list[int] = []
        self.held: dict[int, tuple[Amounts, Amounts]] = {}
        self.then: dict[int, Then] = {}
        self._place_names: set[str] = set()
        self._alike: dict[Any, tuple[Amounts, Amounts]] = {}
        self._running = False

    def resource(self, name: str, capacity: int = 1, *, order: Order = "ready") -> Resource:
        """A resource of `capacity` equal units, each for one task at a time.

        Its tasks start as they become ready (`events`), or in the order of insertion ("program").
        """
        if type(capacity) is not int or capacity < 1:
            raise InputError(
                f"resource {name}: capacity: expected a whole number of 1 or more, found"
                f" {shown(capacity)}"
            )
        if order not in ORDERS:
            raise UnknownNameError(f"order of resource {name}", order, ORDERS)
        number = self._place(Store(name, capacity, resource=True))
        if order == "program":
            self.programs[number] = []
        return Resource(number)

    def buffer(self, name: str, capacity: float = inf, *, level: float = 0) -> Buffer:
        """Room for `capacity` (bytes, slots), of which `level` is taken at the start."""
        where = f"buffer {name}"
        level = _amount(level, f"{where}: level")
        if capacity != inf:
            capacity = _amount(capacity, f"{where}: capacity")
        if level > capacity:
            raise CapacityError(f"{where}: holds {capacity:,}, starts with {level:,}")
        return Buffer(self._place(Store(name, capacity, resource=False, level=level)))

    def task(
        self,
        name: str,
        duration_s: float,
        on: int | Iterable[int] = (),
        after: int | Iterable[int] = (),
        *,
        release_s: float = 0,
        priority: float = 0,
        takes: Mapping[Buffer, float] | None = None,
        gives: Mapping[Buffer, float] | None = None,
        then: Then | None = None,
    ) -> Task:
        """A task of `duration_s`, on one resource or several at once, after tasks that exist.

        Of the tasks that wait, those of least `priority` are served first. `takes` is taken from
        buffers at its start, `gives` given back at its end. Raises `InputError` for what makes no
        sense and `CapacityError` for more than a buffer ever holds.
        """
        number = len(self.names)
        if type(duration_s) is not float or not 0 <= duration_s < inf:
            duration_s = _amount(duration_s, f"task {name}: duration_s")
        if release_s != 0:
            release_s = _amount(release_s, f"task {name}: release_s")
        if priority != priority:
            raise InputError(f"task {name}: priority: expected a number, found {priority}")
        before = (after,) if isinstance(after, int) else tuple(after)
        for each in before:
            if not 0 <= each < number:
                raise InputError(f"task {name}: after: no task has number {shown(each)} yet")
        needed = (on,) if isinstance(on, int) else tuple(dict.fromkeys(on))
        for place in needed:
            if not 0 <= place < len(self.places) or not self.places[place].resource:
                raise InputError(f"task {name}: on: no resource has number {shown(place)}")
        lone = len(needed) == 1 and not takes and not gives
        if not lone:
            self.held[number] = self._holding(name, needed, takes, gives)
        if self.programs:
            for place in needed:
                if place in self.programs:
                    self.programs[place].append(number)
        if then is not None:
            self.then[number] = then
        self.names.append(name)
        self.durations_s.append(duration_s)
        self.releases_s.append(release_s)
        self.priorities.append(priority)
        self.only.append(needed[0] if lone else -1)
        self.predecessors.append(0)
        self.first_edge.append(-1)
        for each in before:
            self._edge(each, number)
        return Task(number)

    def link(self, first: int, second: int) -> None:
        """Let task `second` start after `first` has ended, whichever was inserted first."""
        if self._running:
            raise InputError("link: the simulation runs; name predecessors in `after` of new tasks")
        for task in (first, second):
            if not 0 <= task < len(self.names):
                raise InputError(f"link: no task has number {shown(task)}")
        self._edge(first, second)

    def running(self) -> "Tasks":
        """The same, for callbacks to add to while a simulation runs."""
        copy = Tasks()
        copy.places, copy.names, copy.only = list(self.places), list(self.names), list(self.only)
        copy.durations_s, copy.releases_s = list(self.durations_s), list(self.releases_s)
        copy.priorities, copy.predecessors = list(self.priorities), list(self.predecessors)
        copy.first_edge, copy.next_edge = list(self.first_edge), list(self.next_edge)
        copy.sources, copy.targets = list(self.sources), list(self.targets)
        copy.programs = {place: list(tasks) for place, tasks in self.programs.items()}
        copy.held, copy.then = dict(self.held), dict(self.then)
        copy._place_names, copy._running = set(self._place_names), True
        return copy

    def _edge(self, first: int, second: int) -> None:
        self.predecessors[second] += 1
        self.next_edge.append(self.first_edge[first])
        self.first_edge[first] = len(self.sources)
        self.sources.append(first)
        self.targets.append(second)

    def _holding(
        self,
        task: str,
        resources: tuple[int, ...],
        takes: Mapping[Buffer, float] | None,
        gives: Mapping[Buffer, float] | None,
    ) -> tuple[Amounts, Amounts]:
        """What a task takes and gives, checked; tasks alike share it."""
        key = (resources, *(tuple(each.items()) if each else () for each in (takes, gives)))
        found = self._alike.get(key)
        if found is None:
            units = tuple((place, 1) for place in resources)
            taken, given = self._amounts(task, takes, "takes"), self._amounts(task, gives, "gives")
            found = self._alike[key] = (units + taken, units + given)
        return found

    def _place(self, store: Store) -> int:
        if store.name in self._place_names:
            raise InputError(f"{store.name}: expected a name of its own, found a second one")
        self._place_names.add(store.name)
        self.places.append(store)
        return len(self.places) - 1

    def _amounts(self, task: str, given: Mapping[Buffer, float] | None, what: str) -> Amounts:
        """Checked amounts of buffers, zeros left out."""
        found: list[tuple[int, float]] = []
        for place, value in (given or {}).items():
            if not 0 <= place < len(self.places) or self.places[place].resource:
                raise InputError(f"task {task}: {what}: no buffer has number {shown(place)}")
            store = self.places[place]
            amount = _amount(value, f"task {task}: {what} of buffer {store.name}")
            if amount > store.capacity:
                raise CapacityError(
                    f"task {task}: {what} {amount:,} of buffer {store.name}, which holds"
                    f" {store.capacity:,}: {amount - store.capacity:,} short"
                )
            if amount > 0:
                found.append((int(place), amount))
        return tuple(found)


def _amount(value: Any, where: str) -> float:
    """A finite number of 0 or more."""
    if type(value) is not bool and isinstance(value, Real):
        found = int(value) if isinstance(value, Integral) else float(value)
        if 0 <= found < inf:
            return found
    raise InputError(f"{where}: expected a finite number of 0 or more, found {shown(value)}")
