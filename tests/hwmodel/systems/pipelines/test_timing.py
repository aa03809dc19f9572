"""One walk over the passes against the event simulation, and what orders may not do."""

from random import Random

import numpy as np
import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import CHUNKS
from hwmodel.systems.events import simulate
from hwmodel.systems.pipelines.named import SCHEDULES, scheduled
from hwmodel.systems.pipelines.schedule import Passes, Schedule, looped
from hwmodel.systems.pipelines.timing import peaks, tasks, timed


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("transfer_s", [0.0, 0.3])
def test_every_pass_starts_when_the_event_simulation_says(name: str, transfer_s: float) -> None:
    chunks = 2 if name == "dualpipe" else CHUNKS[name] or 2
    random = Random(7)
    seconds = [[random.uniform(0.5, 2) for _ in range(4 * chunks)] for _ in range(3)]
    forward_s, backward_s, weight_s = seconds
    passes = Passes(forward_s, backward_s, weight_s, transfer_s, overlapped=0.8)
    schedule = scheduled(name, 4, 8, passes, chunks=chunks)
    found = timed(schedule, passes)
    given, numbers = tasks(schedule, passes)
    wanted = simulate(given)
    assert found.makespan_s == pytest.approx(wanted.makespan_s, rel=1e-12)
    for rank, each in enumerate(numbers):
        np.testing.assert_allclose(found.start_s[rank], wanted.start_s[each], rtol=1e-12)
        np.testing.assert_allclose(found.end_s[rank], wanted.end_s[each], rtol=1e-12)


def test_a_slow_stage_paces_the_pipeline() -> None:
    """Three stages, the last of 5 + 10 seconds, 6 micro-batches: it never waits after its first."""
    passes = Passes([1, 1, 5], [2, 2, 10], [0, 0, 0])
    found = timed(scheduled("1f1b", 3, 6, passes), passes)
    assert found.makespan_s == 1 + 1 + 6 * 15 + 2 + 2
    assert found.busy_s.tolist() == [18, 18, 90]
    assert found.span_s[2] == 90
    assert found.bubble == pytest.approx(1 - (18 + 18 + 90) / 3 / 96)


def test_transfers_lengthen_the_way_down_and_up() -> None:
    passes = Passes([1] * 4, [2] * 4, [0] * 4, transfer_s=0.25)
    assert timed(scheduled("gpipe", 4, 2, passes), passes).makespan_s == 5 * 3 + 6 * 0.25


def test_what_is_kept_is_counted_by_bytes_of_each_stage() -> None:
    """1F1B of three ranks keeps 3, 2 and 1 micro-batches; half is freed by B where they part."""
    passes = Passes.alike(3, 1, 1, 1)
    schedule = scheduled("1f1b", 3, 8, passes)
    assert peaks(schedule, [10.0, 20.0, 30.0]).tolist() == [30, 40, 30]
    parted = scheduled("zb-h1", 3, 8, passes)
    assert peaks(parted, [1.0] * 3).tolist() == [3, 3, 3]
    assert peaks(parted, [1.0] * 3, freed_by_b=0.5).tolist() == [3, 2.5, 2]


def test_orders_that_wait_for_each_other_are_refused_with_the_pass() -> None:
    layout = looped(2)
    whole = scheduled("gpipe", 2, 1, Passes.alike(2, 1, 1))
    swapped = Schedule("mine", layout, 1, [whole.codes(0)[::-1], whole.codes(1)])
    with pytest.raises(InputError, match=r"mine: rank 0 waits forever .* BW of micro-batch 0"):
        timed(swapped, Passes.alike(2, 1, 1))
    with pytest.raises(InputError, match="expected the seconds of 2 stages, found 3"):
        timed(whole, Passes.alike(3, 1, 1))
