"""One clock for a step: what the mean power of its kernels leaves."""

import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.machines.gpu.engines.settled import settled
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Part

H200 = hw.device("h200")


def part(time_s: float, *, watts: float, slowed: float = 1.0, dram: float = 0.0) -> Part:
    """A kernel that draws so many watts, is slowed so much alone, and streams for so long."""
    return Part(
        name="kernel",
        family="none",
        times=1,
        counts=Work(),
        time_s=time_s,
        sustained_s=time_s * slowed,
        busy_s={"matrix": time_s, "dram": dram * time_s},
        energy_j=watts * time_s * slowed,
        interval=(1.0, 1.0),
    )


def test_kernels_below_the_limit_run_at_the_full_clock() -> None:
    (alone,) = settled([part(1e-3, watts=500)], H200)
    assert_allclose(alone.time_s, 1e-3)
    assert_allclose(alone.energy_j, 0.5, rtol=0.01)


def test_a_kernel_alone_is_slowed_as_by_its_own_power() -> None:
    """All of it follows the clock, so that the step's equation is the kernel's own."""
    (alone,) = settled([part(1e-3, watts=700, slowed=1.15)], H200)
    assert_allclose(alone.time_s, 1.15e-3, rtol=1e-3)
    assert_allclose(alone.energy_j / alone.time_s, 700, rtol=0.01)


def test_a_light_kernel_beside_it_leaves_power_to_a_heavy_one() -> None:
    heavy, light = part(1e-3, watts=700, slowed=1.15), part(1e-3, watts=350)
    (alone,) = settled([heavy], H200)
    beside, slower = settled([heavy, light], H200)
    assert 1e-3 < beside.time_s < alone.time_s
    assert slower.time_s > light.time_s
    assert (beside.energy_j + slower.energy_j) / (beside.time_s + slower.time_s) <= 700 * 1.001


def test_what_the_dram_paces_is_not_slowed_by_the_clock() -> None:
    heavy, stream = part(1e-3, watts=700, slowed=1.15), part(1e-3, watts=700, dram=1.0)
    _, streamed = settled([heavy, stream], H200)
    assert streamed.time_s == pytest.approx(1e-3)
