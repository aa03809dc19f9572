"""Arrays from their sizes: parts by the laws of capacity, and what more of anything buys."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.capacity_laws import (
    mac_j,
    mac_m2,
    memory_j_per_byte,
    memory_m2,
    wire_j_per_byte,
)
from hwmodel.hardware.levers import unheard
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import InputError, UnknownNameError


def mapped(machine: hw.Hardware, objective: str) -> NestMapped:
    found = hw.map(WORK, on=machine, objective=objective)
    assert isinstance(found, NestMapped)
    return found


def numbers(machine: hw.Hardware) -> list[float]:
    """Joules, rates and area of an array that laws made."""
    memories = machine.memories.values()
    found = [*(m.energy_j_per_byte for m in memories), *(m.bandwidth_bytes_per_s for m in memories)]
    unit = machine.units["mac"]
    assert machine.area_m2 is not None
    return [*found, unit.energy_j_per_flop["int8"], unit.rate_per_s["int8"], machine.area_m2]


WORK = hw.workloads.gemm(M=32, N=32, K=32, dtype="int8", out_dtype="int8")


def test_parts_are_those_of_the_laws() -> None:
    made = hw.array(16, 8, buffer="64 KiB", registers="32 B", node=16, bandwidth="8 GB/s")
    elements_m2 = 128 * (mac_m2("int8", 16) + memory_m2(32, 16))
    assert made.area_m2 == pytest.approx(elements_m2 + memory_m2(65536, 16))
    buffer, register = made.memory("buffer"), made.memory("register")
    wire_j = wire_j_per_byte(elements_m2, 16)
    assert buffer.energy_j_per_byte == pytest.approx(memory_j_per_byte(65536, 16) + wire_j)
    assert register.energy_j_per_byte == memory_j_per_byte(32, 16)
    assert made.units["mac"].energy_j_per_flop["int8"] == pytest.approx(mac_j("int8", 16) / 2)
    assert made.rate("mac", "int8") == 2 * 128 * 1e9
    assert made.memory("dram").bandwidth_bytes_per_s == 8e9
    assert all(
        source.split(":")[0] in ("derived", "assumed", "specification")
        for source in made.sources.values()
    )


@pytest.mark.parametrize(
    ("what_if", "asked"),
    [
        ({"buffer": {"capacity": "8 MiB"}}, {"buffer": "8 MiB"}),
        ({"register": {"capacity": "1 KiB"}}, {"registers": "1 KiB"}),
        ({"node": 7}, {"node": 7}),
        ({"arrays": {"elements": {"rows": 64, "columns": 32}}}, {"rows": 64, "columns": 32}),
        ({"clock": "2 GHz"}, {"clock": "2 GHz"}),
    ],
)
def test_a_what_if_is_the_machine_that_was_asked_for_so(what_if: Any, asked: Any) -> None:
    """Laws are asked again: joules, area, rates and the feed, and nothing is said to stay."""
    sizes: Any = {"rows": 16, "buffer": "64 KiB", "registers": "32 B", "node": 16}
    changed, fresh = hw.array(**sizes).but(**what_if), hw.array(**(sizes | asked))
    assert numbers(changed) == pytest.approx(numbers(fresh))
    assert unheard(changed) == ()
    named = hw.array(**sizes).but(buffer={"energy": "3 pJ/B"}).but(**what_if)
    assert named.memory("buffer").energy_j_per_byte == 3e-12


def test_another_node_says_whose_joules_have_no_law() -> None:
    (said,) = unheard(hw.device("peer-a3").but(node=7))
    assert said.startswith("what-if: node: joules of mac, buffer, register stay")


def test_more_elements_take_less_time() -> None:
    """32^3 products on 16 and on 64 elements take 2048 and 512 steps."""
    found = {side: mapped(hw.array(side), "latency") for side in (4, 8)}
    assert [found[side].costs.counts.steps for side in (4, 8)] == [2048, 512]
    assert found[4].costs.time_s == pytest.approx(2048e-9)
    assert found[8].certificate.optimal_in_mapspace


def test_a_smaller_node_spends_less_on_chip_and_as_much_outside() -> None:
    spent = [mapped(hw.array(4, node=node), "energy") for node in (45, 7)]
    traffic_j = 3 * 32 * 32 * float(hw.array(4).memory("dram").energy_j_per_byte)
    assert traffic_j < spent[1].costs.energy_j < spent[0].costs.energy_j


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(InputError, match="rows: expected"):
        hw.array(0)
    with pytest.raises(InputError, match="buffer: expected"):
        hw.array(4, buffer="16 GB/s")
    with pytest.raises(UnknownNameError, match="type of DRAM"):
        hw.array(4, dram="ddr9")
    with pytest.raises(InputError, match="node: expected 7 to 45 nm"):
        hw.array(4, node=3)
