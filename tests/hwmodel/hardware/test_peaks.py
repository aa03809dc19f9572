"""Rates that follow processors and clocks, and those that a user has pinned."""

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError

H200, A100 = device("h200"), device("a100")
LARGE = hw.workloads.gemm(M=8192, N=8192, K=8192)
SMALL = hw.workloads.gemm(M=512, N=512, K=512)


def rates(machine: Hardware) -> dict[str, float]:
    """Rates by short name: units, then memories."""
    units = {(u, d): r for u, spec in machine.units.items() for d, r in spec.rate_per_s.items()}
    found = {f"{unit} {dtype}": float(rate) for (unit, dtype), rate in units.items()}
    return found | {n: float(m.bandwidth_bytes_per_s) for n, m in machine.memories.items()}


def test_half_the_processors_have_half_of_every_rate_of_their_own() -> None:
    half, whole = rates(H200.but(processors={"count": 66})), rates(H200)
    assert half.pop("dram") == whole.pop("dram") == 4.8e12
    assert half == {name: rate / 2 for name, rate in whole.items()}


def test_a_shared_level_follows_what_its_source_derives_it_from() -> None:
    """The A100's L2: 3840 bytes a clock; the H200's: that of 114 processors times 132 / 114."""
    slower = A100.but(clock=f"{1.41 / 2} GHz"), A100.but(processors={"count": 54})
    assert [m.memory("l2").bandwidth_bytes_per_s for m in slower] == [5.41e12 / 2, 5.41e12]
    slower = H200.but(clock="0.99 GHz"), H200.but(processors={"count": 66})
    assert [m.memory("l2").bandwidth_bytes_per_s for m in slower] == [6.6e12, 3.3e12]


def test_the_clock_takes_the_matrix_units_along() -> None:
    slow = H200.but(clock="0.99 GHz")
    assert slow.matrix_clock_hz == pytest.approx(1.83e9 / 2)
    assert slow.rate("matrix", "bf16") == pytest.approx(989.4e12 / 2)
    cool = H200.but(matrix_clock=f"{1.83 / 2} GHz")
    assert cool.rate("matrix", "bf16") == pytest.approx(989.4e12 / 2)
    assert cool.rate("vector", "fp32") == H200.rate("vector", "fp32")


def test_a_rate_that_the_user_names_stays_in_either_order() -> None:
    pinned = {"units": {"matrix": {"rate": {"bf16": "500 TFLOP/s"}}}}
    fewer = {"processors": {"count": 33}}
    both = (H200.but(**pinned).but(**fewer), H200.but(**fewer).but(**pinned))
    for machine in (*both, H200.but(**pinned, **fewer)):
        assert machine.rate("matrix", "bf16") == 500e12
        assert machine.rate("matrix", "fp8") == 1978.9e12 / 4


def test_nothing_follows_a_change_alone() -> None:
    alone = H200.alone(processors={"count": 66}, clock="1 GHz")
    assert rates(alone) == rates(H200)
    assert alone.processors.count == 66


def test_what_a_switch_adds_up_goes_with_the_link() -> None:
    """256 MiB on 4 ranks, twice as long over half the link; and pinned, never above the link."""
    assert H200.link is not None
    half = H200.but(link={"bandwidth_bytes_per_s": H200.link.bandwidth_bytes_per_s / 2})
    time_s = [float(hw.collective("all_reduce", 2**28, 4, m).time_s) for m in (H200, half)]
    assert 1.8 < time_s[1] / time_s[0] <= 2
    pinned = half.but(link={"reduction": "900 GB/s"})
    found = hw.collective("all_reduce", 2**28, 4, pinned)
    assert float(found.bound_s) <= float(found.time_s)


def test_a_followed_number_says_so_once() -> None:
    path = "units.matrix.rate.bf16"
    machine = H200.but(processors={"count": 66}).but(processors={"count": 33})
    assert machine.sources[path].count("followed to another number of processors") == 1
    assert machine.sources[path].startswith(H200.sources[path])
    assert machine.sources["processors.count"] == "what-if"


def test_twice_the_processors_halve_a_product_that_computes() -> None:
    time_s = [
        float(hw.predict(LARGE, H200.but(processors={"count": count})).time_s)
        for count in (66, 132, 264)
    ]
    assert time_s[0] / time_s[1] == pytest.approx(2, rel=0.05)
    assert time_s[1] / time_s[2] == pytest.approx(2, rel=0.08)


def test_processors_beyond_the_work_stand_idle() -> None:
    """A product of 512^3 has 64 tiles of 64 x 64: no count makes it slower, or instant."""
    time_s = [
        float(hw.predict(SMALL, H200.but(processors={"count": count})).time_s)
        for count in (33, 66, 132, 264, 528, 4096, 131072)
    ]
    assert time_s == sorted(time_s, reverse=True)
    assert time_s[-1] > 2.5e-6


@pytest.mark.parametrize("count", [0.5, 131.9, 0, -1])
def test_processors_are_whole(count: float) -> None:
    with pytest.raises(InputError, match=r"count: expected a (whole number|number above 0)"):
        H200.but(processors={"count": count})
