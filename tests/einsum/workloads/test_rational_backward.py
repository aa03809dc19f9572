"""Gradients of a rational function: values against differences of the function itself."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.rational_backward import ABOVE, BELOW, rational_backward
from hwmodel.quantity.errors import InputError

STEP = 1e-6
Numbers = NDArray[np.float64]


def rational(x: Numbers, above: Numbers, below: Numbers) -> Numbers:
    powers = np.stack([x**i for i in range(ABOVE)])
    up = (above[:, None, :, None] * powers).sum(0)
    return up / (1 + abs((below[:, None, :, None] * powers[1 : BELOW + 1]).sum(0)))


def _with_above(x: Numbers, above: Numbers, below: Numbers, one: Numbers, step: float) -> Numbers:
    return rational(x, above + step * one, below)


def _with_below(x: Numbers, above: Numbers, below: Numbers, one: Numbers, step: float) -> Numbers:
    return rational(x, above, below + step * one)


def test_gradients_are_the_slopes_of_the_function() -> None:
    random = np.random.default_rng(3)
    x, gradient = random.normal(size=(2, 6, 2, 4))
    above, below = random.normal(size=(ABOVE, 2)), random.normal(size=(BELOW, 2))
    given = {f"A{i}": above[i] for i in range(ABOVE)} | {"X": x, "G": gradient}
    given |= {f"B{j + 1}": below[j] for j in range(BELOW)}
    found = evaluate(rational_backward(6, 8, 2), given)

    def slope(change: Callable[[float], Numbers]) -> Numbers:
        return gradient * (change(STEP) - change(-STEP)) / (2 * STEP)

    want = slope(lambda step: rational(x + step, above, below))
    assert_allclose(found["DX"], want, atol=1e-7)
    for i in range(ABOVE):
        one = np.eye(ABOVE)[i][:, None]
        above_by = partial(_with_above, x, above, below, one)
        assert_allclose(found[f"DA{i}"], slope(above_by).sum((0, 2)), atol=1e-7)
    for j in range(BELOW):
        one = np.eye(BELOW)[j][:, None]
        below_by = partial(_with_below, x, above, below, one)
        assert_allclose(found[f"DB{j + 1}"], slope(below_by).sum((0, 2)), atol=1e-7)


def test_columns_that_groups_do_not_share_are_refused() -> None:
    with pytest.raises(InputError, match="cols: expected a multiple of groups 3, found 8"):
        rational_backward(6, 8, 3)
