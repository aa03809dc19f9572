"""Architectures of Timeloop and AccelForge: memories, fan-outs, joules, what is refused."""

from typing import Any

import pytest

from hwmodel.hardware.capacity_laws import mac_m2, memory_j_per_byte, memory_m2
from hwmodel.hardware.hardware import limits
from hwmodel.hardware.timeloop import architecture
from hwmodel.quantity.errors import CoverageError, InputError


def component(name: str, kind: str, **attributes: Any) -> dict[str, Any]:
    return {"!": "Component", "name": name, "class": kind, "attributes": attributes}


DRAM = component("DRAM", "DRAM", type="LPDDR4", width=64, datawidth=16)
GLB = component("shared_glb", "smartbuffer_SRAM", depth="128 * 128", width=64, datawidth=16)
COLUMN = {"!": "Container", "name": "PE_column", "spatial": {"meshX": 14}}
PE = {"!": "Container", "name": "PE", "spatial": {"meshY": 12}}
SPAD = component("spad", "smartbuffer_RF", depth=12, width=16, datawidth=16)
MAC = component("mac", "intmac", multiplier_width=8)


def timeloop(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"architecture": {"version": 0.4, "nodes": list(nodes)}}


def test_a_machine_of_two_levels_and_an_array() -> None:
    """128 KiB, 14 x 12 elements of 24 bytes each; the outermost is dram and has no end."""
    ported = {**GLB, "attributes": {**GLB["attributes"], "read_bandwidth": 16}}
    found = architecture(timeloop(DRAM, ported, COLUMN, PE, SPAD, MAC))
    machine = found.hardware
    assert list(machine.memories) == ["dram", "shared_glb", "spad"]
    glb, spad = machine.memories["shared_glb"], machine.memories["spad"]
    assert (glb.capacity_bytes, glb.array) == (128 * 1024, "")
    assert glb.energy_j_per_byte == memory_j_per_byte(128 * 1024)
    assert glb.bandwidth_bytes_per_s == 32e9
    assert (spad.capacity_bytes, spad.array) == (24, "elements")
    array = machine.arrays["elements"]
    assert (array.columns, array.rows) == (14, 12)
    assert machine.units["mac"].rate_per_s["int16"] == 2 * 168 * 1e9
    assert machine.memories["dram"].energy_j_per_byte == pytest.approx(6e-12 * 8)
    assert found.bits == 16
    parts_m2 = memory_m2(128 * 1024) + 168 * (memory_m2(24) + mac_m2("int16"))
    assert machine.area_m2 == pytest.approx(parts_m2)


def test_variables_and_a_nodes_own_attributes_are_names_in_its_numbers() -> None:
    """16 lines of three words of 16 bits: 96 bytes."""
    buffer = component("buffer", "SRAM", depth="LINES * 2", width="datawidth * 3", datawidth="BITS")
    given = {**timeloop(DRAM, buffer, MAC), "variables": {"BITS": 16, "LINES": 8, "node": "45nm"}}
    assert architecture(given).hardware.memories["buffer"].capacity_bytes == 96


def test_actions_of_accelforge_count_as_they_stand() -> None:
    """7.03 and 9.03 pJ a bit, 8 bytes a nanosecond; one tensor alone in the registers."""
    energy = [
        {"name": "read", "energy": 7.03e-12, "throughput": "8 * 8e9"},
        {"name": "write", "energy": 9.03e-12, "throughput": "8 * 9e9"},
    ]
    nodes = [
        {"!": "Memory", "name": "Main", "size": "inf", "actions": energy},
        {"!": "Container", "name": "PE", "spatial": [{"name": "x", "fanout": 4}]},
        {"!": "Memory", "name": "Register", "size": "16 * 8", "tensors": {"keep": "weight"}},
        {"!": "Compute", "name": "MAC", "actions": [{"name": "compute", "throughput": 1e9}]},
    ]
    found = architecture({"arch": {"nodes": nodes}})
    main = found.hardware.memories["dram"]
    assert main.energy_j_per_byte == pytest.approx(8.03e-12 * 8)
    assert main.bandwidth_bytes_per_s == 8e9
    assert found.hardware.memories["register"].capacity_bytes == 16
    assert (found.axes, found.levels[1].holds) == ({"PE.x": "columns"}, "weight")


