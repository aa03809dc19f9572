"""What a simulation is given: refused where it makes no sense, at once and by name."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Buffer, Tasks


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, "1 s", None, True, np.ones(2)])
def test_durations_are_finite_scalars(bad: float) -> None:
    with pytest.raises(InputError, match="task a: duration_s: expected a finite number"):
        Tasks().task("a", bad)


@pytest.mark.parametrize("two", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), Fraction(2)])
def test_numbers_of_all_kinds_pass(two: float) -> None:
    tasks = Tasks()
    tasks.task("a", two)
    tasks.task("b", two, release_s=two)
    assert simulate(tasks).end_s.tolist() == [2, 4]


REFUSED: dict[str, Callable[[Tasks], object]] = {
    "release_s: expected a finite number": lambda t: t.task("a", 1, release_s=-1),
    "priority: expected a number": lambda t: t.task("a", 1, priority=math.nan),
    "after: no task has number 0 yet": lambda t: t.task("a", 1, after=0),
    "after: no task has number -1 yet": lambda t: t.task("a", 1, after=-1),
    "on: no resource has number 7": lambda t: t.task("a", 1, on=7),
    "on: no resource has number 1": lambda t: t.task("a", 1, on=1),
    "takes: no buffer has number 0": lambda t: t.task("a", 1, takes={Buffer(0): 1}),
    "gives of buffer memory: expected a": lambda t: t.task("a", 1, gives={Buffer(1): -1}),
    "link: no task has number 5": lambda t: t.link(5, 5),
    "desk: expected a name of its own": lambda t: t.buffer("desk"),
    "capacity: expected a whole number of 1 or more": lambda t: t.resource("b", 0),
    "level: expected a finite number of 0 or more": lambda t: t.buffer("b", 3, level=-1),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_makes_no_sense_is_refused_by_name(message: str) -> None:
    tasks = Tasks()
    tasks.resource("desk")
    tasks.buffer("memory", 10)
    with pytest.raises(InputError, match=message):
        REFUSED[message](tasks)
    assert simulate(tasks).names == ()  # nothing is left of it


def test_an_unknown_order_is_told_the_orders() -> None:
    with pytest.raises(UnknownNameError, match="program, ready"):
        Tasks().resource("stream", order="programme")  # pyright: ignore[reportArgumentType]


def test_more_than_a_buffer_ever_holds_is_short_by_the_rest() -> None:
    tasks = Tasks()
    memory = tasks.buffer("memory", 80e9)
    with pytest.raises(CapacityError, match=r"task a: takes .* of buffer memory.*: .* short"):
        tasks.task("a", 1, takes={memory: 100e9})
    with pytest.raises(CapacityError, match="starts with 5"):
        tasks.buffer("small", 4, level=5)


def test_tasks_alike_share_what_they_hold() -> None:
    """A million tasks hold a few records, or the garbage collector walks a million."""
    tasks = Tasks()
    desk, memory = tasks.resource("desk"), tasks.buffer("memory")
    for i in range(3):
        tasks.task(f"t{i}", 1, desk, takes={memory: 2}, gives={memory: 2})
    assert len({id(each) for each in tasks.held.values()}) == 1
