"""What a simulation answers, of one small case that is worked out by hand.

Two desks and a pen that one clerk writes with at a time, shelf space of 3:

    a  0-4 on a desk, takes 2      c  4-6 on a desk, after a, gives 2
    b  0-3 on a desk, takes 1      d  6-7 on a desk, takes 2: the shelf has room when c ends
    e  1-2 with the pen            f  2-7 with the pen
"""

import json

import pytest

from hwmodel.quantity.errors import UnknownNameError
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Tasks
from hwmodel.systems.timeline import Timeline


@pytest.fixture
def timeline() -> Timeline:
    tasks = Tasks()
    desks, pen, shelf = tasks.resource("desks", 2), tasks.resource("pen"), tasks.buffer("shelf", 3)
    a = tasks.task("a", 4, desks, takes={shelf: 2})
    tasks.task("b", 3, desks, takes={shelf: 1})
    tasks.task("c", 2, desks, a, gives={shelf: 2})
    tasks.task("d", 1, desks, takes={shelf: 2})
    tasks.task("e", 1, pen, release_s=1)
    tasks.task("f", 5, pen, release_s=1)
    return simulate(tasks)


def test_times_are_those_worked_out(timeline: Timeline) -> None:
    assert timeline.start_s.tolist() == [0, 0, 4, 6, 1, 2]
    assert timeline.end_s.tolist() == [4, 3, 6, 7, 2, 7]
    assert timeline.waited_s.tolist() == [0, 0, 0, 6, 0, 1]
    assert timeline.makespan_s == 7


def test_resources_are_busy_and_idle_to_the_last_end(timeline: Timeline) -> None:
    assert timeline.busy_s == {"desks": 10, "pen": 6}
    assert timeline.idle_s == {"desks": 4, "pen": 1}


def test_levels_of_a_buffer_over_time(timeline: Timeline) -> None:
    times, levels = timeline.level("shelf")
    assert list(zip(times.tolist(), levels.tolist(), strict=True)) == [
        *((0, 0), (0, 2), (0, 3), (6, 1), (6, 3))
    ]
    assert timeline.peaks == {"shelf": 3}


def test_tasks_of_a_resource_come_by_their_start(timeline: Timeline) -> None:
    assert [timeline.names[task] for task in timeline.tasks_on("desks")] == ["a", "b", "c", "d"]
    assert [timeline.names[task] for task in timeline.tasks_on("pen")] == ["e", "f"]


def test_the_critical_path_says_what_each_step_started_upon(timeline: Timeline) -> None:
    """D and f both end last: of equals the one that was inserted first."""
    path = timeline.critical_path
    assert [(step.name, step.duration_s, step.why) for step in path] == [
        ("a", 4, "release"),
        ("c", 2, "after 'a'"),
        ("d", 1, "buffer 'shelf' given back by 'c'"),
    ]
    assert timeline.binding_s == {"desks": 7}
    assert timeline.why(5) == "resource 'pen' freed by 'e'"


def test_what_binds_comes_by_its_seconds() -> None:
    tasks = Tasks()
    link, device = tasks.resource("link"), tasks.resource("device")
    load = tasks.task("load", 2, link)
    work = tasks.task("work", 5, device, load)
    both = tasks.task("exchange", 3, (link, device), work)
    tasks.task("rest", 1, after=both)
    found = simulate(tasks).binding_s
    assert list(found.items()) == [("device", 5), ("link + device", 3), ("link", 2), ("", 1)]


def test_names_that_are_not_there_are_refused(timeline: Timeline) -> None:
    with pytest.raises(UnknownNameError, match="unknown resource 'shelf'"):
        timeline.tasks_on("shelf")
    with pytest.raises(UnknownNameError, match="unknown buffer 'pen'"):
        timeline.level("pen")


def test_chrome_s_trace_has_a_row_for_each_unit_and_a_counter_for_each_buffer(
    timeline: Timeline,
) -> None:
    events = json.loads(json.dumps(timeline.trace()))["traceEvents"]
    assert len({e["pid"] for e in events}) == 1
    rows = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert sorted(rows.values()) == ["desks 0", "desks 1", "pen"]
    spans = sorted(
        (rows[e["tid"]], e["ts"], e["ts"] + e["dur"], e["name"]) for e in events if e["ph"] == "X"
    )
    assert spans == [
        ("desks 0", 0, 4e6, "a"),
        ("desks 0", 4e6, 6e6, "c"),
        ("desks 0", 6e6, 7e6, "d"),
        ("desks 1", 0, 3e6, "b"),
        ("pen", 1e6, 2e6, "e"),
        ("pen", 2e6, 7e6, "f"),
    ]
    counted = [(e["ts"], e["args"]["level"]) for e in events if e["ph"] == "C"]
    assert counted == [(0, 0), (0, 2), (0, 3), (6e6, 1), (6e6, 3)]


def test_tasks_without_a_resource_have_rows_of_their_own() -> None:
    tasks = Tasks()
    for name, seconds in (("a", 2), ("b", 2), ("nothing", 0)):
        tasks.task(name, seconds)
    events = simulate(tasks).trace()["traceEvents"]
    assert [e["args"]["name"] for e in events if e["ph"] == "M"] == ["no resource"] * 2
