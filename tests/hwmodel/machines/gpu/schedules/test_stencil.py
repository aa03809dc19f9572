"""Depthwise convolutions: bytes once, and instructions that grow with the taps."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.schedules.stencil import MENU, StencilProblem, resolved, squares


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
    """By hand: 256 x 192 maps of 28 x 28 in (no border is stored) and out, 9 weights each."""
    found = hw.predict(depthwise(3), on="h200")
    expected = 2 * (256 * 192 * 2 * 28 * 28 + 192 * 9)
    assert moved(found) == pytest.approx(expected)


def test_nine_taps_stream_and_many_more_are_issued() -> None:
    """1.008 TB/s; a thread issues an instruction at least for each of 121 taps."""
    few, many = (hw.predict(depthwise(n), on="rtx-4090") for n in (3, 11))
    assert few.parts[0].bottleneck == "dram"
    assert few.time_s < 1.5 * moved(few) / 1.008e12
    assert many.parts[0].bottleneck == "vector"
    assert many.time_s > 256 * 192 * 28 * 28 * 121 / (128 * 128 * 2.52e9)


def test_one_channel_and_one_filter_are_a_stencil_where_they_come_first() -> None:
    """In fp16: cuDNN ran its kernel of depthwise convolutions on an H200, and no product."""
    for dtype, schedule in (("fp16", "stencil"), ("bf16", "convolution")):
        work = hw.workloads.conv2d(128, 1, 1, 257, 257, 3, dtype=dtype)
        assert [each.schedule for each in lower(work)] == [schedule]


def test_a_sweep_over_groups_has_a_stencil_where_channels_stand_alone() -> None:
    groups = np.array([1.0, 16.0, 64.0])
    work = hw.workloads.conv2d(8, 64, 64, 30, 30, 3, groups=groups, dtype="fp16")
    stencil, product = lower(work)
    assert (stencil.schedule, product.schedule) == ("stencil", "convolution")
    assert list(np.asarray(stencil.times)) == [0, 0, 1]
    assert list(np.asarray(product.times)) == [1, 1, 0]


def launched(
    images: int, channels: int, side: int, taps: int, stride: int, dtype: str, last: bool
) -> Any:
    """Blocks of a depthwise convolution whose pads keep the side, or halve it."""
    out = -(-side // stride)
    problem = StencilProblem(
        elements=images * channels * out * out,
        taps=taps * taps,
        image_elements=images * channels * ((out - 1) * stride + taps) ** 2,
        weights=channels * taps * taps,
        channels=channels,
        dtype_a=dtype,
        dtype_b=dtype,
        dtype_out=dtype,
        channels_last=last,
        images=images,
    )
    return squares(problem, resolved(MENU[0], problem, limits(device("h200"))))


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((8, 288, 14, 3, 1, "bf16", True), 90),  # conv2d_c1_k1_nhwc_specialized
        ((8, 2304, 19, 5, 1, "bf16", True), 1512),
        ((8, 96, 56, 3, 2, "bf16", True), 168),
        ((4, 1152, 7, 3, 1, "fp16", True), 288),  # conv2d_c1_k1_nhwc
        ((2, 768, 7, 7, 1, "bf16", True), 96),
        ((4, 192, 9, 9, 1, "fp16", True), 61),  # conv2d_grouped_direct_kernel
        ((4, 816, 14, 3, 1, "fp16", False), 102 * 4),  # conv2d_c1_k1_nchw_shmem_tiling
        ((9, 144, 60, 3, 1, "fp16", False), 2 * 108 * 9),
        ((20, 968, 62, 3, 2, "fp16", False), 4 * 4 * 121 * 20),
        ((128, 1, 257, 3, 1, "fp16", False), 7 * 26 * 128),  # of one channel: others of eight idle
    ],
)
def test_blocks_are_those_of_traced_launches(shape: tuple[Any, ...], grid: int) -> None:
    """Grids that torch's profiler saw on an H200 (validation/data/h200/2026-11-29-cv)."""
    assert launched(*shape) == grid


def test_windows_that_skip_places_are_told_from_wide_pads() -> None:
    """A map of 7 x 7 under windows of 7 x 7 is read with pads of 3, and skips nothing."""
    alone, skipping = (
        launched(8, 256, side, 7, stride, "bf16", True) for side, stride in ((7, 1), (14, 2))
    )
    assert (alone, skipping) == (8 * 3, 8 * 4)  # squares of 3 x 8, and of 2 x 8


def test_what_torch_runs_is_no_faster_on_fewer_processors() -> None:
    """The kernel is one: an A100 has 108 processors at 1.41 GHz, an H200 132 at 1.98."""
    work = hw.workloads.conv2d(32, 256, 256, 56, 56, 3, padding=1, groups=256, dtype="bf16")
    slow, fast = (float(hw.predict(work, on=each).time_s) for each in ("a100", "h200"))
    assert slow / fast == pytest.approx(132 * 1.98 / (108 * 1.41), rel=0.08)


def test_layouts_that_are_not_converted_are_told() -> None:
    work = hw.workloads.conv2d(8, 64, 64, 28, 28, 3, padding=1, dtype="bf16")
    told = {
        each: any("converts layouts" in text for text in hw.predict(work, on=each).warnings)
        for each in ("h200", "a100", "b200")
    }
    assert told == {"h200": False, "a100": True, "b200": True}
