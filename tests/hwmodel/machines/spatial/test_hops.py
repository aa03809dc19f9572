"""Steps of words over an array, by hand: 2 x 4 elements, each with a tile of its own."""

from dataclasses import replace
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import OVERLAP
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.costs import Costs, cost
from hwmodel.mappers.nests.levels import map_levels
from hwmodel.quantity.errors import InputError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping
from tests.mappers.nests.exhaustive import ragged_case, ragged_costs

PRODUCT = parse("Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 2, "n": 4, "k": 3}, dtypes={"*": "int8"})
NEST = (
    *(Keep(tensor, "buffer") for tensor in "ABZ"),
    *(Loop("m", 1, "rows"), Loop("n", 1, "columns"), Keep("Z", "register"), Loop("k", 1)),
    *(Keep(tensor, "register") for tensor in "AB"),
    Compute("Z"),
)


def machine(network: str, picojoules: float) -> Hardware:
    sides = {"rows": 2, "columns": 4, "network": network, "hop_energy": f"{picojoules} pJ/B"}
    return device("peer-a3").but(arrays={"elements": sides})


def counted(network: str, picojoules: float) -> Costs:
    on = machine(network, picojoules)
    return cost(PRODUCT, on, Mapping(PRODUCT.name, on.name, NEST), OVERLAP)


def test_neighbours_pass_on_what_several_need() -> None:
    """To the first element (2 + 4) / 2 = 3 steps on average, one more to each other.

    A: 6 words to 4 elements each, 6 (3 + 3); B: 12 words to 2, 12 (3 + 1); Z: 8 words from one.
    """
    steps = 6 * 6 + 12 * 4 + 8 * 3
    found = counted("mesh", 2)
    assert found.counts.hop_bytes == steps
    without = counted("mesh", 0)
    assert found.energy_j - without.energy_j == pytest.approx(2e-12 * steps)
    assert without.counts.hop_bytes == 0
    assert found.time_s == without.time_s


def test_a_bus_drives_all_its_wires_for_each_word() -> None:
    """26 words leave the buffer or come back, along 2 + 4 elements each."""
    assert counted("bus", 2).counts.hop_bytes == (6 + 12 + 8) * 6


@pytest.mark.parametrize("network", ["mesh", "bus"])
def test_maps_and_predictions_count_steps_and_name_them(network: str) -> None:
    work = hw.workloads.gemm(M=16, N=16, K=16, dtype="int8", out_dtype="int8")
    on = machine(network, 5)
    mapped: Any = hw.map(work, on=on, objective="energy")
    assert mapped.certificate.optimal_in_mapspace
    assert mapped.certificate.mapspace_bound == pytest.approx(mapped.value)
    predicted = hw.predict(work, on=on, kernel="energy")
    assert predicted.energy_j == pytest.approx(mapped.value)
    assert predicted.energy_by_j["network"] == pytest.approx(5e-12 * mapped.costs.counts.hop_bytes)


def test_a_map_says_the_area_of_its_machine() -> None:
    work = hw.workloads.gemm(M=8, N=8, K=8, dtype="int8", out_dtype="int8")
    small = hw.array(4)
    found: Any = hw.map(work, on=small, objective="energy")
    assert found.record()["area_m2"] == small.area_m2
    assert "mm2" in str(found)
    by_law = hw.predict(work, on="peer-a3").area_m2
    assert hw.map(work, on="peer-a3", objective="energy").record()["area_m2"] == by_law


def timed(network: str, **given: str) -> Costs:
    sides = {"rows": 2, "columns": 4, "network": network, **given}
    on = device("peer-a3").but(arrays={"elements": sides})
    return cost(PRODUCT, on, Mapping(PRODUCT.name, on.name, NEST), OVERLAP)


def test_an_einsum_waits_for_its_first_word_and_its_last_sum() -> None:
    """2 + 4 steps of 3 ns to the farthest element, and as many back."""
    added = timed("mesh", hop_latency="3 ns").time_s - timed("mesh").time_s
    assert added == pytest.approx(2 * (2 + 4) * 3e-9)


def test_links_that_are_slow_bind() -> None:
    """108 bytes-steps over 2 x 3 + 4 x 1 + 1 links of a mesh; 26 bytes one by one over a bus."""
    mesh, bus = (timed(each, link="1 MB/s") for each in ("mesh", "bus"))
    assert mesh.bottleneck == bus.bottleneck == "network"
    assert mesh.time_s == pytest.approx((6 * 6 + 12 * 4 + 8 * 3) / 11 / 1e6)
    assert bus.time_s == pytest.approx(26 / 1e6)


@pytest.mark.parametrize("network", ["mesh", "bus"])
def test_no_nest_is_better_than_the_best_where_links_bind(network: str) -> None:
    """All nests counted one by one; links so slow that they bind in some of them."""
    sides = {"network": network, "link": "2 GB/s", "hop_latency": "1 ns", "hop_energy": "7 pJ/B"}
    tiny = ragged_case("row", (2, 2), (2, 1))
    case = replace(tiny, machine=tiny.machine.but(arrays={"elements": sides}))
    every = list(ragged_costs(case, "row"))
    assert any(each.bottleneck == "network" for each in every)
    for objective in ("latency", "energy", "edp"):
        proof = certified(map_levels, case.cascade, case.machine, objective=objective).certificate
        least = min(each.value(objective) for each in every)
        assert proof.value == pytest.approx(least, rel=1e-9)
        assert proof.optimal_in_mapspace
        assert proof.bound <= least * (1 + 1e-9)


def test_wires_of_a_machine_with_a_binding_are_refused() -> None:
    with pytest.raises(InputError, match="leave the binding out"):
        device("fusemax").but(arrays={"matrix": {"hop_latency": "1 us"}})
