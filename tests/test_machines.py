"""Laws of every machine in the catalogue, each on a workload of its kind.

Components of the energy sum to it; more bandwidth is never slower; a larger memory never moves more
DRAM bytes, as predicted, at a mapper's optimum and in the bound; nothing beats a bound.
"""

from functools import cache
from typing import Any

import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.bounds.limit import Limit
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Workload
from tests.thorough import but_first

PREDICTED = tuple(name for name in hw.devices() if not name.startswith(("peer", "aie", "eyeriss")))
"""Devices whose answers are no mapper's: bounds of those stand alone."""
PEERS = ("peer-a2", "peer-a3")
SLACK = 1 + 1e-9
OLDER = ("maxwell", "volta", "turing")
"""Generations without bf16."""
ATTENTION: dict[str, Any] = {"batch": 2, "heads": 4, "queries": 1024, "keys": 2048, "head_dim": 64}


def workloads(machine: Hardware) -> tuple[Workload, ...]:
    """What machines of this kind run."""
    if machine.kind == "mcu":
        return (hw.workloads.cnn(network="mobilenetv2", resolution=64, width=0.35),)
    formats: dict[str, Any] = {"kv_dtype": "int8"} if machine.name == "spatten" else {}
    if machine.kind in ("cpu", "fpga") or machine.architecture in OLDER:
        formats = {"dtype": "fp16"}
    attention = hw.workloads.attention(**(ATTENTION | formats))
    if machine.name == "spatten":
        return (attention,)
    return (
        attention,
        hw.workloads.gemm(M=1000, N=2048, K=1024, dtype=formats.get("dtype", "bf16")),
    )


CASES = [(name, place) for name in PREDICTED for place in range(len(workloads(hw.device(name))))]


@cache
def limit(name: str, place: int) -> Limit:
    """The bound of a case, with its prediction."""
    found = hw.bound(workloads(hw.device(name))[place], on=name)
    assert isinstance(found, Limit)
    return found


def moved(found: Any) -> float:
    return float(found.dram_bytes_read + found.dram_bytes_written)


def wider(machine: Hardware, level: str, field: str) -> Hardware:
    """The machine with twice of that number."""
    return machine.but(memories={level: {field: 2 * getattr(machine.memories[level], field)}})


@pytest.mark.parametrize(("name", "place"), CASES)
def test_components_of_the_energy_sum_to_it(name: str, place: int) -> None:
    found = limit(name, place).estimate
    assert found.energy_j > 0
    assert all(each >= 0 for each in found.energy_by_j.values())
    assert_allclose(sum(found.energy_by_j.values()), found.energy_j, rtol=1e-9)
    for part in found.parts:
        assert_allclose(sum(part.energy_by_j.values()), part.energy_j, rtol=1e-9)


@pytest.mark.parametrize(("name", "place"), CASES)
def test_more_bandwidth_is_never_slower(name: str, place: int) -> None:
    machine = hw.device(name)
    work = workloads(machine)[place]
    before = limit(name, place).estimate
    for level in machine.memories:
        after = hw.predict(work, on=wider(machine, level, "bandwidth_bytes_per_s"))
        assert after.time_s <= before.time_s * SLACK, level
        assert after.bound_s <= before.bound_s * SLACK, level


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_larger_memory_never_moves_more(name: str, place: int) -> None:
    machine = hw.device(name)
    work = workloads(machine)[place]
    before = limit(name, place)
    for level in list(machine.memories)[1:]:
        after = hw.bound(work, on=wider(machine, level, "capacity_bytes"))
        assert isinstance(after, Limit)
        assert after.dram_bytes <= before.dram_bytes * SLACK, level
        assert moved(after.estimate) <= moved(before.estimate) * SLACK, level


@pytest.mark.parametrize(("name", "place"), CASES)
def test_nothing_beats_its_bounds(name: str, place: int) -> None:
    found = limit(name, place)
    assert moved(found.estimate) * SLACK >= found.dram_bytes
    assert found.estimate.time_s * SLACK >= found.time_s


@pytest.mark.parametrize("name", [*PEERS, "fusemax"])
def test_an_optimal_nest_in_a_larger_memory_never_moves_more(name: str) -> None:
    machine = hw.device(name)
    work = hw.workloads.gemm(M=48, N=32, K=24, dtype="bf16")
    level = list(machine.memories)[1]
    small = machine.but(memories={level: {"capacity_bytes": 1024}})
    sizes = (small, wider(small, level, "capacity_bytes"), machine)
    found: list[Any] = [hw.map(work, on=each) for each in sizes]
    traffic = [each.record()["traffic_bytes"] for each in found]
    assert traffic == sorted(traffic, reverse=True)
    assert traffic[0] > traffic[-1]


@pytest.mark.parametrize("name", but_first(2, [n for n in PREDICTED if hw.device(n).kind == "mcu"]))
def test_optimal_patches_in_more_sram_are_never_slower(name: str) -> None:
    machine = hw.device(name)
    work = hw.workloads.cnn(network="mobilenetv2", resolution=96, width=0.35)
    found: list[Any] = [
        hw.map(work, on=machine.but(sram={"capacity": f"{size} KiB"}), objective="latency")
        for size in (48, 64, 96, 192)
    ]
    times = [float(each.estimate.time_s) for each in found]
    assert times == sorted(times, reverse=True)
