"""The event simulation against closed forms, queueing recursions and a stepper of whole seconds."""

import doctest
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from hwmodel.experts.step import pipelined_s
from hwmodel.quantity.errors import InputError
from hwmodel.systems import events
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Order, Tasks
from hwmodel.systems.timeline import Timeline

FORWARD_S, BACKWARD_S = 1.0, 2.0


def starts(timeline: Timeline) -> dict[str, float]:
    return dict(zip(timeline.names, timeline.start_s.tolist(), strict=True))


# Closed forms


def test_a_chain_takes_the_sum_of_its_tasks() -> None:
    tasks, last = Tasks(), None
    for number, seconds in enumerate((3, 1, 4, 1, 5)):
        last = tasks.task(f"t{number}", seconds, after=() if last is None else last)
    timeline = simulate(tasks)
    assert timeline.makespan_s == 14
    assert timeline.start_s.tolist() == [0, 3, 4, 8, 9]


@pytest.mark.parametrize(("units", "makespan"), [(1, 2 + 24 + 3), (2, 2 + 12 + 3), (5, 2 + 8 + 3)])
def test_a_fork_joins_when_the_last_branch_ends(units: int, makespan: int) -> None:
    """Six branches of four seconds on so many units: ceil(6 / units) rounds."""
    tasks = Tasks()
    workers = tasks.resource("workers", units)
    fork = tasks.task("fork", 2)
    branches = [tasks.task(f"branch {i}", 4, workers, fork) for i in range(6)]
    join = tasks.task("join", 3, after=branches)
    timeline = simulate(tasks)
    assert timeline.makespan_s == timeline.end_s[join] == makespan
    assert timeline.busy_s == {"workers": 24}
    assert timeline.idle_s == {"workers": units * makespan - 24}


@pytest.mark.parametrize(("stages", "count"), [(1, 1), (4, 1), (3, 7), (8, 32)])
def test_a_pipeline_takes_its_fill_and_a_step_a_micro_batch(stages: int, count: int) -> None:
    """(m + p - 1) t."""
    tasks = Tasks()
    before: list[int] = []
    for stage in range(stages):
        place = tasks.resource(f"stage {stage}")
        before = [
            tasks.task(f"{stage}.{i}", 0.5, place, before[i : i + 1] if before else ())
            for i in range(count)
        ]
    timeline = simulate(tasks)
    assert timeline.makespan_s == (count + stages - 1) * 0.5
    assert set(timeline.busy_s.values()) == {count * 0.5}


@pytest.mark.parametrize("chunks", [1, 2, 4, 8])
@pytest.mark.parametrize(("exchange_s", "experts_s"), [(8.0, 24.0), (24.0, 8.0)])
def test_chunks_of_an_exchange_hide_under_experts_as_in_closed_form(
    chunks: int, exchange_s: float, experts_s: float
) -> None:
    tasks = Tasks()
    link, device = tasks.resource("link"), tasks.resource("device")
    for i in range(chunks):
        sent = tasks.task(f"exchange {i}", exchange_s / chunks, link)
        tasks.task(f"experts {i}", experts_s / chunks, device, sent)
    expected_s = pipelined_s(chunks, exchange_s=exchange_s, experts_s=experts_s)
    assert simulate(tasks).makespan_s == expected_s


def schedule(orders: Sequence[Sequence[tuple[str, int, int]]], chunks: int = 1) -> Timeline:
    """Run each stage's order of ("F" or "B", micro-batch, chunk); a chunk is stage + c stages.

    Forward passes take a second each, backward two, both divided by the chunks of a stage.
    """
    stages = len(orders)
    tasks = Tasks()
    places = [tasks.resource(f"stage {s}", order="program") for s in range(stages)]
    memories = [tasks.buffer(f"memory {s}") for s in range(stages)]
    known: dict[tuple[str, int, int], int] = {}
    for stage, order in enumerate(orders):
        for kind, i, chunk in order:
            layer, memory = chunk * stages + stage, {memories[stage]: 1}
            seconds = (FORWARD_S if kind == "F" else BACKWARD_S) / chunks
            known[kind, i, layer] = tasks.task(
                f"{kind}{i} of {layer}",
                seconds,
                places[stage],
                takes=memory if kind == "F" else None,
                gives=memory if kind == "B" else None,
            )
    last = stages * chunks - 1
    for (kind, i, layer), task in known.items():
        if kind == "F" and layer > 0:
            tasks.link(known["F", i, layer - 1], task)
        if kind == "B":
            tasks.link(known["F", i, layer] if layer == last else known["B", i, layer + 1], task)
    return simulate(tasks)


