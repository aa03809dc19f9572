"""Two batches that take turns: against the event simulation, and what hides behind what."""

import random
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.machines.weaving import paired_s
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Tasks

H200 = hw.device("h200")
WAYS = ({"dp": 16, "ep": 16}, {"dp": 16, "ep": 16, "dispatch": "once"})
MIXTURE = hw.model("qwen3-30b-a3b")


def simulated_s(row: list[tuple[float, float]], steps: int) -> list[float]:
    """Ends of steps of two batches whose tasks have their places on processors and links."""
    tasks = Tasks()
    works, links = (tasks.resource(name, order="program") for name in ("works", "links"))
    last: list[Any] = [None, None]
    ends: list[list[Any]] = []
    for _ in range(steps):
        for number, (seconds, sent) in enumerate(row):
            for batch in (0, 1):
                after = () if last[batch] is None else (last[batch],)
                made = tasks.task(f"{number} of {batch}", seconds, works, after)
                last[batch] = tasks.task(f"{number} sent", sent, links, (made,)) if sent else made
        ends.append(list(last))
    timeline = simulate(tasks)
    return [max(float(timeline.end_s[task]) for task in both) for both in ends]


def test_turns_are_those_of_the_event_simulation() -> None:
    rng = random.Random(7)
    for _ in range(20):
        row = [(float(rng.randint(1, 9)), float(rng.randint(0, 9))) for _ in range(6)]
        once = simulated_s(row, 1)
        assert paired_s(row, again=False) == pytest.approx(once[-1])
        third, second = simulated_s(row, 3)[:0:-1]
        assert paired_s(row, again=True) == pytest.approx(third - second)


def test_the_shorter_of_computing_and_sending_hides_but_for_the_ends() -> None:
    """Segments alike: what is shorter is seen once, of the last batch or of the first."""
    assert paired_s([(5, 2)] * 10, again=False) == 2 * 50 + 2
    assert paired_s([(2, 5)] * 10, again=False) == 2 * 50 + 2


def test_exchanges_of_one_half_hide_behind_the_other() -> None:
    """A prompt of a mixture: less than both halves in a row, no less than one resource alone."""
    ways = {"dp": 16, "ep": 16}
    work = MIXTURE.prefill(64, 64)
    plain = hw.predict(work, on=H200 * 16, parallel={**ways, "micro_batch": 2})
    turns = hw.predict(work, on=H200 * 16, parallel={**ways, "overlap": "two-batch"})
    sent = sum(p.times * p.time_s for p in turns.parts if p.family == "collective")
    total = sum(p.times * p.time_s for p in turns.parts)
    assert plain.time_s == pytest.approx(2 * total)
    longest = 2 * max(sent, total - sent)
    assert longest <= turns.time_s < min(1.2 * longest, 0.9 * plain.time_s)
    assert turns.bound_s <= turns.time_s
    assert turns.flop == pytest.approx(plain.flop)
    assert 0 <= turns.bubble < 1


def test_one_sequence_has_no_halves_and_groups_do_not_take_turns() -> None:
    ways = {"dp": 8, "ep": 8, "overlap": "two-batch"}
    with pytest.raises(InputError, match="two sequences or more"):
        MIXTURE.decode(8, 1024, parallel=ways)
    with pytest.raises(InputError, match="micro_batch, overlap"):
        MIXTURE.mixed(16, 1024, 8, 256, parallel=ways)
    work = MIXTURE.prefill(16, 512)
    with pytest.raises(CoverageError, match="take turns"):
        hw.predict(work, on=H200 * 8, parallel=ways, offload={"rate": "24 GB/s"})
    with pytest.raises(InputError, match="overlap: expected pp of 1"):
        MIXTURE.decode(8, 1024, parallel={"pp": 2, "overlap": "two-batch"})


def test_every_door_takes_how_rows_go_and_who_takes_turns() -> None:
    """Words of a request, of a command and of a table mean the same."""
    asked = {"dp": 16, "ep": 16, "dispatch": "once", "overlap": "two-batch"}
    table = hw.predict(MIXTURE.decode(512, 1024), on=H200 * 16, parallel=asked)
    fields = {"workload": "llm", "config": "qwen3-30b-a3b", "phase": "decode", "batch": 512}
    from hwmodel.verbs.request import answerer, read

    request = read({**fields, "context": 1024, "on": "h200", **asked})
    assert answerer(request.form)(request.sizes).time_s == pytest.approx(table.time_s)
    both = [hw.predict(MIXTURE.decode(512, 1024), on=H200 * 16, parallel=w) for w in WAYS]
    assert both[1].time_s < both[0].time_s  # rows once, but for one expert a device
