"""Convolution: the value against a walk over windows, counts, and refusals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import hwmodel
from hwmodel.bounds.limit import Limit
from hwmodel.einsum.counts import elements, flops, footprint
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.notation import parse
from hwmodel.einsum.printer import show
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.quantity.errors import InputError

SMALL: dict[str, Any] = {
    **{"batch": 2, "channels": 4, "filters": 6, "height": 9, "width": 8, "window": 3},
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


@pytest.mark.parametrize(
    ("given", "zeros", "step", "gap"),
    [
        ({"padding": 1, "stride": (2, 1)}, (1, 1, 1, 1), (2, 1), (1, 1)),
        ({"padding": [2, 0], "dilation": [2, 3]}, (2, 2, 0, 0), (1, 1), (2, 3)),
        ({"padding": [0, 1, 1, 2], "stride": 3}, (0, 1, 1, 2), (3, 3), (1, 1)),
    ],
)
def test_padding_strides_and_dilations_go_by_side(
    given: dict[str, Any],
    zeros: tuple[int, int, int, int],
    step: tuple[int, int],
    gap: tuple[int, int],
) -> None:
    """Against a sum over taps of the image with its zeros, read at every stride-th place."""
    above, below, left, right = zeros
    random = np.random.default_rng(4)
    image, weight = random.normal(size=(2, 4, 9, 8)), random.normal(size=(6, 4, 3, 2))
    padded = np.pad(image, ((0, 0), (0, 0), (above, below), (left, right)))
    high = (padded.shape[2] - 2 * gap[0] - 1) // step[0] + 1
    wide = (padded.shape[3] - gap[1] - 1) // step[1] + 1
    expected = np.zeros((2, 6, high, wide))
    for r, s in np.ndindex(3, 2):
        rows = slice(r * gap[0], r * gap[0] + step[0] * (high - 1) + 1, step[0])
        columns = slice(s * gap[1], s * gap[1] + step[1] * (wide - 1) + 1, step[1])
        expected += np.einsum("bcyx,kc->bkyx", padded[:, :, rows, columns], weight[:, :, r, s])
    made = conv2d(**SMALL, window_width=2, **given)
    assert_allclose(evaluate(made, {"I": padded, "F": weight})["O"], expected)


def test_resnets_first_layer_has_its_published_size() -> None:
    """ResNet-50's stem: 7 x 7, stride 2, padding 3 makes 112 x 112 of 224 x 224; 118.0 M MACs."""
    made = conv2d(1, 3, 64, 224, 224, window=7, stride=2, padding=3)
    assert (made.ranks["y"].size, made.ranks["x"].size) == (112, 112)
    assert flops(made) == 2 * 118_013_952


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
        (
            {"window": 9},
            r"conv2d: width: expected at least the window's reach \(9\), found 8, padding",
        ),
        ({"groups": 3}, r"conv2d: groups: expected a divisor of channels \(4\), found 3"),
        ({"stride": 0}, r"conv2d: stride: expected"),
        ({"stride": [1, 2, 3]}, r"conv2d: stride: expected 1 or 2 numbers, found 3"),
        ({"dilation": [1, "2"]}, r"conv2d: dilation: expected a plain number, found '2'"),
        ({"dilation": 4}, r"conv2d: height: expected at least the window's reach \(9\)|width"),
        ({"padding": -1}, r"conv2d: padding: expected"),
        ({"padding": np.array([1.0, 2.0])}, r"conv2d: padding: expected whole numbers, found an"),
        ({"channels": -1}, r"conv2d: channels: expected"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        conv2d(**(SMALL | change))


@given(
    image=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    step=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    gap=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    around=st.tuples(*[st.integers(0, 5)] * 4),
)
@settings(max_examples=25, deadline=None)
def test_no_pad_is_stored(
    image: tuple[int, int],
    window: tuple[int, int],
    step: tuple[int, int],
    gap: tuple[int, int],
    around: tuple[int, int, int, int],
) -> None:
    """The footprint is the places of the image that a window reaches, counted one by one."""
    expected = 6
    for at in range(2):
        low, high = around[2 * at : 2 * at + 2]
        places = range(0, image[at] + low + high - gap[at] * (window[at] - 1), step[at])
        assume(len(places))
        reached = {place + gap[at] * tap - low for place in places for tap in range(window[at])}
        expected *= len(reached & set(range(image[at])))
    given_: dict[str, Any] = {
        "stride": step,
        "dilation": gap,
        "padding": list(around),
        "window_width": window[1],
    }
    made = conv2d(2, 3, 4, *image, window[0], **given_)
    assert footprint("I", made) == expected
    assert elements("I", made) == 6 * image[0] * image[1]
    swept = conv2d(np.array([2, 4]), 3, 4, np.full(2, image[0]), image[1], window[0], **given_)
    assert_allclose(footprint("I", swept), [expected, 2 * expected])
    assert parse(show(made), name=made.name) == made


@pytest.mark.parametrize("device", ["h200", "raspberry-pi-5"])
def test_bound_of_a_padded_convolution_is_what_is_stored(device: str) -> None:
    """32 images of 512 channels of 7 x 7 read and written, and 512 filters of 3 x 3, 2 bytes each.

    What is predicted to be read is no less.
    """
    made = conv2d(32, 512, 512, 7, 7, 3, padding=1, groups=512)
    stored = 2 * (2 * 32 * 512 * 49 + 512 * 9)
    proved, predicted = hwmodel.bound(made, device), hwmodel.predict(made, device)
    assert isinstance(proved, Limit)
    assert float(proved.dram_bytes) == stored
    moved = float(predicted.dram_bytes_read + predicted.dram_bytes_written)
    assert stored <= moved < 1.05 * stored
