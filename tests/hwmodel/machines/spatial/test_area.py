"""Area from tables: one array counted by hand, published sides, and machines without areas."""

import math
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.machines.spatial.area import area_of, areas_m2, by_law, sized
from hwmodel.quantity.errors import CoverageError


def test_an_array_is_its_elements_functions_and_registers() -> None:
    found = areas_m2(hw.device("fusemax"))
    assert found["matrix"] * 1e12 == pytest.approx(65536 * (16849.2142 + 1545 + 49.28944))
    assert found["vector"] * 1e12 == pytest.approx(
        256 * (16849.2142 + 1545 + 49.28944 + 23740.9375)
    )
    assert found["buffer"] * 1e12 == pytest.approx(94176255.9664)


@pytest.mark.parametrize(("side", "kib"), [(16, 16), (64, 64), (256, 256), (512, 512)])
def test_the_sizing_rule_gives_the_buffer_of_a_side(side: int, kib: int) -> None:
    machine = sized(hw.device("fusemax"), side=side, head_dim=64, keys=2**18)
    assert machine.memory("buffer").capacity_bytes == kib * 1024
    assert areas_m2(machine)["buffer"] * 1e12 == pytest.approx(94176255.9664 * kib / 16384)


def test_a_machine_without_areas_says_so() -> None:
    with pytest.raises(CoverageError, match="flat: its tables have no areas"):
        areas_m2(hw.device("flat"))


def test_a_law_gives_every_array_an_area_with_a_range() -> None:
    """peer-a3: 256 elements of 64 bytes and of a MAC between 4 and 32 bits, and 128 KiB, at 45 nm.

    A MAC of 16 bits takes 1545 um2, others by the square; SRAM 94.18 mm2 for 16 MiB;
    an element's 64 bytes lie between 4256 um2 for 24 and 8 KiB of SRAM, along the logarithm.
    """
    found: Any = area_of(hw.device("peer-a3"))
    kib = 94_176_255.9664e-12 / 2**14
    share = math.log(64 / 24) / math.log(8192 / 24)
    each = 1545e-12 * (4 * 32) / 16**2 + 4255.9342e-12 ** (1 - share) * (8 * kib) ** share
    assert found.m2 == pytest.approx(256 * each + 128 * kib)
    assert found.range_m2 == pytest.approx((0.4 * found.m2, 4 * found.m2))
    assert "45 nm (assumed)" in found.said[0]
    assert area_of(hw.device("peer-a3").but(buffer={"capacity": "256 KiB"})).m2 == pytest.approx(
        256 * each + 256 * kib
    )
    made: Any = hw.array(16, node=16)
    assert area_of(made).m2 == made.area_m2 == pytest.approx(by_law(made).m2)
    answer: Any = hw.predict(hw.workloads.gemm(M=8, N=8, K=8, dtype="int8"), on="aie-like")
    low, high = answer.area_range_m2
    assert low < answer.area_m2 < high
    assert not any("area is null" in text for text in answer.warnings)
    assert answer.time_low_s <= answer.time_s
    assert answer.time_high_s == 2 * answer.time_s
    assert any("interval is a prior's" in text for text in answer.warnings)


@pytest.mark.parametrize(("name", "published_m2"), [("eyeriss", 12.25e-6), ("fusemax", 1314e-6)])
def test_published_areas_lie_in_the_range_of_the_law(name: str, published_m2: float) -> None:
    """A chip in 65 nm (core), and a design by its own tables."""
    machine = hw.device(name)
    found: Any = by_law(machine)
    low, high = found.range_m2
    assert low < published_m2 < high
    assert area_of(machine).m2 == pytest.approx(published_m2, rel=1e-3)


@pytest.mark.parametrize("name", ["peer-a3", "flat", "fusemax", "eyeriss", "spatten", "aie-like"])
def test_a_machine_and_its_answers_have_one_area(name: str) -> None:
    """As it comes, and after a what-if on its last memory, of whichever kind its area is."""
    machine = hw.device(name)
    last = list(machine.memories)[-1]
    larger = machine.but(**{last: {"capacity_bytes": machine.memory(last).capacity_bytes * 16}})
    assert machine.area_m2 == pytest.approx(area_of(machine).m2)
    assert larger.area_m2 == pytest.approx(area_of(larger).m2)
    if name != "fusemax":  # Its tables have no law of a register file's area.
        assert float(larger.area_m2 or 0) > float(machine.area_m2 or 0)
