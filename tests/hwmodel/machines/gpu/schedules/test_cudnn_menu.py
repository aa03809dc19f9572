"""cuDNN's menu: slices and rounds by hand and as traced, chances as chances, the middle by time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cudnn_menu
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_likings import KINDS

ROOM = limits(device("h200"))
LAST = ConvolutionProblem(
    batch=64,
    channels=64,
    filters=128,
    outputs=56 * 56,
    taps=9,
    image_elements=64 * 64 * 58 * 58,
    whole_elements=64 * 64 * 58 * 58,
    dtype_a="bf16",
    dtype_b="bf16",
    dtype_out="bf16",
    channels_last=True,
)
MENU = cudnn_menu.menu_of(2)


def at(kind: str, *tile: int) -> int:
    """Where a kernel stands in the menu."""
    sizes = np.stack((MENU.block_m, MENU.block_n, MENU.block_k), -1)
    found = MENU.of(kind) & (sizes == tile).all(-1)
    return int(np.flatnonzero(found)[0])


@pytest.mark.parametrize(
    ("channels", "taps", "kernel", "expected"),
    [
        (96, 9, ("bulk", 128, 128, 64), 18),  # two of 64 at each point
        (3, 9, ("bulk", 128, 128, 64), 2),  # padded to 8: 72 channels of nine points
        (3, 256, ("copied", 128, 128, 32), 256),  # patches of 16 x 16: a slice a point
        (3, 256, ("gathered", 128, 32, 16), 48),  # all 768 side by side
    ],
)
def test_slices_by_hand(channels: int, taps: int, kernel: Any, expected: int) -> None:
    sizes = cudnn_menu.sizes_of(replace(LAST, channels=channels, taps=taps))
    assert cudnn_menu.slices(sizes, MENU)[at(*kernel)] == expected


@pytest.mark.parametrize(
    ("places", "filters", "expected"),
    [
        (2048, 1024, 1),  # 16 x 8 blocks: traced at 609 clocks a slice
        (2304, 768, 2),  # 18 x 6, in groups of eight 144: traced at 1,134
        (1536, 192, 1),  # 12 x 2
    ],
)
def test_copied_blocks_of_few_meet(places: int, filters: int, expected: int) -> None:
    problem = replace(LAST, batch=1, outputs=places, filters=filters, channels=3, taps=1024)
    turns = cudnn_menu.rounds(cudnn_menu.sizes_of(problem), MENU, 132)
    assert turns[at("copied", 128, 128, 32)] == expected


def test_chances_are_of_something_and_follow_what_is_seen() -> None:
    def of(problem: ConvolutionProblem) -> np.ndarray[Any, Any]:
        return cudnn_menu.chances(problem, MENU, cudnn_menu.clocks(problem, MENU, 132))

    found = of(LAST)
    assert found.sum() == pytest.approx(1)
    vectors = MENU.of(*cudnn_menu.VECTOR)
    assert found[vectors].sum() < 0.02
    first = replace(LAST, channels=3, channels_last=False, image_elements=3 * 64 * 114 * 114)
    assert of(first)[vectors].sum() > 0.5  # the first layer of a network


def test_the_middle_has_half_of_the_weighed_chances_before_it() -> None:
    time = cudnn_menu.clocks(LAST, MENU, ROOM.processors)
    weight = cudnn_menu.chances(LAST, MENU, time) / time
    found = int(cudnn_menu.chosen(LAST, ROOM))
    faster, as_fast = time < time[found], time <= time[found]
    assert weight[faster].sum() <= weight.sum() / 2 <= weight[as_fast].sum()


def test_chosen_of_arrays_is_that_of_points() -> None:
    channels, filters = np.array([3.0, 64.0, 960.0]), np.array([24.0, 128.0, 2048.0])
    swept = cudnn_menu.chosen(replace(LAST, channels=channels, filters=filters), ROOM)
    for here, pair in zip(swept, zip(channels, filters, strict=True), strict=True):
        alone = replace(LAST, channels=int(pair[0]), filters=int(pair[1]))
        assert int(cudnn_menu.chosen(alone, ROOM)) == here


@pytest.mark.parametrize("element", [2, 4])
def test_every_kernel_of_a_menu_is_of_a_known_kind(element: int) -> None:
    menu = cudnn_menu.menu_of(element)
    likings, any_kernel = cudnn_menu.likings_of(element)
    assert likings.shape == (len(KINDS), len(cudnn_menu.SEEN))
    assert any_kernel.shape == (7,)
    assert menu.kind.max() < len(KINDS)
    assert (menu.slice_clocks > 0).all()
