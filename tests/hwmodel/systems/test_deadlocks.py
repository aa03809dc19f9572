"""Simulations that cannot go on say which tasks wait for what."""

from functools import reduce

import pytest

from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Tasks


def test_a_circle_of_precedence_is_named() -> None:
    tasks = Tasks()
    a, b, c = (tasks.task(name, 1) for name in "abc")
    tasks.task("behind", 1, after=c)
    for first, second in ((a, b), (b, c), (c, a)):
        tasks.link(first, second)
    with pytest.raises(InputError) as caught:
        simulate(tasks)
    assert str(caught.value) == (
        "events: deadlock: 4 of 4 tasks never start: 'a' waits for the end of 'c', 'c' waits for"
        " the end of 'b', 'b' waits for the end of 'a'; take an order or a precedence out of this"
        " circle"
    )


def test_a_long_circle_is_named_in_part() -> None:
    tasks = Tasks()
    circle = [tasks.task(f"t{i}", 1) for i in range(20)]
    for first, second in zip(circle, circle[1:] + circle[:1], strict=True):
        tasks.link(first, second)
    with pytest.raises(InputError, match=r"20 of 20 tasks .* end of 't12', \.\.\.; take") as caught:
        simulate(tasks)
    assert str(caught.value).count("waits for") == 8


def test_a_program_against_the_precedence_is_named() -> None:
    tasks = Tasks()
    stage = tasks.resource("stage", order="program")
    backward = tasks.task("backward", 1, stage)
    forward = tasks.task("forward", 1, stage)
    tasks.link(forward, backward)
    with pytest.raises(InputError, match="'forward' comes after 'backward' on 'stage'"):
        simulate(tasks)


def test_a_full_buffer_is_named_with_the_task_that_would_empty_it() -> None:
    """GPipe's order in memory for three of four micro-batches, of two each."""
    tasks = Tasks()
    stage, memory = tasks.resource("stage", order="program"), tasks.buffer("memory", 6)
    for i in range(4):
        tasks.task(f"F{i}", 1, stage, takes={memory: 2})
    for i in range(4):
        tasks.task(f"B{i}", 2, stage, i, gives={memory: 2})
    with pytest.raises(CapacityError) as caught:
        simulate(tasks)
    assert str(caught.value) == (
        "events: deadlock: 5 of 8 tasks never start: 'F3' needs 2 of buffer 'memory', which is"
        " full (6 of 6) until 'B0' ends, 'B0' comes after 'F3' on 'stage'; give memory more room,"
        " or order the tasks otherwise"
    )


def test_a_buffer_that_nothing_empties_is_named() -> None:
    tasks = Tasks()
    memory = tasks.buffer("memory", 100, level=40)
    tasks.task("a", 1, takes={memory: 50})
    tasks.task("b", 1, takes={memory: 20})
    with pytest.raises(CapacityError, match=r"90 of 100\), and nothing more is given back"):
        simulate(tasks)


def test_a_buffer_may_start_full_and_nothing_is_taken_by_zero() -> None:
    tasks = Tasks()
    memory = tasks.buffer("memory", 4, level=4)
    tasks.task("nothing", 1, takes={memory: 0}, gives={memory: 0})
    tasks.task("waits", 1, takes={memory: 3})
    tasks.task("frees", 2, gives={memory: 3})
    timeline = simulate(tasks)
    assert timeline.start_s.tolist() == [0, 2, 0]
    assert timeline.level("memory")[1].tolist() == [4, 1, 4]


def test_more_given_back_than_taken_is_refused() -> None:
    tasks = Tasks()
    memory = tasks.buffer("memory", 4)
    tasks.task("a", 1, takes={memory: 1}, gives={memory: 2})
    with pytest.raises(InputError, match="gives 2 back to buffer memory at 1 s, which holds 1"):
        simulate(tasks)


def test_sums_of_fractions_fill_a_buffer_to_the_brim() -> None:
    """0.1 three times is more than 0.3 by a rounding, and leaves a rounding behind."""
    assert reduce(float.__add__, [0.1] * 3) > 0.3
    tasks = Tasks()
    memory = tasks.buffer("memory", 0.3)
    last = [tasks.task(f"a{i}", 1, takes={memory: 0.1}) for i in range(3)]
    tasks.task("b", 1, after=last, gives={memory: 0.3})
    timeline = simulate(tasks)
    assert timeline.start_s.tolist() == [0, 0, 0, 1]
    assert timeline.level("memory")[1][-1] == pytest.approx(0, abs=1e-15)
