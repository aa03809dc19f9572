"""Sizes outside what was measured: told of the farthest, at each point and of them all."""

import numpy as np
import pytest

from hwmodel.hardware.calibration import stretched
from hwmodel.quantity.units import Amount
from hwmodel.spine.outside import Outside, farthest, outside, told

RANGES = {"M": (4.0, 64.0), "K": (128.0, 1024.0)}


def found(**sizes: Amount) -> tuple[Outside, ...]:
    return outside("f", RANGES, sizes.get)


def test_the_ends_of_a_range_are_inside() -> None:
    assert found(M=4, K=1024) == found(M=np.array([4.0, 64.0])) == ()
    assert farthest(()) == 1.0


def test_a_factor_is_that_of_the_farther_end() -> None:
    sizes = found(M=np.array([1.0, 8.0, 128.0, 64.0]), K=np.array([128.0, 4096.0, 2048.0, 64.0]))
    assert np.asarray(farthest(sizes)).tolist() == [4, 4, 2, 2]


def test_each_point_is_told_of_its_farthest_size() -> None:
    sizes = found(M=np.array([1.0, 8.0, 65.0]), K=np.array([64.0, 128.0, 128.0]))
    first, second, third = told([(each, 1) for each in sizes], 3)
    assert "f: M 1 is 4 times outside 4 to 64" in first
    assert second == ""
    assert "f: M 65 is 1.56% outside" in third
    assert told([(each, 1) for each in sizes]) == [first]


def test_a_kernel_that_does_not_run_tells_nothing() -> None:
    (size,) = found(M=np.array([1.0, 1.0]))
    assert [bool(text) for text in told([(size, np.array([0.0, 1.0]))], 2)] == [False, True]
    assert told([(size, 0)]) == [""]


@pytest.mark.parametrize("factor", [1.0, np.array([1.0, 1.0])])
def test_inside_an_interval_is_what_it_was(factor: Amount) -> None:
    low, high = stretched((0.7, 1.3), factor, fastest=0.0)
    assert np.all(np.asarray(low) == 0.7)
    assert np.all(np.asarray(high) == 1.3)


def test_far_outside_the_fast_end_falls_and_the_slow_end_stays() -> None:
    low, high = stretched((0.5, 2.0), np.array([1.0, 2.0, 8.0, 9.0, 1e6]), fastest=0.01)
    assert np.asarray(low).tolist() == [0.5, 0.125, 0.1, 0.01, 0.01]
    assert np.asarray(high).tolist() == [2, 8, 10, 10, 10]
