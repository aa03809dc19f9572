"""What each replica computes with a coding, counted part by part; and refusals."""

from fractions import Fraction

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.spine.stragglers import Stragglers

SLOW = "slows=0.01,recovers=0.5,times=2"


def counted(replicas: int, burst: int, window: int, tolerated: int) -> Fraction:
    """Parts of a multiplexed coding: so many that each replica has alone, so many that are coded.

    Of a batch each replica has window - 1 parts alone; `burst` groups of one part a replica hold
    the rest, each piece of which `tolerated` + 1 replicas compute. All parts are as large.
    """
    alone = replicas * (window - 1)
    coded = Fraction(replicas * burst, tolerated + 1)
    return (window - 1 + burst) / (alone + coded)


@pytest.mark.parametrize(("burst", "window", "tolerated"), [(1, 2, 27), (2, 5, 8), (3, 4, 0)])
def test_multiplexed_loads_are_those_of_their_parts(
    burst: int, window: int, tolerated: int
) -> None:
    words = f"{SLOW},coding=multiplexed,burst={burst},window={window},tolerated={tolerated}"
    found = Stragglers.of(words)
    assert found.load(256) == pytest.approx(float(counted(256, burst, window, tolerated)))
    assert found.delay == window - 2 + burst


def test_selective_repeats_are_codes_against_a_burst_of_a_window() -> None:
    words = f"{SLOW},coding=selective-repeat,burst=2,window=3,tolerated=23"
    found = Stragglers.of(words)
    assert (found.late, found.delay) == (12, 2)  # 2 x 23 / 4, rounded up
    assert found.load(256) == 13 / 256
    assert Stragglers.of(f"{SLOW},coding=gradient,tolerated=15").load(256) == 16 / 256
    assert Stragglers.of(SLOW).load(256) == 1 / 256


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("slows=0.1,times=2", "found no recovers"),
        ("slows=0,recovers=0.5,times=2", "slows: expected a chance"),
        ("slows=0.1,recovers=0.5,times=0.5", "times: expected 1 or more"),
        (f"{SLOW},coding=selective-repeat,burst=2,window=4", "expected a divisor of window - 1"),
        (f"{SLOW},coding=multiplexed,burst=2,window=2", "window: expected 3 or more"),
        (f"{SLOW},coding=raptor", "coding"),
        (f"{SLOW},speed=1", "unknown field 'speed'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Stragglers.of(given)
