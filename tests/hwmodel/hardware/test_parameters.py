"""The numbers of a machine by path: listed, found under every name, changed together."""

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.parameters import changed, number, numbers
from hwmodel.quantity.errors import InputError, UnknownNameError

H200 = device("h200")


def test_every_number_of_the_catalogue_entry_that_time_or_energy_can_follow_is_listed() -> None:
    listed = set(numbers(H200))
    apart = {"area", "price.list", "price.rent", "price.reserved", "link.max_devices"}
    for path in H200.sources:
        first, _, rest = path.partition(".")
        short = rest if first in ("memories", "units") else path
        assert (short in listed) != (short in apart), path


@pytest.mark.parametrize(
    "name",
    [
        "dram.bandwidth",
        "hbm.bandwidth",
        "memories.dram.bandwidth",
        "dram.bandwidth_bytes_per_s",
    ],
)
def test_one_number_is_found_under_all_of_its_names(name: str) -> None:
    found = number(H200, name)
    assert (found.path, found.value, found.text()) == ("dram.bandwidth", 4.8e12, "4.8 TB/s")


def test_capacities_are_shown_as_their_makers_say_them() -> None:
    assert number(H200, "l2.capacity").text() == "60 MiB"
    assert number(H200, "sms.count").text() == "132"


def test_an_unknown_number_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"'hbm.bandwith' \(did you mean 'dram.bandwidth'"):
        number(H200, "hbm.bandwith")


def test_many_numbers_are_changed_at_once_and_the_others_stay() -> None:
    new = {"dram.bandwidth": 9.6e12, "matrix.rate.bf16": 2e15, "clock": 2e9}
    machine = changed(H200, new, alone=True)
    assert machine.memory("dram").bandwidth_bytes_per_s == 9.6e12
    assert machine.memory("dram").latency_s == H200.memory("dram").latency_s
    assert machine.units["matrix"].rate_per_s["bf16"] == 2e15
    assert machine.units["matrix"].rate_per_s["fp8"] == H200.units["matrix"].rate_per_s["fp8"]
    assert (machine.clock_hz, machine.title) == (2e9, H200.title)


def test_every_number_can_be_set_to_what_it_is() -> None:
    for name in ("h200", "fusemax", "stm32f746", "u280"):
        machine = device(name)
        found = numbers(machine)
        same = changed(machine, {path: each.value for path, each in found.items()})
        assert numbers(same) == found


def test_a_capacity_is_changed_one_value_at_a_time() -> None:
    with pytest.raises(InputError, match=r"l2.capacity: expected one value at a time, found 2"):
        changed(H200, {"l2.capacity": np.array([1e6, 2e6])})
