"""Rates that follow processors and clocks, and those that a user has pinned."""

import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.hardware.catalogue import device, devices
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError

GPUS = tuple(name for name in devices() if device(name).kind == "gpu")
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


# FLOP per clock and processor on dense 16-bit inputs: NVIDIA A100, H100 and Ada whitepapers (512,
# 1024 and 256 multiply-adds), B200 datasheet, AMD CDNA 3 whitepaper.
MATRIX_FLOP_PER_CLOCK = {
    "a100": 2048,
    **dict.fromkeys(("a100-40gb", "a100-pcie", "a30", "jetson-agx-orin"), 2048),
    "jetson-orin-nano": 2048,
    **dict.fromkeys(("h100-pcie", "h100-nvl", "gh200"), 4096),
    **dict.fromkeys(("gb200", "gb300"), 8192),
    **dict.fromkeys(("a40", "a10", "l4", "v100", "t4", "rtx-pro-6000", "h20"), 1024),
    **dict.fromkeys(("l40", "rtx-3090", "rtx-4090", "rtx-4060", "rtx-5090"), 512),
    **{"mi210": 1024, "mi250x": 1024, "mi325x": 2048, "mi350x": 4096, "mi355x": 4096},
    "h100": 4096,
    "h200": 4096,
    "b200": 8192,
    "b300": 8192,
    "l40s": 1024,
    "mi300x": 2048,
}
VECTOR_FLOP_PER_CLOCK = dict.fromkeys(GPUS, 256) | {
    **dict.fromkeys(("a100-40gb", "a100-pcie", "a30", "v100", "t4", "mi210", "mi250x"), 128),
    "a100": 128,
    "h100": 256,
    "h200": 256,
    "b200": 256,
    "b300": 256,
    "l40s": 256,
    "mi300x": 256,
}
WHOLE_RATE_INTEGERS = ("rtx-3090", "rtx-4090", "rtx-4060", "rtx-5090")
"""GeForce halves products with floating sums, not those with integer sums."""

HALF_INTEGERS = ("mi210", "mi250x")
"""CDNA 2 multiplies int8 at the rate of fp16."""

RIDGE_FLOP_PER_BYTE = {"a100": 153, "h100": 295, "h200": 206, "b200": 292, "b300": 292}


@pytest.mark.parametrize("name", GPUS)
def test_peaks_are_processors_times_width_times_clock(name: str) -> None:
    found = device(name)
    count = found.processors.count
    assert found.matrix_clock_hz is not None
    matrix = count * MATRIX_FLOP_PER_CLOCK[name] * found.matrix_clock_hz
    for dtype, ratio in {
        "bf16": 1,
        "fp16": 1,
        "tf32": 0.5,
        "fp8": 2,
        "int8": 2,
        "nvfp4": {"b300": 6, "gb300": 6, "rtx-5090": 8}.get(name, 4),
    }.items():
        if dtype == "int8":
            ratio *= 2 if name in WHOLE_RATE_INTEGERS else 0.5 if name in HALF_INTEGERS else 1
        if dtype in found.units["matrix"].rate_per_s:
            assert_allclose(found.rate("matrix", dtype), ratio * matrix, rtol=0.01)
    vector = count * VECTOR_FLOP_PER_CLOCK[name] * found.clock_hz
    assert_allclose(found.rate("vector", "fp32"), vector, rtol=0.01)
    exp = 32 if name in ("b300", "gb300") else 16  # Blackwell Ultra doubled it (NVIDIA, 2025)
    assert_allclose(found.rate("exp", "fp32"), count * exp * found.clock_hz, rtol=0.01)
    shared = found.memory("shared").bandwidth_bytes_per_s
    assert_allclose(shared, count * 128 * found.clock_hz, rtol=0.01)


@pytest.mark.parametrize(("name", "ridge"), RIDGE_FLOP_PER_BYTE.items())
def test_machine_balance_is_the_one_commonly_quoted(name: str, ridge: float) -> None:
    found = device(name)
    balance = found.rate("matrix", "bf16") / found.memory("dram").bandwidth_bytes_per_s
    assert_allclose(balance, ridge, rtol=0.01)
