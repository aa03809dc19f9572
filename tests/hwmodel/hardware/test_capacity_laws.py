"""Laws of capacity go through what is published, and grow and shrink the way they should."""

from itertools import pairwise

import pytest

from hwmodel.hardware.capacity_laws import (
    mac_j,
    mac_m2,
    memory_j_per_byte,
    memory_m2,
    wire_j_per_byte,
)
from hwmodel.quantity.errors import InputError


@pytest.mark.parametrize(("kib", "pj"), [(8, 10), (32, 20), (1024, 100)])
def test_srams_are_horowitz_within_four_percent(kib: int, pj: float) -> None:
    """Of 64 bits at 45 nm (ISSCC 2014)."""
    assert memory_j_per_byte(kib * 1024) * 8 == pytest.approx(pj * 1e-12, rel=0.04)


def test_registers_and_the_buffer_of_fusemax() -> None:
    """A file of 24 bytes reads 16 bits for 0.653 pJ and writes them for 0.570; 94.18 mm2."""
    assert memory_j_per_byte(24) * 2 == pytest.approx(0.6115e-12, rel=1e-3)
    assert memory_j_per_byte(8) * 2 == pytest.approx(0.2584e-12, rel=1e-3)
    assert [memory_m2(size) * 1e12 for size in (8, 24)] == pytest.approx([1838.15, 4255.93])
    assert memory_m2(16 * 2**20) == pytest.approx(94.18e-6, rel=1e-3)
    for other_m2 in (2145.42e-12, 16_849.2142e-12):  # Files of 32 bytes in the same artifact.
        assert 0.4 * memory_m2(32) < other_m2 < 4 * memory_m2(32)


def test_more_bytes_cost_more_joules_each_and_more_area() -> None:
    """At each doubling from 2 bytes to 16 MiB, registers too, by a tenth at least of either."""
    for small, large in pairwise(2.0**power for power in range(1, 25)):
        assert memory_j_per_byte(small) * 1.1 < memory_j_per_byte(large)
        assert memory_m2(small) * 1.1 < memory_m2(large)
        assert memory_j_per_byte(small, 7) < memory_j_per_byte(large, 7) < memory_j_per_byte(large)
        assert memory_m2(large, 7) < memory_m2(large)


def test_chips_that_no_law_was_made_of() -> None:
    """Eyeriss: 108 KiB cost 6 times what 0.5 KiB of registers do (ISCA 2016, table of energies)."""
    assert memory_j_per_byte(108 * 1024) / memory_j_per_byte(512) == pytest.approx(6, rel=0.2)


def test_multiply_accumulates_by_format() -> None:
    """Horowitz: 0.2 + 0.1 pJ of int8 with sums of 32 bits, 1.1 + 0.9 of fp16, 3.7 + 0.9 of fp32."""
    assert mac_j("int8") == pytest.approx(0.3e-12)
    assert mac_j("fp16") == pytest.approx(2.0e-12)
    assert mac_j("fp32") == pytest.approx(4.6e-12)
    assert mac_j("int4") == pytest.approx(0.15e-12)
    assert mac_m2("fp16") == pytest.approx(1545e-12)
    assert mac_m2("int8") == pytest.approx(1545e-12 / 4)


def test_wires_grow_with_the_side_of_an_array() -> None:
    assert wire_j_per_byte(4e-6) == pytest.approx(2 * wire_j_per_byte(1e-6))
    assert wire_j_per_byte(1e-6) == pytest.approx(0.2e-12 * 8)
    assert wire_j_per_byte(1e-6, 7) == wire_j_per_byte(1e-6, 16) == pytest.approx(0.08e-12 * 8)


@pytest.mark.parametrize("wrong", [0, -1, float("inf")])
def test_a_memory_without_bytes_is_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="capacity: expected bytes above 0"):
        memory_j_per_byte(wrong)
