"""Gradients of filters: found by structure, whole in bytes and operations, split over blocks."""

import pytest

from hwmodel.einsum.workloads.sliding import Side, Slide
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict

H200 = device("h200")


@pytest.mark.parametrize("on", ["h200", "a100", "b200", "rtx-4090", "mi300x"])
def test_a_gradient_of_filters_takes_about_as_long_as_its_convolution(on: str) -> None:
    """As many operations on the same maps; few filters are no few blocks, since sums are split."""
    slide = Slide(64, 64, 64, (Side(56, 56, 3),) * 2)
    gpu = device(on)
    back = predict(slide.filters("bf16", "fp32", "gradient"), gpu)
    forward = predict(slide.gathers("bf16", "bf16", "forward"), gpu)
    assert [part.family.partition(":")[0] for part in back.parts] == ["filters"]
    assert back.flop == forward.flop
    assert 0.4 < back.time_s / forward.time_s < 4


def test_maps_are_read_once_and_sums_written() -> None:
    """Windows overlap in the cache; the parts of split sums come on top."""
    slide = Slide(64, 64, 128, (Side(56, 56, 3),) * 2)
    found = predict(slide.filters("bf16", "fp32", "gradient"), H200)
    maps = 2 * 64 * (64 * 58 * 58 + 128 * 56 * 56)
    assert 0.999 * maps < found.dram_bytes_read < 1.3 * maps
    assert found.dram_bytes_written >= 4 * 64 * 128 * 9


def test_twice_the_images_take_twice_as_long() -> None:
    few, many = (
        predict(
            Slide(n, 256, 256, (Side(28, 28, 3),) * 2).filters("bf16", "fp32", "gradient"), H200
        ).time_s
        for n in (64, 128)
    )
    assert many / few == pytest.approx(2, rel=0.15)


def test_a_filter_that_is_a_weight_stays_a_convolution() -> None:
    """However few places its window has: a head over a whole map."""
    whole = Slide(64, 64, 64, (Side(7, 1, 7),) * 2).gathers("bf16", "bf16", "head")
    assert [p.family.partition(":")[0] for p in predict(whole, H200).parts] == ["convolution"]
