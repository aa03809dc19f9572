"""Trees over sizes: chances as chances, kernels as traced."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.machines.gpu.schedules import cudnn_choice, cudnn_menu
from tests.hwmodel.machines.gpu.schedules.test_cudnn_menu import LAST, MENU


@pytest.mark.parametrize("element", [2, 4])
def test_chances_of_any_sizes_are_of_something(element: int) -> None:
    kernels = cudnn_menu.menu_of(element).kind.size
    sizes = np.array([1.0, 3.0, 64.0, 1000.0, 1e6])
    problem = replace(LAST, channels=sizes, filters=sizes[::-1], outputs=sizes, batch=sizes)
    found = cudnn_choice.chances(problem, element, kernels)
    assert found.shape == (5, kernels)
    assert found.sum(-1) == pytest.approx(1, abs=0.03)  # shares are to the hundredth


def test_windows_beyond_the_reach_of_bulk_copies_go_to_others() -> None:
    """Their offsets reach 32 points (traced: of 861 farther windows none is theirs)."""
    bulk = MENU.of("bulk")
    near, far = (cudnn_menu.chances(replace(LAST, taps=count), MENU) for count in (9, 33))
    assert near[bulk].sum() > 0.8
    assert far[bulk].sum() == 0
    assert far.sum() == pytest.approx(1)