def gpipe(stages: int, count: int) -> Timeline:
    order = [(kind, i, 0) for kind in "FB" for i in range(count)]
    return schedule([order] * stages)


def one_forward_one_backward(stages: int, count: int) -> Timeline:
    orders: list[list[tuple[str, int, int]]] = []
    for stage in range(stages):
        ahead = min(count, stages - stage)
        order = [("F", i, 0) for i in range(ahead)]
        for i in range(count):
            order.append(("B", i, 0))
            if ahead + i < count:
                order.append(("F", ahead + i, 0))
        orders.append(order)
    return schedule(orders)


@pytest.mark.parametrize("run", [gpipe, one_forward_one_backward])
@pytest.mark.parametrize(("stages", "count"), [(1, 1), (2, 2), (4, 8), (8, 8), (4, 64)])
def test_synchronous_pipelines_stand_still_for_p_less_one_of_m_and_p_less_one(
    run: Callable[[int, int], Timeline], stages: int, count: int
) -> None:
    """GPipe (arXiv 1811.06965) and 1F1B (arXiv 2104.04473): the same bubble."""
    timeline = run(stages, count)
    assert timeline.makespan_s == (count + stages - 1) * (FORWARD_S + BACKWARD_S)
    for idle in timeline.idle_s.values():
        assert idle / timeline.makespan_s == pytest.approx((stages - 1) / (count + stages - 1))


@pytest.mark.parametrize(("stages", "count"), [(2, 2), (4, 8), (8, 8), (4, 64), (8, 4)])
def test_gpipe_holds_all_micro_batches_and_1f1b_as_many_as_stages_follow(
    stages: int, count: int
) -> None:
    held = list(gpipe(stages, count).peaks.values())
    assert held == [count] * stages
    held = list(one_forward_one_backward(stages, count).peaks.values())
    assert held == [min(count, stages - stage) for stage in range(stages)]


@pytest.mark.parametrize(("stages", "chunks", "count"), [(2, 2, 4), (4, 2, 8), (4, 3, 16)])
def test_interleaving_divides_the_bubble_by_the_chunks(
    stages: int, chunks: int, count: int
) -> None:
    """Megatron-LM (arXiv 2104.04473, section 2.2): the bubble is (p - 1)(t_f + t_b) / v."""
    total = count * chunks

    def unit(kind: str, number: int) -> tuple[str, int, int]:
        group, inside = divmod(number, stages * chunks)
        chunk = inside // stages
        chunk = chunk if kind == "F" else chunks - 1 - chunk
        return kind, group * stages + inside % stages, chunk

    orders: list[list[tuple[str, int, int]]] = []
    for stage in range(stages):
        ahead = min(total, 2 * (stages - stage - 1) + (chunks - 1) * stages + 1)
        order = [unit("F", n) for n in range(ahead)]
        for n in range(total):
            order.append(unit("B", n))
            if ahead + n < total:
                order.append(unit("F", ahead + n))
        orders.append(order)
    timeline = schedule(orders, chunks)
    each = FORWARD_S + BACKWARD_S
    assert timeline.makespan_s == pytest.approx(count * each + (stages - 1) * each / chunks)


