"""The event simulation against a stepper of whole seconds, on plans at random."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import networkx
import numpy as np
import pytest
from hypothesis import strategies as st

from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Buffer, Order, Tasks
from hwmodel.systems.timeline import Timeline
from tests.thorough import tried


@dataclass(frozen=True)
class Plan:
    """A random case: places by kind, and for each task what it needs."""

    resources: tuple[tuple[int, Order], ...]
    buffers: tuple[int, ...]
    durations: tuple[int, ...]
    releases: tuple[int, ...]
    priorities: tuple[int, ...]
    on: tuple[frozenset[int], ...]
    after: tuple[frozenset[int], ...]
    takes: tuple[dict[int, int], ...]
    gives: tuple[dict[int, int], ...]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 9))
    order: st.SearchStrategy[Order] = st.sampled_from(("ready", "program"))
    resources = draw(st.lists(st.tuples(st.integers(1, 2), order), min_size=1, max_size=3))
    buffers = draw(st.lists(st.integers(1, 4), max_size=2))
    places = st.frozensets(st.integers(0, len(resources) - 1), max_size=2)
    after = [
        draw(st.frozensets(st.integers(0, task - 1), max_size=2)) if task else frozenset[int]()
        for task in range(count)
    ]
    takes: list[dict[int, int]] = [{} for _ in range(count)]
    gives: list[dict[int, int]] = [{} for _ in range(count)]
    for buffer, capacity in enumerate(buffers):
        for taker in range(count):
            if draw(st.booleans()):
                giver = draw(st.integers(taker, count - 1))
                amount = draw(st.integers(1, capacity))
                if giver == taker or gives[giver].get(buffer, 0) + amount <= capacity:
                    takes[taker][buffer] = amount
                    gives[giver][buffer] = gives[giver].get(buffer, 0) + amount
                    if giver != taker:
                        after[giver] = after[giver] | {taker}
    gives = [{b: min(a, buffers[b]) for b, a in given.items()} for given in gives]

    def numbers(most: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(0, most), min_size=count, max_size=count)))

    return Plan(
        tuple(resources),
        tuple(buffers),
        numbers(3),
        numbers(4),
        numbers(2),
        tuple(draw(places) for _ in range(count)),
        tuple(after),
        tuple(takes),
        tuple(gives),
    )


def declare(tasks: Tasks, plan: Plan) -> None:
    """The plan's places and tasks, beside what there is."""
    first = len(tasks.names)
    places = [
        tasks.resource(f"r{i}", capacity, order=order)
        for i, (capacity, order) in enumerate(plan.resources)
    ]
    buffers = [tasks.buffer(f"b{i}", capacity) for i, capacity in enumerate(plan.buffers)]

    def amounts(table: dict[int, int]) -> dict[Buffer, float]:
        return {buffers[number]: amount for number, amount in table.items()}

    for task, seconds in enumerate(plan.durations):
        tasks.task(
            f"t{task}",
            seconds,
            [places[place] for place in sorted(plan.on[task])],
            [first + before for before in sorted(plan.after[task])],
            release_s=plan.releases[task],
            priority=plan.priorities[task],
            takes=amounts(plan.takes[task]),
            gives=amounts(plan.gives[task]),
        )


def simulated(plan: Plan) -> Timeline:
    tasks = Tasks()
    declare(tasks, plan)
    return simulate(tasks)


