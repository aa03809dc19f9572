"""What of a run's time counts: simulated failures, the best interval by search, and refusals."""

import math
import random

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.spine.failures import Failures

DEVICES = 100
GIVEN = Failures.of("mtbf=1000h,detect=10min,restart=20min,checkpoint=3min,every=2h")
HOUR = 3600.0


def simulated_share(given: Failures, intervals: int) -> float:
    """Work done over the time it took, failure by failure, pauses being safe."""
    draw = random.Random(7)
    every_s, stop_s = float(given.every_s or 0), float(given.checkpoint_s)
    took_s = 0.0
    for _ in range(intervals):
        while True:
            fails_s = draw.expovariate(DEVICES / float(given.mtbf_s))
            if fails_s >= every_s + stop_s:
                took_s += every_s + stop_s
                break
            took_s += fails_s + given.pause_s
    return intervals * every_s / took_s


def test_the_share_that_counts_is_that_of_simulated_failures() -> None:
    assert GIVEN.pause_s == 30 * 60
    assert GIVEN.counts(DEVICES) == pytest.approx(simulated_share(GIVEN, 60_000), rel=0.01)


def test_the_best_interval_is_where_no_other_counts_more() -> None:
    free = GIVEN.but(every_s=None)
    best = free.counts(DEVICES)
    for every in (0.5, 0.9, 1.1, 2.0):
        other = free.but(every_s=every * free.interval_s(DEVICES))
        assert other.counts(DEVICES) < best
    rare = Failures.of("mtbf=1000000h,checkpoint=1min")
    young_s = math.sqrt(2 * 60 * 1_000_000 * HOUR / DEVICES)  # of failures that are seldom
    assert rare.interval_s(DEVICES) == pytest.approx(young_s, rel=0.02)


def test_without_checkpoints_cost_pauses_alone_are_lost() -> None:
    given = Failures.of({"mtbf": "1000 h", "restart": "1 h"})
    assert given.counts(DEVICES) == pytest.approx(10 / 11, rel=1e-5)  # an hour after each ten
    assert Failures.of("mtbf=1h,checkpoint=1h,every=40h").counts(DEVICES) == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("restart=1h", "expected the mtbf of a device"),
        ("mtbf=1h,restart=-1h", "restart"),
        ("mtbf=0h", "mtbf"),
        ("mtbf=1h,repair=3h", "unknown field 'repair'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Failures.of(given)