def test_a_full_buffer_holds_the_faster_stage_back() -> None:
    """One item a second into two slots, three seconds each out: starts counted by hand.

    A slot is taken when its production starts and given when its consumption ends: the first two
    start at 0 and 1, the consumer ends at 4, 7, 10, and lets the third and fourth start then.
    """
    tasks = Tasks()
    maker, user, slots = tasks.resource("maker"), tasks.resource("user"), tasks.buffer("slots", 2)
    for i in range(4):
        made = tasks.task(f"make {i}", 1, maker, takes={slots: 1})
        tasks.task(f"use {i}", 3, user, made, gives={slots: 1})
    timeline = simulate(tasks)
    assert timeline.start_s.tolist() == [0, 1, 1, 4, 4, 7, 7, 10]
    assert timeline.peaks == {"slots": 2}
    times, levels = timeline.level("slots")
    assert times.tolist() == [0, 0, 1, 4, 4, 7, 7, 10, 13]
    assert levels.tolist() == [0, 1, 2, 1, 2, 1, 2, 1, 0]
    assert timeline.why(4) == "buffer 'slots' given back by 'use 0'"


# Queues


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
def test_one_server_waits_as_lindley_says(load: float) -> None:
    """W' = max(0, W + S - A) (Lindley 1952), arrival by arrival."""
    gaps = np.random.default_rng(5).exponential(1 / load, 3000)
    arrivals = np.cumsum(gaps)
    timeline = simulate(queue(arrivals, servers=1))
    waits = [0.0]
    for gap in gaps[1:]:
        waits.append(max(0.0, waits[-1] + 1.0 - gap))
    assert timeline.waited_s.tolist() == pytest.approx(waits, abs=1e-9)


def test_many_servers_wait_as_kiefer_and_wolfowitz_say() -> None:
    """The sorted vector of remaining work, arrival by arrival (Kiefer and Wolfowitz 1955)."""
    gaps = np.random.default_rng(6).exponential(0.3, 2000)
    timeline = simulate(queue(np.cumsum(gaps), servers=4))
    left, waits = [0.0] * 4, list[float]()
    for gap in gaps.tolist():
        left = sorted(max(0.0, each - gap) for each in left)
        waits.append(left[0])
        left[0] += 1.0
    assert timeline.waited_s.tolist() == pytest.approx(waits, abs=1e-9)


def test_an_m_d_1_queue_waits_on_average_as_pollaczek_and_khinchine_say() -> None:
    """Rho S / (2 (1 - rho)) = 0.5 seconds at half load, S = 1."""
    arrivals = np.cumsum(np.random.default_rng(7).exponential(2.0, 40_000))
    assert simulate(queue(arrivals, servers=1)).waited_s.mean() == pytest.approx(0.5, rel=0.03)


def queue(arrivals: NDArray[np.float64], servers: int) -> Tasks:
    tasks = Tasks()
    desk = tasks.resource("desk", servers)
    for number, at in enumerate(arrivals.tolist()):
        tasks.task(f"request {number}", 1.0, desk, release_s=at)
    return tasks


# The rule of an instant


def test_ties_go_by_priority_then_readiness_then_insertion() -> None:
    tasks = Tasks()
    desk = tasks.resource("desk")
    tasks.task("first", 5, desk)
    tasks.task("late", 1, desk, release_s=2)
    tasks.task("early", 1, desk, release_s=1)
    tasks.task("early too", 1, desk, release_s=1)
    tasks.task("urgent", 1, desk, release_s=4, priority=-1)
    timeline = simulate(tasks)
    served = [timeline.names[task] for task in timeline.tasks_on("desk")]
    assert served == ["first", "urgent", "early", "early too", "late"]


def test_what_becomes_ready_at_an_instant_competes_before_anything_starts() -> None:
    """Both predecessors end at 3: the urgent one gets the desk, though inserted last."""
    tasks = Tasks()
    desk = tasks.resource("desk")
    a, b = tasks.task("a", 3), tasks.task("b", 3)
    tasks.task("plain", 1, desk, a)
    tasks.task("urgent", 1, desk, b, priority=-1)
    assert starts(simulate(tasks)) == {"a": 0, "b": 0, "plain": 4, "urgent": 3}


