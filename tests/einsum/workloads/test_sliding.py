"""Windows that slide: values against walks, and the gradient of filters as the adjoint."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.counts import flops, footprint
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.sliding import Side, Slide

SIDES = {
    "image": (Side(7, 4, 3, 2), Side(5, 5, 1)),
    "volume": (Side(4, 4, 3), Side(6, 3, 2, 2), Side(5, 2, 2, 2, 2)),
}


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("last", [True, False])
def test_filters_have_the_gradient_of_what_windows_gather(
    sides: tuple[Side, ...], groups: int, last: bool
) -> None:
    """(I * F) . G is linear in F: it is the sum of F by what `filters` makes of I and G."""
    slide = Slide(2, 4, 6, sides, groups, last)
    forward, back = slide.gathers("fp32", "fp32", "f"), slide.filters("fp32", "fp32", "g")
    random = np.random.default_rng(5)

    def drawn(name: str) -> np.ndarray:
        ranks = forward.tensors[name].ranks
        return random.normal(size=[int(forward.ranks[rank].size) for rank in ranks])

    image, weight, gradient = drawn("I"), drawn("F"), drawn("O")
    made = evaluate(forward, {"I": image, "F": weight})["O"]
    found = evaluate(back, {"I": image, "G": gradient})["D"]
    assert found.shape == weight.shape
    assert_allclose((made * gradient).sum(), (weight * found).sum())
    assert flops(back) == flops(forward)


def test_the_transpose_multiplies_as_often_and_writes_the_finer_map() -> None:
    """Each filter's point once for each place of the coarser map."""
    for sides in ((Side(12, 6, 4, 2),) * 2, (Side(6, 6, 3),) * 3, (Side(8, 4, 2, 2),) * 3):
        slide = Slide(2, 4, 6, sides)
        back = slide.spreads("bf16", "bf16", "back")
        assert flops(back) == flops(slide.gathers("bf16", "bf16", "forward"))
        fine = np.prod([side.fine for side in sides])
        assert footprint("O", back) == 2 * 4 * fine
        assert footprint("F", back) == 4 * 6 * np.prod([side.taps for side in sides])


def test_windows_below_their_step_write_no_more_phases_than_points() -> None:
    back = Slide(1, 4, 8, (Side(8, 4, 1, 2),) * 2).spreads("bf16", "bf16", "back")
    assert flops(back) == 2 * 16 * 4 * 8


def test_zeros_of_phases_with_fewer_points_are_not_multiplied() -> None:
    """Windows of 3 x 3 two apart: phases of 4, 2, 2 and 1 points, in arrays of 4 each."""
    slide = Slide(2, 4, 6, (Side(12, 6, 3, 2),) * 2)
    back = slide.spreads("bf16", "bf16", "back")
    assert flops(back) == pytest.approx(flops(slide.gathers("bf16", "bf16", "forward")))
    assert footprint("F", back) == 4 * 6 * 16
