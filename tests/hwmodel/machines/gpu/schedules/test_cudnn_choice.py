"""Trees over sizes: leaves as walked by hand, chances as chances, kernels as traced."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.machines.gpu.schedules import cudnn_choice, cudnn_menu
from hwmodel.machines.gpu.schedules.cudnn_choice import Tree
from tests.hwmodel.machines.gpu.schedules.test_cudnn_menu import LAST, MENU


def test_a_tree_leads_below_a_limit_and_above_it() -> None:
    """Two questions, three leaves, each node before what lies below it; a limit goes below."""
    tree = Tree(
        seen=np.array([1, -1, 0, -1, -1]),
        limit=np.array([10.0, 0.0, 2.5, 0.0, 0.0]),
        above=np.array([2, 0, 4, 0, 0]),
        shares=np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),
    )
    asked = np.array([[9.0, 10.0], [2.0, 11.0], [3.0, 11.0]])
    assert tree.at(asked).tolist() == [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]


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
