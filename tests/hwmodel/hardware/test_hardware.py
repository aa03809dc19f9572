"""A machine as a value: limits without seconds, rates with a refusal for what it lacks."""

import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware, Power, limits
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

SMALL: dict[str, Any] = {
    "name": "small",
    "title": "A small machine",
    "kind": "gpu",
    "processors": {"count": 4, "shared_per_block": "10 KiB"},
    "clock": "1 GHz",
    "units": {"matrix": {"rate": {"bf16": "8 TFLOP/s"}}},
    "memories": {
        "dram": {"capacity": "1 GiB", "bandwidth": "100 GB/s"},
        "l2": {"capacity": "1 MiB", "bandwidth": "1 TB/s"},
        "shared": {"capacity": "16 KiB", "bandwidth": "2 TB/s", "per_processor": True},
    },
    "link": {"technology": "wire", "bandwidth": "10 GB/s", "latency": "1 us", "max_devices": 4},
    "power": {"idle": "10 W", "limit": "100 W"},
    "launch": {"graph": "1 us", "eager": "10 us"},
}


@pytest.fixture(scope="module")
def small() -> Hardware:
    return Hardware.build(SMALL, where="test")


def test_limits_are_totals_of_the_device_and_know_no_time(small: Hardware) -> None:
    found = limits(small)
    assert dict(found.capacity_bytes) == {"dram": 2**30, "l2": 2**20, "shared": 4 * 16 * 1024}
    assert found.on_chip_bytes == 2**20 + 2**16
    assert found.processors == 4
    timed = re.compile(r"_(s|hz|w|per_s|j)$")
    assert not [name for name in vars(found) if timed.search(name)]


def test_a_rate_that_the_machine_lacks_is_refused_with_those_it_has(small: Hardware) -> None:
    assert small.rate("matrix", "bf16") == 8e12
    with pytest.raises(CoverageError, match=r"no rate for fp8; \['bf16'\]"):
        small.rate("matrix", "fp8")
    with pytest.raises(CoverageError, match=r"no 'exp' unit; it has .*matrix"):
        small.rate("exp", "fp32")


def test_memory_goes_by_its_name_or_alias(small: Hardware) -> None:
    assert small.memory("hbm") == small.memory("dram")
    with pytest.raises(UnknownNameError, match="known: dram, l2, shared"):
        small.memory("l3")


def test_but_reaches_units_and_memories_by_their_own_names(small: Hardware) -> None:
    changed = small.but(
        hbm={"bandwidth": "9.6 TB/s"}, matrix={"rate": {"bf16": "1 PFLOP/s"}}, sms={"count": 8}
    )
    assert changed.memory("dram").bandwidth_bytes_per_s == 9.6e12
    assert changed.memory("dram").capacity_bytes == 2**30
    assert changed.rate("matrix", "bf16") == 1e15
    assert limits(changed).capacity_bytes["shared"] == 8 * 16 * 1024
    assert small.memory("dram").bandwidth_bytes_per_s == 100e9


def test_hardware_numbers_may_be_arrays(small: Hardware) -> None:
    swept = small.but(l2={"capacity_bytes": np.array([1.0, 2.0]) * 2**20})
    assert_array_equal(limits(swept).on_chip_bytes, [2**20 + 2**16, 2**21 + 2**16])


def test_several_devices_are_a_product(small: Hardware) -> None:
    assert (small * 4).devices == 4
    assert (small * 2 * 2).devices == 4
    assert (small * 5).devices == 5


@pytest.mark.parametrize("devices", [np.array([1.0, 2.0]), [1, 2], 1.5, True, "2"])
def test_a_number_of_devices_is_one_number(small: Hardware, devices: Any) -> None:
    with pytest.raises(InputError, match=r"one whole number, found .* hw\.each"):
        _ = small * devices


@pytest.mark.parametrize("devices", [0, -1])
def test_there_is_at_least_one_device(small: Hardware, devices: int) -> None:
    with pytest.raises(InputError, match="devices"):
        _ = small * devices


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memories": {"dram": {"capacity": "1 GiB"}}}, "memories.dram: .*'bandwidth_bytes_per_s'"),
        ({"clock": "0 Hz"}, "clock_hz: .*above 0"),
        ({"kind": "toaster"}, "kind: "),
        ({"units": {"matrix": {"rate": {}}}}, "units.matrix.rate_per_s"),
    ],
)
def test_impossible_machines_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Hardware.build(SMALL | change, where="test")


def test_a_power_limit_that_is_absent_does_not_stand_in_the_way_of_another_change() -> None:
    changed = Power(idle_w=0.1).but(run="0.3 W")
    assert (changed.run_w, changed.limit_w) == (0.3, math.inf)


@pytest.mark.parametrize("name", ["a100", "h100", "h200", "b200"])
def test_a_processor_holds_what_nvidia_says(name: str) -> None:
    """CUDA C++ Programming Guide, compute capabilities 8.0, 9.0 and 10.0."""
    found = limits(device(name))
    assert (found.max_blocks, found.max_threads, found.registers) == (32, 2048, 65536)
