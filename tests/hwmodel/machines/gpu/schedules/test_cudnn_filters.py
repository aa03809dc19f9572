"""Gradients of filters by cuDNN's menu: tiles and rounds as traced, conversions by hand."""

from dataclasses import replace

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.sliding import Side, Slide
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cudnn_filter_choice
from hwmodel.machines.gpu.schedules.cudnn_filter_kernels import MENUS
from hwmodel.machines.gpu.schedules.cudnn_filters import (
    MENU,
    activity,
    columns_of,
    menu_of,
    resolved,
)
from hwmodel.machines.gpu.schedules.filter_gradient import FiltersProblem
from hwmodel.spine.activity import totals

ROOM = limits(device("h200"))
LAST = FiltersProblem(
    channels=96, points=32, filters=128, summed=11_616, image_elements=4 * 96 * 13 * 88 * 88
)


def place(line: str) -> int:
    return [each.strip() for each in MENUS[2].strip().splitlines()].index(line)


def test_a_point_of_the_window_fills_tiles_of_channels_for_itself() -> None:
    """Traced: a grid of 51 x 2, all that clusters of six leave room for at once."""
    found, _ = columns_of(LAST, ROOM)
    here = place("bulk 64x64x64 3x2")
    assert found["blocks"][here] == 22 * 6  # 32 x 2 columns by three, 2 rows by two
    assert found["at_once"][here] == 51 * 2
    assert found["slices"][here] == 182


def test_a_last_round_of_few_is_shared_by_all_processors() -> None:
    """Traced: 18 tiles of 7,503 slices on 100 blocks in 249 us; 18 blocks would take 1,400."""
    few = replace(LAST, points=9, channels=112, summed=480_200, directions=3)
    _, clocks = columns_of(few, ROOM)
    assert clocks[place("bulk 128x64x64 5x1*")] / 1.98e9 == pytest.approx(249e-6, rel=0.25)


@pytest.mark.parametrize("element", MENUS)
def test_chances_of_any_sizes_are_of_something(element: int) -> None:
    kernels = len(menu_of(element).names)
    counts = np.array([1.0, 3.0, 64.0, 1000.0])
    problem = replace(LAST, channels=counts, filters=counts[::-1], points=counts, summed=counts)
    found = cudnn_filter_choice.chances(problem, element, kernels)
    assert found.sum(-1) == pytest.approx(1, abs=0.04)


def test_maps_whose_channels_come_first_are_converted_and_so_is_what_comes_out() -> None:
    """By squares of 32: 3 x 96 of the image as they are, filters of 32 points too."""
    read = [
        totals(activity(each, resolved(MENU[0], each, ROOM), ROOM)).read
        for each in (LAST, replace(LAST, channels_last=False))
    ]
    maps = LAST.image_elements + 128 * 11_616
    assert read[1]["engine"] == pytest.approx(2 * (maps + 1.2 * 128 * 96 * 32))
    more = read[1]["dram"] - read[0]["dram"]
    assert more == pytest.approx(2 * (maps + 128 * 96 * 32))


def test_a_sweep_is_its_points() -> None:
    counts = np.array([3.0, 48.0, 512.0])
    swept = resolved(MENU[0], replace(LAST, channels=counts), ROOM)
    for at, count in enumerate(counts):
        alone = resolved(MENU[0], replace(LAST, channels=count), ROOM)
        assert np.asarray(swept.blocks)[at] == alone.blocks
        assert np.asarray(swept.slices)[at] == alone.slices


@pytest.mark.parametrize(
    ("side", "channels", "filters", "batch", "traced_us"),
    [(28, 128, 128, 8, 14.1), (56, 64, 64, 128, None)],
)
def test_times_are_near_those_traced(
    side: int, channels: int, filters: int, batch: int, traced_us: float | None
) -> None:
    """Windows of 3 x 3; the second takes no less than the matrix units' peak."""
    slide = Slide(batch, channels, filters, (Side(side + 2, side, 3),) * 2)
    found = hw.predict(slide.filters("bf16", "bf16", "back"), on="h200")
    assert found.time_s > found.bound_s
    if traced_us is not None:
        assert found.time_s * 1e6 == pytest.approx(traced_us, rel=0.3)
