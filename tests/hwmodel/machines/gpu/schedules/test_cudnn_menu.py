"""cuDNN's menu: slices, clusters and rounds by hand and as traced, the middle by time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import cudnn_menu
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_kernels import KINDS

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


def cluster(across: int, along: int) -> int:
    """Where the bulk kernel of 128 x 128 x 64 with such clusters stands in the menu."""
    here = MENU.of("bulk") & (MENU.block_m == 128) & (MENU.block_n == 128) & (MENU.block_k == 64)
    return int(np.flatnonzero(here & (MENU.across == across) & (MENU.along == along))[0])


@pytest.mark.parametrize(
    ("filters", "form", "rounds"),
    [
        # 16 images of 56 x 56: 392 rows of blocks, in 15 clusters of 8, 30 of 4 or 66 of 2
        (128, (1, 8), 4),  # 49 rows of clusters
        (640, (1, 8), 17),  # five times as many
        (512, (4, 2), 14),  # 196 rows of clusters, all four columns there
        (640, (4, 2), 27),  # five columns: as eight, traced at 331 us, those of 512 at 170
        (256, (2, 1), 6),
    ],
)
def test_columns_and_rows_are_filled_up_to_whole_clusters(
    filters: int, form: tuple[int, int], rounds: int
) -> None:
    sizes = cudnn_menu.sizes_of(replace(LAST, batch=16, filters=filters))
    assert cudnn_menu.rounds(sizes, MENU, 132)[cluster(*form)] == rounds


def test_the_middle_has_half_of_the_weighed_chances_before_it() -> None:
    time = cudnn_menu.clocks(LAST, MENU, ROOM.processors)
    weight = cudnn_menu.chances(LAST, MENU) / time
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
    assert set(KINDS[element]) == {cudnn_menu.NAMES[int(kind)] for kind in menu.kind}
    assert (menu.slice_clocks > 0).all()
