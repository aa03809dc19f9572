"""Depthwise convolutions: bytes once, and instructions that grow with the taps."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.machines.gpu.lower import lower


def depthwise(window: int, batch: int = 256, channels: int = 192) -> Cascade:
    return hw.workloads.conv2d(
        *(batch, channels, channels, 28, 28, window),
        padding=window // 2,
        groups=channels,
        dtype="fp16",
        out_dtype="fp16",
    )


def moved(estimate: hw.Estimate) -> float:
    """Bytes that cross the DRAM's boundary."""
    counts = estimate.parts[0].counts
    return float(counts.read["dram"] + counts.written["dram"])


def test_as_many_groups_as_channels_are_a_stencil() -> None:
    (call,) = lower(depthwise(3))
    assert call.family == "stencil:torch"
    assert (call.problem.elements, call.problem.taps) == (256 * 192 * 28 * 28, 9)


def test_a_stencil_without_a_rank_of_filters_is_one_too() -> None:
    text = "tensor I[c, h, w]\nO[c, y, x] = I[c, y+r, x+s] * F[c, r, s]"
    sizes = {"c": 64, "h": 30, "w": 30, "y": 28, "x": 28, "r": 3, "s": 3}
    (call,) = lower(hw.parse(text, sizes=sizes, dtypes={"*": "fp16"}))
    assert (call.family, call.problem.elements) == ("stencil:torch", 64 * 28 * 28)


def test_bytes_cross_the_dram_once() -> None:
    """By hand: 256 x 192 maps of 30 x 30 in (a border of zeros), of 28 x 28 out, 9 weights each."""
    found = hw.predict(depthwise(3), on="h200")
    expected = 2 * (256 * 192 * (30 * 30 + 28 * 28) + 192 * 9)
    assert moved(found) == pytest.approx(expected)


def test_nine_taps_stream_and_many_more_are_issued() -> None:
    """1.008 TB/s; a thread issues an instruction at least for each of 121 taps."""
    few, many = (hw.predict(depthwise(n), on="rtx-4090") for n in (3, 11))
    assert few.parts[0].bottleneck == "dram"
    assert few.time_s < 1.5 * moved(few) / 1.008e12
    assert many.parts[0].bottleneck == "vector"
    assert many.time_s > 256 * 192 * 28 * 28 * 121 / (128 * 128 * 2.52e9)


def test_a_sweep_over_groups_has_a_stencil_where_channels_stand_alone() -> None:
    groups = np.array([1.0, 16.0, 64.0])
    work = hw.workloads.conv2d(8, 64, 64, 30, 30, 3, groups=groups, dtype="fp16")
    stencil, product = lower(work)
    assert (stencil.schedule, product.schedule) == ("stencil", "convolution")
    assert list(np.asarray(stencil.times)) == [0, 0, 1]
    assert list(np.asarray(product.times)) == [1, 1, 0]
