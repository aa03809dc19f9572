"""The answer to `predict`: totals over its parts, as scalars and as sweeps."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Estimate, Part, bottleneck

PART = Part(
    name="product",
    family="gemm:cublas",
    times=3,
    counts=Work(read={"dram": 100}, written={"dram": 10}),
    time_s=2.0,
    sustained_s=3.0,
    busy_s={"dram": 1.5, "matrix": 0.5},
    energy_j=7.0,
    interval=(0.5, 2.0),
    work=gemm(M=2, N=3, K=5),
)
MOVE = replace(PART, name="move", times=1, work=None, time_s=4.0, sustained_s=4.0)
ESTIMATE = Estimate("toy", "Toy GPU", (PART, MOVE), bound_bytes=40, bound_s=1.0)


def test_totals_are_sums_over_runs_and_devices() -> None:
    """Three runs of 2 s and one of 4 s, on two devices alike."""
    both = replace(ESTIMATE, devices=2, window_s=1e9)
    assert both.time_s == 10
    assert both.energy_j == 2 * (3 * 7 + 7)
    assert (both.dram_bytes_read, both.dram_bytes_written) == (2 * 400, 2 * 40)
    assert both.flop == 2 * 3 * (2 * 2 * 3 * 5)
    assert both.busy_s == {"dram": 6.0, "matrix": 2.0}


def test_the_power_limit_slows_what_lasts_longer_than_its_window() -> None:
    """10 s at the full clock, 13 s when limited; the last 4 s run at 13/10 of their time."""
    assert ESTIMATE.sustained_time_s == 13
    assert_allclose(replace(ESTIMATE, window_s=6.0).time_s, 6 + 4 * 1.3)
    assert_allclose(replace(ESTIMATE, window_s=0.0).time_s, 13)


def test_the_interval_holds_the_time() -> None:
    found = replace(ESTIMATE, window_s=1e9)
    assert (found.time_low_s, found.time_high_s) == (5, 20)


def test_what_binds_is_the_resource_needed_longest_at_each_point() -> None:
    assert bottleneck({"port": 2.0, "dram": 1.0}) == "l2"
    words = bottleneck({"port": np.array([2.0, 0.5]), "dram": 1.0})
    assert list(words) == ["l2", "dram"]


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_a_sweep_over_sizes_has_operations_and_prints(shape: tuple[int, ...]) -> None:
    sizes = np.full(shape, 64.0)
    sweep = hwmodel.predict(gemm(M=sizes, N=32, K=16), on="h200")
    assert_allclose(sweep.flop, np.full(shape, 2 * 64 * 32 * 16))
    text = str(sweep)
    assert f"the first of {sizes.size} points" in text
    assert "65.5 k" in text  # 2 * 64 * 32 * 16 operations
