"""cuDNN's menu: slices, clusters and rounds by hand and as traced."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.windows import Axis
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
    axes=(Axis(58, 3, 56), Axis(58, 3, 56)),
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
    sizes = cudnn_menu.sizes_of(replace(LAST, channels=channels, taps=taps), MENU)
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
    turns = cudnn_menu.rounds(cudnn_menu.sizes_of(problem, MENU), MENU, 132)
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
    sizes = cudnn_menu.sizes_of(replace(LAST, batch=16, filters=filters), MENU)
    assert cudnn_menu.rounds(sizes, MENU, 132)[cluster(*form)] == rounds


@pytest.mark.parametrize(
    ("channels", "groups", "columns"),
    [
        (12, 47, 12),  # filled up to 16, four side by side: traced grids of 12 columns
        (4, 37, 3),  # sixteen
        (48, 19, 19),  # filled up to 64
    ],
)
def test_groups_lie_side_by_side_in_a_tile(channels: int, groups: int, columns: int) -> None:
    problem = replace(LAST, channels=channels, filters=channels, groups=groups)
    sizes = cudnn_menu.sizes_of(problem, MENU)
    here = at("older", 64, 64, 64)
    assert sizes.sets[here] == columns
    assert cudnn_menu.slices(sizes, MENU)[here] == 9


def test_blocks_of_groups_with_launches_of_their_own_share_the_processors() -> None:
    """39 groups of 288 blocks: 86 rounds of all of them, not 39 times three."""
    problem = replace(LAST, batch=1, outputs=288 * 64, filters=64, groups=39)
    here = at("copied", 64, 64, 64)
    rounds = cudnn_menu.rounds(cudnn_menu.sizes_of(problem, MENU), MENU, 132)
    assert rounds[here] == 86


def test_borders_are_launches_of_one_block_whatever_the_image() -> None:
    """Side by side, some 290 clocks for each product (230 us of 32 channels)."""
    problem = replace(LAST, channels=32, taps=49)
    sizes = cudnn_menu.sizes_of(problem, MENU)
    (here,) = np.flatnonzero(MENU.of("strips"))
    each_s = cudnn_menu.borders(sizes, MENU)[here] / 1.98e9
    assert 220e-6 < each_s < 240e-6


def test_older_kernels_multiply_all_points_at_each_place() -> None:
    """Traced: patches of 2 x 4 x 4 of 48 channels take 32 slices, where others take one a phase."""
    given = {"batch": 2, "channels": 48, "filters": 32 * 176, "taps": 1, "phases": 32}
    sizes = cudnn_menu.sizes_of(replace(LAST, **given), MENU)
    found = cudnn_menu.slices(sizes, MENU)
    assert found[at("older", 64, 64, 64)] == 32
    assert found[at("copied", 64, 64, 64)] == 1


def test_phases_fill_tiles_each_for_itself() -> None:
    """14 images of 26 x 26, windows two apart: four phases of 74 tiles of 128 places (traced)."""
    problem = replace(LAST, batch=14, outputs=676, filters=4 * 48, phases=4)
    sizes = cudnn_menu.sizes_of(problem, MENU)
    count, _ = cudnn_menu.clusters(sizes, MENU, 132)
    assert count[at("older", 128, 32, 32)] == 2 * 4 * 74


def test_sums_are_shared_where_the_last_round_is_half_empty() -> None:
    """Long sums of a kernel that has room: 10 clusters of 15 (all), 8 of 15 (more than half), 3."""
    here = cluster(1, 8)
    long = replace(LAST, channels=512, filters=128, outputs=1)
    found = [
        bool(cudnn_menu.shared(cudnn_menu.sizes_of(replace(long, batch=n), MENU), MENU, 132)[here])
        for n in (15 * 1024, 8 * 1024, 3 * 1024)
    ]
    assert found == [False, False, bool(MENU.may_share[here])]


def test_chosen_of_arrays_is_that_of_points() -> None:
    channels, filters = np.array([3.0, 64.0, 960.0]), np.array([24.0, 128.0, 2048.0])
    swept = cudnn_menu.chosen(replace(LAST, channels=channels, filters=filters), MENU)
    for here, pair in zip(swept, zip(channels, filters, strict=True), strict=True):
        alone = replace(LAST, channels=int(pair[0]), filters=int(pair[1]))
        assert int(cudnn_menu.chosen(alone, MENU)) == here


@pytest.mark.parametrize(
    ("axes", "last", "kind"),
    [
        ((Axis(88, 3, 64, dilation=12),) * 2, False, "wide"),  # implicit_convolve_sgemm, 64 x 128
        ((Axis(88, 3, 64, dilation=12),) * 2, True, "loose"),  # conv2d_grouped_direct_kernel
        ((Axis(62, 7, 56),) * 2, True, "strips"),
        ((Axis(18, 5, 14), Axis(22, 9, 14), Axis(22, 9, 14)), True, "volume"),  # ...convolveNd...
    ],
)
def test_what_runs_where_the_heuristic_names_none(
    axes: tuple[Axis, ...], last: bool, kind: str
) -> None:
    """As traced on an H200; far windows stand for those that it does not name."""
    taps, outputs = (np.prod([getattr(a, name) for a in axes]) for name in ("taps", "outputs"))
    sizes: dict[str, Any] = {"taps": int(taps), "outputs": int(outputs), "batch": 16}
    sizes |= {"axes": axes, "channels_last": last, "channels": 320, "filters": 320}
    chosen = cudnn_menu.chosen(replace(LAST, **sizes), MENU)
    assert cudnn_menu.NAMES[int(MENU.kind[chosen])] == kind


@pytest.mark.parametrize("element", [2, 4])
def test_every_kernel_of_a_menu_is_of_a_known_kind(element: int) -> None:
    menu = cudnn_menu.menu_of(element)
    assert set(KINDS[element]) == {cudnn_menu.NAMES[int(kind)] for kind in menu.kind}
    assert (menu.slice_clocks > 0).all()