def test_a_program_is_kept_where_ready_tasks_would_pass() -> None:
    def run(order: Order) -> dict[str, float]:
        tasks = Tasks()
        stream = tasks.resource("stream", order=order)
        tasks.task("waits", 1, stream, release_s=4)
        tasks.task("ready", 1, stream)
        return starts(simulate(tasks))

    assert run("ready") == {"waits": 4, "ready": 0}
    assert run("program") == {"waits": 4, "ready": 5}


def test_a_task_on_two_resources_takes_both_at_once_and_lets_others_pass() -> None:
    """A message holds the sender's port and the receiver's."""
    tasks = Tasks()
    a, b = tasks.resource("a"), tasks.resource("b")
    tasks.task("busy", 4, b)
    tasks.task("message", 2, (a, b))
    tasks.task("passes", 3, a)
    timeline = simulate(tasks)
    assert starts(timeline) == {"busy": 0, "message": 4, "passes": 0}
    assert timeline.busy_s == {"a": 5, "b": 6}
    assert timeline.why(1) == "resource 'b' freed by 'busy'"


def test_tasks_without_duration_end_in_the_instant_that_starts_them() -> None:
    tasks = Tasks()
    desk = tasks.resource("desk")
    first = tasks.task("first", 2, desk)
    mark = tasks.task("mark", 0, desk, first)
    tasks.task("last", 1, desk, mark)
    assert starts(simulate(tasks)) == {"first": 0, "mark": 2, "last": 2}


# Tasks that callbacks add


def test_a_callback_s_tasks_run_and_the_tasks_given_stay_as_they_are() -> None:
    """A server that batches what has come: starts worked out by hand.

    Requests come at 0, 1, 2 and 7; a step takes 3 s, with all that waits when it starts.
    """
    tasks = Tasks()
    device = tasks.resource("device")
    steps: list[tuple[float, tuple[int, ...]]] = []

    def serving() -> Tasks:
        waiting: list[int] = []
        running = [False]

        def next_step(tasks: Tasks, now_s: float) -> None:
            running[0] = bool(waiting)
            if waiting:
                steps.append((now_s, tuple(waiting)))
                waiting.clear()
                tasks.task(f"step at {now_s}", 3, device, then=next_step)

        for number, at in enumerate((0, 1, 2, 7)):

            def arrive(tasks: Tasks, now_s: float, number: int = number) -> None:
                waiting.append(number)
                if not running[0]:
                    next_step(tasks, now_s)

            tasks.task(f"arrival {number}", 0, release_s=at, then=arrive)
        return tasks

    timeline = simulate(serving())
    assert steps == [(0, (0,)), (3, (1, 2)), (7, (3,))]
    assert timeline.makespan_s == 10
    assert timeline.why(4) == "made by 'arrival 0'"
    assert timeline.names[4:] == ("step at 0", "step at 3", "step at 7")
    assert len(tasks.names) == 4


def test_a_callback_may_add_places_and_tasks_after_what_has_ended_and_what_has_not() -> None:
    tasks = Tasks()
    slow = tasks.task("slow", 9)

    def more(tasks: Tasks, now_s: float) -> None:
        pool = tasks.resource("pool", order="program")
        tasks.task("after both", 1, pool, (slow, quick))
        tasks.task("in its turn", 1, pool)
        tasks.task("released", 1, release_s=6)

    quick = tasks.task("quick", 2, then=more)
    found = starts(simulate(tasks))
    assert found["after both"] == 9
    assert found["in its turn"] == 10
    assert found["released"] == 6


def test_callbacks_link_nothing() -> None:
    tasks = Tasks()
    tasks.task("a", 1, then=lambda tasks, now_s: tasks.link(0, 0))
    with pytest.raises(InputError, match="link: the simulation runs"):
        simulate(tasks)


def test_the_example_of_the_docstring_holds() -> None:
    assert doctest.testmod(events) == (0, 6)


def test_nothing_to_do_takes_no_time() -> None:
    tasks = Tasks()
    tasks.resource("desk")
    timeline = simulate(tasks)
    assert timeline.makespan_s == 0
    assert timeline.critical_path == ()
    assert timeline.busy_s == {"desk": 0}
