"""The library's own answers, asked without a GPU, and where they do not change."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.windows import Axis
from hwmodel.machines.gpu.schedules import cudnn_choice, cudnn_menu
from tests.hwmodel.machines.gpu.schedules.test_cudnn_menu import LAST, MENU


def of(batch: int, channels: int, filters: int, side: int, dtype: str = "fp16") -> Any:
    """Windows of 3 x 3 that keep the side, as a problem tells them."""
    return replace(
        LAST,
        batch=batch,
        channels=channels,
        filters=filters,
        outputs=side * side,
        dtype_a=dtype,
        axes=(Axis(side + 2, 3, side),) * 2,
    )


@pytest.mark.parametrize(
    ("sizes", "kernel"),
    [
        ((17, 128, 128, 28), ("bulk", 128, 128, 32, 1, 8)),
        ((18, 128, 128, 28), ("bulk", 128, 128, 64, 1, 8)),  # points leave 32 of 64, not 16
        ((64, 128, 128, 28), ("bulk", 256, 64, 64, 2, 1)),
        ((1, 512, 512, 7, "bf16"), ("bulk", 64, 64, 64, 4, 1)),
        ((5, 96, 200, 30), ("bulk", 256, 96, 32, 3, 1)),
    ],
)
def test_kernels_are_those_that_the_library_names(
    sizes: tuple[Any, ...], kernel: tuple[Any, ...]
) -> None:
    at = int(cudnn_choice.kernel(of(*sizes), 2))
    tile = tuple(int(column[at]) for column in (MENU.block_m, MENU.block_n, MENU.block_k))
    found = (cudnn_menu.NAMES[int(MENU.kind[at])], *tile, int(MENU.across[at]), int(MENU.along[at]))
    assert found == kernel


def test_images_of_one_batch_may_be_cut_anyhow() -> None:
    """Points of all images are asked, not those of each (so the library answers, too)."""
    images, one = of(64, 128, 128, 14), of(1, 128, 128, 112)
    assert cudnn_choice.kernel(images, 2) == cudnn_choice.kernel(one, 2)


@pytest.mark.parametrize("element", [2, 4])
def test_kernels_of_any_sizes_are_of_the_menu(element: int) -> None:
    kernels = cudnn_menu.menu_of(element).kind.size
    sizes = np.array([1.0, 3.0, 64.0, 1000.0, 1e6])
    problem = replace(LAST, channels=sizes, filters=sizes[::-1], outputs=sizes, batch=sizes)
    for each in (problem, replace(problem, groups=2), replace(problem, phases=4)):
        found = cudnn_choice.kernel(each, element)
        assert found.shape == (5,)
        assert ((0 <= found) & (found < kernels)).all()


def test_windows_beyond_the_reach_of_bulk_copies_go_to_others() -> None:
    """Their offsets reach 32 points (traced: of 861 farther windows none is theirs)."""
    bulk = MENU.of("bulk")
    rows = np.arange(20.0, 200)
    near, far = (
        replace(LAST, batch=rows, taps=taps**2, axes=(Axis(55 + taps, taps, 56),) * 2)
        for taps in (3, 7)
    )
    assert bulk[cudnn_choice.kernel(near, 2)].all()
    assert not bulk[cudnn_choice.kernel(far, 2)].any()
