"""Convolutions on a GPU: an implicit product, whose bytes are those of the image."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem, activity
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.machines.gpu.support import placed
from hwmodel.spine.activity import totals

ROOM = limits(device("h200"))
TILE = LibraryTile(128, 128, split=1, persistent=1, multicast=1)
LAST = ConvolutionProblem(
    batch=64,
    channels=64,
    filters=128,
    outputs=56 * 56,
    taps=9,
    image_elements=64 * 64 * 58 * 58,
    channels_last=True,
)
NHWC = "tensor I[b, h, w, c]\nO[b, y, x, k] = I[b, y+r, x+s, c] * F[r, s, c, k]"


def counted(problem: ConvolutionProblem) -> Any:
    return totals(activity(problem, TILE, ROOM))


def last(**sizes: Any) -> Any:
    given = {"b": 64, "h": 58, "w": 58, "y": 56, "x": 56, "c": 64, "k": 64, "r": 3, "s": 3} | sizes
    return parse(NHWC, sizes=given, dtypes={"*": "fp16"}, name="nhwc")


def test_the_image_is_read_from_the_dram_once_and_multiplied_at_each_tap() -> None:
    """Its 28 MB fit into the L2: nothing is read again. By hand: 2 x 64 x 56^2 x 9 x 64 x 128."""
    found = counted(LAST)
    assert found.read["dram"] == pytest.approx(64 * 64 * 58 * 58 * 2 + 9 * 64 * 128 * 2)
    assert found.written["dram"] == 64 * 128 * 56 * 56 * 2
    assert found.operations["matrix", "flop", "fp16"] == 2 * 64 * 56 * 56 * 9 * 64 * 128


def test_in_which_order_an_image_lies_makes_no_difference() -> None:
    first, last_ = counted(replace(LAST, channels_last=False)), counted(LAST)
    assert (first.read, first.written) == (last_.read, last_.written)
    assert first.operations == last_.operations


def test_three_channels_are_multiplied_as_eight() -> None:
    three, eight = (replace(LAST, channels=n, image_elements=n * 58 * 58 * 64) for n in (3, 8))
    assert counted(three).operations == counted(eight).operations


def test_a_group_is_a_product_of_its_own() -> None:
    """Of 32 groups of 4 filters, each padded to the tile's 128 columns."""
    grouped = replace(LAST, channels=4, filters=4, groups=32, image_elements=4 * 32 * 58 * 58 * 64)
    operations = counted(grouped).operations["matrix", "flop", "fp16"]
    depth = -(-9 * 8 // 64) * 64
    assert operations == 2 * 32 * (64 * 56 * 56) * 128 * depth


def test_a_convolution_is_found_in_either_layout_and_lands_on_cudnn() -> None:
    first = hw.workloads.conv2d(64, 64, 64, 56, 56, 3, padding=1, dtype="fp16")
    for cascade, channels_last in ((first, False), (last(), True)):
        (call,) = lower(cascade)
        assert call.family == "convolution:cudnn"
        assert call.problem.channels_last is channels_last
        assert (call.problem.M, call.problem.N, call.problem.K) == (64 * 56 * 56, 64, 576)


@pytest.mark.parametrize("machine", ["h200", "rtx-4090", "b200", "a100", "v100"])
def test_no_convolution_is_faster_than_its_roofline(machine: str) -> None:
    for channels in (3, 64, 512):
        found = hw.predict(last(c=channels, k=channels), on=machine)
        assert found.time_s >= found.bound_s
        told = any("convolution:cudnn" in each for each in found.warnings)
        assert told or machine == "h200"  # measured there


@pytest.mark.parametrize("machine", ["h200", "rtx-4090"])
def test_a_large_convolution_takes_what_a_product_of_its_size_does_and_little_more(
    machine: str,
) -> None:
    """512 channels at 28 x 28: 1.9 TFLOP, as a product, whose image comes through the L2."""
    found = hw.predict(last(b=512, h=30, w=30, y=28, x=28, c=512, k=512), on=machine)
    product = hw.workloads.gemm(M=512 * 28 * 28, N=512, K=9 * 512, dtype="fp16", out_dtype="fp16")
    ratio = found.time_s / hw.predict(product, on=machine).time_s
    assert found.parts[0].bottleneck in ("matrix", "l2")
    assert 0.95 < ratio < 1.35


def test_windows_of_one_point_are_products_but_for_images_whose_rows_a_product_refuses() -> None:
    """14 x 14 places are no multiple of the eight that products of int8 take."""
    for kind, schedule in (("fp16", "gemm"), ("int8", "convolution")):
        (call,) = lower(hw.workloads.conv2d(8, 64, 64, 14, 14, 1, dtype=kind))
        assert call.schedule == schedule
    (wide,) = lower(hw.workloads.conv2d(8, 64, 64, 16, 16, 1, dtype="int8"))
    assert wide.schedule == "gemm"  # cuBLAS takes 256 places, and says so
    sides = np.array([14, 16])
    both = lower(hw.workloads.conv2d(8, 64, 64, sides, sides, 1, dtype="int8"))
    assert {call.schedule: np.asarray(call.times).tolist() for call in both} == {
        **{"gemm": [0, 1], "convolution": [1, 0]}
    }
    whole = hw.workloads.cnn(network="resnet50", batch=8, dtype="int8")
    assert hw.predict(whole, on="rtx-4090").time_s > 0


@pytest.mark.parametrize(
    ("batch", "channels", "filters", "schedule"),
    [
        (64, 256, 256, "gemm"),  # few filters: cuBLAS's kernels for rows off sixteen bytes (traced)
        (64, 1024, 1024, "convolution"),  # converted, and multiplied as a convolution (traced)
    ],
)
def test_images_with_odd_rows_are_multiplied_one_by_one_where_filters_are_few(
    batch: int, channels: int, filters: int, schedule: str
) -> None:
    (call,) = lower(hw.workloads.conv2d(batch, channels, filters, 7, 7, 1, dtype="fp16"))
    assert call.schedule == schedule


def test_images_are_multiplied_one_by_one_on_hopper_alone() -> None:
    """Elsewhere a window of one point takes in either layout what any other does: all images."""
    first = hw.workloads.conv2d(256, 512, 128, 7, 7, 1, dtype="fp16")
    sizes = {"b": 256, "h": 7, "w": 7, "y": 7, "x": 7, "c": 512, "k": 128, "r": 1, "s": 1}
    for machine in ("rtx-4090", "a100"):
        times = [float(hw.predict(each, on=machine).time_s) for each in (first, last(**sizes))]
        assert times[0] == pytest.approx(times[1], rel=0.25)
    (call,) = placed(lower(first), device("h200"))
    assert (call.schedule, call.problem.batch) == ("gemm", 256)
    (fp8,) = placed(lower(hw.workloads.conv2d(8, 64, 64, 16, 16, 1, dtype="fp8")), device("l40s"))
    assert fp8.schedule == "gemm"  # cuDNN's convolutions take none


def test_a_sweep_over_channels_is_its_points() -> None:
    sizes = np.array([16.0, 64.0, 256.0])
    swept = hw.predict(last(c=sizes), on="rtx-4090").time_s
    alone = [hw.predict(last(c=int(size)), on="rtx-4090").time_s for size in sizes]
    assert swept == pytest.approx(alone)
