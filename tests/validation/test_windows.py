"""Sides, places and work of rows of convolutions, by hand."""

from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.counts import operation_counts
from hwmodel.validation.rows import Row, groups
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


def rows(*given: dict[str, Any]) -> list[Row]:
    head = {"family": "convolution", "kernel": "torch", "dtype": "fp16", "time_s": 1e-5}
    plain = {"stride": 1.0, "dilation": 1.0, "pad": 0.0}
    return [Row("s", "b", head | plain | each) for each in given]


def test_rows_of_one_form_are_one_convolution_with_a_size_each() -> None:
    two = [image(28, 3, channels=64, filters=n, pad=1.0) for n in (64, 256)]
    (group,) = groups(rows(*two))
    (call,) = group.calls
    assert call.family == "convolution:cudnn"
    assert np.all(call.problem.N == np.array([64, 256]))
    assert np.all(call.problem.M == 2 * 28 * 28)
    assert call.problem.channels_last
    assert np.all(call.problem.image_elements == 2 * 64 * 28 * 28)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("layout", ["first", "last"])
def test_convolutions_in_any_direction_and_layout_have_the_work_of_their_row(
    dims: int, layout: str
) -> None:
    sides = {"depth": 6 if dims == 3 else 1, "height": 1 if dims == 1 else 8, "width": 9}
    taps = {"taps_d": 2 if dims == 3 else 1, "taps_h": 1 if dims == 1 else 3, "taps_w": 3}
    row = image(1, 1, dims=dims, layout=layout, channels=4, filters=8, groups=2) | sides | taps
    (group,) = groups(rows(row | {"stride": 2.0, "pad": 1.0}))
    counts = operation_counts(group.cascade.einsums[0], group.cascade)
    flop, _, _ = convolution_work(row | {"stride": 2, "pad": 1}, 2)
    assert np.sum(counts["multiply", "fp16"]) == pytest.approx(flop / 2)


def test_a_transposed_convolution_multiplies_each_phase_with_taps_of_its_own() -> None:
    """4 x 4 taps, two apart: 16 x 16 images of 8 channels, and what it writes beside is cut off."""
    row = image(16, 4, op="transposed", channels=8, filters=32, stride=2.0, pad=1.0)
    (group,) = groups(rows(row))
    (call,) = group.calls
    assert (call.problem.N, call.problem.K) == (32 * 4, 8 * 2 * 2)
    assert call.problem.M == 2 * 16 * 16
    assert 2 * call.problem.M * call.problem.N * call.problem.K == convolution_work(row, 2)[0]


def test_depthwise_rows_are_a_group_of_stencils_and_pooling_one_without_weights() -> None:
    both = [image(28, 3, channels=64, filters=64, groups=g, pad=1.0) for g in (1, 64)]
    assert {each.calls[0].family for each in groups(rows(*both))} == {
        "convolution:cudnn",
        "stencil:torch",
    }
    pooled = image(28, 3, channels=64, op="max", stride=2.0) | {"family": "pool"}
    (group,) = groups(rows(pooled))
    assert group.calls[0].family == "pool:torch"
    assert (group.calls[0].problem.taps, group.calls[0].problem.operator) == (9, "max")