LANES = {"!": "Container", "name": "lanes", "spatial": {"meshX": 8}}
LANE = component("lane", "smartbuffer_RF", depth=1, width=16, datawidth=16)


def test_a_fan_out_inside_of_an_element_is_an_array_of_its_own() -> None:
    """168 elements of 24 bytes, and 8 lanes in each; 3 directions are 2 and 1, one inside."""
    found = architecture(timeloop(DRAM, GLB, COLUMN, PE, SPAD, LANES, LANE, MAC))
    machine = found.hardware
    assert {name: array.inside for name, array in machine.arrays.items()} == {
        "elements": "",
        "lanes": "elements",
    }
    room = limits(machine)
    assert (room.instances["spad"], room.instances["lane"]) == (168, 168 * 8)
    assert room.capacity_bytes["lane"] == 168 * 8 * 2
    assert machine.units["mac"].rate_per_s["int16"] == 2 * 168 * 8 * 1e9
    assert found.axes["lanes.meshX"] == "lanes.columns"
    cross = architecture(timeloop(DRAM, GLB, COLUMN, PE, LANES, SPAD, MAC))
    assert list(cross.hardware.arrays) == ["elements", "lanes"]
    assert limits(cross.hardware).instances["spad"] == 168 * 8


def test_what_is_not_modelled_is_refused_by_its_name() -> None:
    sides = [{"name": name, "fanout": 2} for name in "xyz"]
    nodes = [{"!": "Memory", "name": "Main"}, {"!": "Container", "name": "PE", "spatial": sides}]
    with pytest.raises(CoverageError, match="PE: expected a fan-out of two directions"):
        architecture({"arch": {"nodes": nodes}})


def test_bandwidth_is_of_each_of_an_elements_memories() -> None:
    """Two words of 16 bits a nanosecond in each of 168 elements; metadata has room of its own."""
    ported = {**SPAD["attributes"], "read_bandwidth": 2, "metadata_storage_depth": 4}
    spad = {**SPAD, "attributes": {**ported, "metadata_storage_width": 4}}
    found = architecture(timeloop(DRAM, GLB, COLUMN, PE, spad, MAC)).hardware.memories["spad"]
    assert found.bandwidth_bytes_per_s == 168 * 2 * 2e9
    assert found.capacity_bytes == 24 + 2


@pytest.mark.parametrize(
    ("said", "bytes_per_s"),
    [
        ({"shared_bandwidth": 6}, 12e9),
        ({"shared_bandwidth": 6, "read_bandwidth": 1, "write_bandwidth": 2}, 6e9),
        ({"shared_bandwidth": 6, "read_bandwidth": 4, "write_bandwidth": 4}, 12e9),
    ],
)
def test_reads_and_writes_may_share_a_bandwidth(said: dict[str, int], bytes_per_s: float) -> None:
    main = component("DRAM", "DRAM", datawidth=16, **said)
    found = architecture(timeloop(main, GLB, MAC)).hardware.memories["dram"]
    assert found.bandwidth_bytes_per_s == bytes_per_s


@pytest.mark.parametrize("said", [{"sizeKB": 3}, {"entries": 1536}, {"depth": 768, "width": 32}])
def test_a_memory_may_say_its_size_in_words_or_kibibytes(said: dict[str, int]) -> None:
    buffer = component("buffer", "SRAM", datawidth=16, **said)
    found = architecture(timeloop(DRAM, buffer, MAC)).hardware.memories["buffer"]
    assert found.capacity_bytes == 3 * 1024


def test_what_is_no_machine_is_refused() -> None:
    with pytest.raises(InputError, match="no unit that computes"):
        architecture(timeloop(DRAM, GLB))
    with pytest.raises(InputError, match="shared_glb stands here a second time"):
        architecture(timeloop(DRAM, GLB, GLB, MAC))
    with pytest.raises(InputError, match="expected an architecture"):
        architecture({})


def test_an_inner_memory_without_a_depth_is_noted() -> None:
    endless = component("shared_glb", "smartbuffer_SRAM", depht=1024, width=64, datawidth=16)
    said = "shared_glb says no depth: it holds everything, at a DRAM's energy"
    assert said in architecture(timeloop(DRAM, endless, MAC)).notes
    assert architecture(timeloop(DRAM, GLB, component("mac", "intmac"))).notes == ()
