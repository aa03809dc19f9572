"""Sides, places and work of rows of convolutions, by hand."""

from typing import Any

import pytest

from hwmodel.validation.windows import axes, convolution_work, places, pool_work


def image(side: int, taps: int, **more: Any) -> dict[str, Any]:
    sides = {"depth": 1, "height": side, "width": side, "taps_d": 1, "taps_h": taps, "taps_w": taps}
    what = {"op": "forward", "layout": "last", "dims": 2, "batch": 2, "groups": 1}
    return what | {"channels": 3, "filters": 64} | sides | more


@pytest.mark.parametrize(
    ("side", "taps", "more", "outputs"),
    [
        (224, 7, {"stride": 2, "pad": 3}, 112),  # ResNet's first layer
        (112, 3, {"stride": 2, "pad": 1}, 56),  # and its pooling
        (33, 3, {"dilation": 12, "pad": 12}, 33),
        (8, 4, {"stride": 2, "pad": "0:1"}, 3),  # windows at 0, 2, 4; one at 6 would end at 9
    ],
)
def test_a_window_stands_where_it_fits(
    side: int, taps: int, more: dict[str, Any], outputs: int
) -> None:
    assert places(image(side, taps, **more)) == (side * side, outputs * outputs)


@pytest.mark.parametrize(
    ("side", "taps", "stride", "pad", "written"),
    [(16, 2, 2, 0, 32), (16, 4, 2, 1, 32), (16, 3, 2, "1:0", 32), (16, 3, 1, 1, 16)],
)
def test_a_transposed_convolution_writes_what_the_forward_one_would_read(
    side: int, taps: int, stride: int, pad: Any, written: int
) -> None:
    row = image(side, taps, op="transposed", stride=stride, pad=pad)
    assert places(row) == (side * side, written * written)


def test_directions_have_strides_of_their_own_from_the_outermost_on() -> None:
    sides = {"depth": 16, "height": 224, "width": 112, "taps_d": 2, "taps_h": 4, "taps_w": 4}
    each = axes(image(1, 1, dims=3, stride="2x4x4", pad=0) | sides)
    assert [axis.outputs for axis in each] == [8, 56, 28]
    line = axes(image(1, 1, dims=1, stride=5.0, pad="5") | {"width": 100, "taps_w": 11})
    assert [axis.outputs for axis in line] == [20]  # at 0, 5, ... 95 of 110 padded, 99 the last


def test_work_of_resnets_first_layer() -> None:
    """118 million multiplications an image: 112 x 112 places, 64 filters of 7 x 7 x 3."""
    row = image(224, 7, stride=2, pad=3)
    flop, given, once = convolution_work(row, 2)
    assert flop == 2 * 2 * 118_013_952
    assert given == 2 * (2 * 3 * 224 * 224 + 64 * 147)
    assert once == given + 2 * 2 * 64 * 112 * 112
    assert convolution_work(row | {"channels": 4, "groups": 4}, 2)[0] == flop / 3


def test_maximum_pooling_writes_places_too() -> None:
    row = image(112, 3, stride=2, pad=1) | {"op": "max"}
    assert pool_work(row, 2) == (0.0, 150_528.0, 150_528.0 + 2 * 3 * 56 * 56 * 10)