@dataclass
class Stepper:
    """Whole seconds one by one, every task looked at in every round: slow, and plain."""

    plan: Plan
    start: dict[int, int] = field(default_factory=dict[int, int])
    ended: set[int] = field(default_factory=set[int])
    ready: dict[int, int] = field(default_factory=dict[int, int])
    peak: dict[int, int] = field(default_factory=dict[int, int])

    def level(self, buffer: int) -> int:
        taken = sum(self.plan.takes[task].get(buffer, 0) for task in self.start)
        return taken - sum(self.plan.gives[task].get(buffer, 0) for task in self.ended)

    def can_start(self, task: int) -> bool:
        plan = self.plan
        for place in plan.on[task]:
            capacity, order = plan.resources[place]
            users = [t for t in self.start if t not in self.ended and place in plan.on[t]]
            earlier = [t for t in range(task) if place in plan.on[t] and t not in self.start]
            if len(users) >= capacity or (order == "program" and earlier):
                return False
        return all(
            self.level(buffer) + amount <= plan.buffers[buffer]
            for buffer, amount in plan.takes[task].items()
        )

    def run(self) -> dict[int, int] | None:
        """Start of each task; None for a deadlock."""
        plan, count = self.plan, len(self.plan.durations)
        for now in range(sum(plan.durations) + max(plan.releases) + 1):
            while True:
                over = {t for t, at in self.start.items() if at + plan.durations[t] == now}
                new = over - self.ended
                self.ended |= over
                for task in range(count):
                    if plan.after[task] <= self.ended and plan.releases[task] <= now:
                        self.ready.setdefault(task, now)
                began = False
                while True:
                    waiting = [t for t in self.ready if t not in self.start]
                    waiting.sort(key=lambda t: (plan.priorities[t], self.ready[t], t))
                    chosen = next((t for t in waiting if self.can_start(t)), None)
                    if chosen is None:
                        break
                    self.start[chosen], began = now, True
                    for buffer in plan.takes[chosen]:
                        self.peak[buffer] = max(self.peak.get(buffer, 0), self.level(buffer))
                if not began and not new:
                    break
        return self.start if len(self.ended) == count else None


@tried(100, 300, plans())
def test_every_start_is_the_stepper_s(plan: Plan) -> None:
    stepper = Stepper(plan)
    expected = stepper.run()
    if expected is None:
        with pytest.raises((InputError, CapacityError), match="deadlock"):
            simulated(plan)
        return
    timeline = simulated(plan)
    assert timeline.start_s.tolist() == [expected[task] for task in range(len(plan.durations))]
    assert timeline.ready_s.tolist() == [stepper.ready[t] for t in range(len(plan.durations))]
    assert timeline.peaks == {f"b{i}": stepper.peak.get(i, 0) for i in range(len(plan.buffers))}


@tried(40, 100, plans())
def test_what_a_callback_adds_runs_as_if_it_had_been_there(plan: Plan) -> None:
    if Stepper(plan).run() is None:
        return
    tasks = Tasks()
    tasks.task("all", 0, then=lambda tasks, now_s: declare(tasks, plan))
    found, expected = simulate(tasks), simulated(plan)
    assert found.start_s[1:].tolist() == expected.start_s.tolist()
    assert found.peaks == expected.peaks


@tried(40, 100, plans())
def test_the_critical_path_accounts_for_the_makespan(plan: Plan) -> None:
    """Each step starts at the instant at which the one before it ends, the first at a release."""
    if Stepper(plan).run() is None:
        return
    timeline = simulated(plan)
    path = timeline.critical_path
    assert path[-1].end_s == timeline.makespan_s
    for before, step in pairwise(path):
        assert step.start_s == before.end_s
    assert path[0].start_s in (0, *plan.releases)
    assert sum(timeline.binding_s.values()) == timeline.makespan_s - path[0].start_s


@tried(30, 100, plans(), st.integers(1, 3))
def test_list_schedules_keep_their_bounds(plan: Plan, units: int) -> None:
    """Critical path and work over units below, Graham's sum of both above."""
    count = len(plan.durations)
    plan = replace(
        plan,
        resources=((units, "ready"),),
        on=(frozenset({0}),) * count,
        takes=({},) * count,
        gives=({},) * count,
        releases=(0,) * count,
    )
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for task, seconds in enumerate(plan.durations):
        graph.add_edge(f"in {task}", f"out {task}", weight=seconds)
        for before in plan.after[task]:
            graph.add_edge(f"out {before}", f"in {task}", weight=0)
    longest, work = networkx.dag_longest_path_length(graph), sum(plan.durations)
    makespan = simulated(plan).makespan_s
    assert max(longest, work / units) <= makespan
    assert makespan <= work / units + longest * (1 - 1 / units) + 1e-9


def test_two_runs_of_one_simulation_are_the_same_to_the_bit() -> None:
    rng = np.random.default_rng(11)
    tasks = Tasks()
    places = [tasks.resource(f"r{i}", 2) for i in range(5)]
    for i in range(2000):
        after = {int(x) for x in rng.integers(0, i, 2)} if i else ()
        tasks.task(f"t{i}", float(rng.exponential()), places[int(rng.integers(5))], after)
    one, two = simulate(tasks), simulate(tasks)
    for name in ("start_s", "end_s", "ready_s", "cause", "via"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
