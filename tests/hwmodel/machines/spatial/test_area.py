"""Area from tables: one array counted by hand, published sides, and machines without areas."""

import pytest

import hwmodel as hw
from hwmodel.machines.spatial.area import areas_m2, sized
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
