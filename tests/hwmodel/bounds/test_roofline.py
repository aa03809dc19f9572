"""The roofline: the slowest of all units at their peaks and of the memory at its own."""

import pytest

from hwmodel.bounds.roofline import floor_of, peak_s, roofline_s
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.catalogue import device

H200 = device("h200")


def test_units_add_up_what_they_do_one_after_another() -> None:
    """989.4 TFLOP/s dense in bf16 and twice that in fp8, as the datasheet has it."""
    asked = [
        (2, {("matrix", "flop", "bf16"): 989.4e12}),
        (1, {("matrix", "flop", "fp8"): 989.4e12}),
    ]
    assert peak_s(asked, H200) == {"matrix": pytest.approx(2.5, rel=1e-3)}


@pytest.mark.parametrize(("least_bytes", "seconds"), [(1e9, 0.25), (5e9, 0.5)])
def test_the_slowest_resource_is_the_roofline(least_bytes: float, seconds: float) -> None:
    assert roofline_s({"matrix": 0.25, "vector": 0.125}, least_bytes, 10e9) == seconds


def test_a_floor_moves_every_operand_once_where_all_fits_on_the_chip() -> None:
    """Three matrices of 64 x 64 in bf16, at 4.8 TB/s."""
    floor = floor_of(gemm(M=64, N=64, K=64), H200, {})
    assert floor.bytes == 3 * 64 * 64 * 2
    assert floor.time_s == pytest.approx(floor.bytes / 4.8e12, rel=1e-3)
