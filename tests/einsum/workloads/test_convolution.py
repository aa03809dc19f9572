"""Convolution: the value against a walk over windows, counts, and refusals."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.counts import elements, flops
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.errors import InputError

SMALL: dict[str, Any] = {
    **{"batch": 2, "channels": 4, "filters": 6, "height": 9, "width": 8, "kernel": 3},
}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_value_is_a_sum_over_each_window(stride: int, groups: int) -> None:
    random = np.random.default_rng(3)
    image, weight = random.normal(size=(2, 4, 9, 8)), random.normal(size=(6, 4 // groups, 3, 3))
    high, wide = (9 - 3) // stride + 1, (8 - 3) // stride + 1
    expected = np.zeros((2, 6, high, wide))
    for k, y, x in np.ndindex(6, high, wide):
        first = k // (6 // groups) * (4 // groups)
        y0, x0 = y * stride, x * stride
        window = image[:, first : first + 4 // groups, y0 : y0 + 3, x0 : x0 + 3]
        expected[:, k, y, x] = (window * weight[k]).sum(axis=(1, 2, 3))
    given = {"I": image, "F": weight}
    if groups > 1:
        given = {
            "I": image.reshape(2, groups, -1, 9, 8),
            "F": weight.reshape(groups, -1, *weight.shape[1:]),
        }
    found = evaluate(conv2d(**SMALL, stride=stride, groups=groups), given)["O"]
    assert_allclose(found.reshape(expected.shape), expected)


def test_a_convolution_takes_two_operations_per_tap() -> None:
    made = conv2d(**SMALL)
    assert flops(made) == 2 * (2 * 6 * 7 * 6) * (4 * 3 * 3)
    assert [elements(name, made) for name in "IFO"] == [2 * 4 * 72, 6 * 4 * 9, 2 * 6 * 42]


def test_a_depthwise_convolution_has_one_filter_a_channel() -> None:
    made = conv2d(1, 8, 8, 9, 9, 3, groups=8)
    assert (flops(made), elements("F", made)) == (2 * 8 * 49 * 9, 8 * 9)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"kernel": 9}, r"conv2d: width: expected at least the kernel's side \(9\), found 8; pad"),
        ({"groups": 3}, r"conv2d: groups: expected a divisor of channels \(4\), found 3"),
        ({"stride": 0}, r"conv2d: stride: expected"),
        ({"channels": -1}, r"conv2d: channels: expected"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        conv2d(**(SMALL | change))
