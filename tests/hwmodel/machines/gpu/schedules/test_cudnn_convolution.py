"""What cuDNN runs for a convolution on a Hopper GPU: rules read off launches, bytes by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.windows import Axis
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_convolution import (
    MENU,
    ConvolutionTile,
    activity,
    changed,
    resolved,
    spread,
)
from hwmodel.spine.activity import totals

ROOM = limits(device("h200"))
LAST = ConvolutionProblem(
    batch=64,
    channels=64,
    filters=128,
    outputs=56 * 56,
    taps=9,
    image_elements=64 * 64 * 58 * 58,
    whole_elements=64 * 64 * 58 * 58,
    dtype_a="bf16",
    dtype_b="bf16",
    dtype_out="bf16",
    channels_last=True,
    axes=(Axis(58, 3, 56), Axis(58, 3, 56)),
)


def tile(**given: Any) -> ConvolutionTile:
    return resolved(MENU[0], replace(LAST, **given), ROOM)


def moved(problem: ConvolutionProblem) -> float:
    return float(totals(activity(problem, resolved(MENU[0], problem, ROOM), ROOM)).read["dram"])


def test_channels_that_come_first_are_converted_before_and_after() -> None:
    """Image, output and filters once more, by squares of 32 channels and places.

    An image has 106 of them (58 x 58), filters one (9 points), an output 98 (56 x 56).
    """
    first = replace(LAST, channels_last=False)
    image, output, filters = 64 * 64 * 58 * 58, 64 * 128 * 56 * 56, 128 * 64 * 9
    more = moved(first) - moved(LAST)
    assert more == pytest.approx(2 * (image + output + filters))
    passed = totals(changed(first, tile(channels_last=False), ROOM)).read["engine"]
    squares = 32 * 32 * (64 * 2 * 106 + 128 * 2) + 1.2 * 32 * 32 * 64 * 4 * 98
    assert passed == pytest.approx(2 * squares)


def test_whole_images_are_converted_of_which_windows_skip_some() -> None:
    skipping = replace(LAST, whole_elements=4 * LAST.whole_elements)
    converted = ConvolutionTile(0, 0, converted=1)
    one, other = (totals(changed(each, converted, ROOM)).read["dram"] for each in (LAST, skipping))
    assert other - one == pytest.approx(2 * 3 * 64 * 64 * 58 * 58)


def test_odd_channels_are_padded_by_a_kernel_and_whole_eights_are_not() -> None:
    odd, even = (tile(channels=n, whole_elements=64 * n * 58 * 58) for n in (31, 32))
    assert (odd.padded, even.padded) == (1, 0)
    assert tile(channels=31, channels_last=False).padded == 0  # what converts pads


def test_groups_of_odd_rows_are_padded_by_kernels_for_any_layout() -> None:
    """27 groups of 4 are no whole eights (traced: no kernel converts there); 32 of 4 are."""
    first = {"channels": 4, "filters": 4, "channels_last": False}
    odd, even = (tile(groups=n, **first) for n in (27, 32))
    assert (odd.padded, odd.converted) == (1, 0)
    assert (even.padded, even.converted) == (0, 1)


def test_a_sweep_is_its_points() -> None:
    counts = np.array([3.0, 8.0, 96.0, 512.0])
    swept = tile(channels=counts)
    for at, count in enumerate(counts):
        alone = tile(channels=int(count))
        for name in ("block_m", "block_n", "block_k", "effort", "padded", "turn", "slices"):
            assert np.broadcast_to(getattr(swept, name), (4,))[at] == getattr(alone, name)


def test_channels_first_cost_their_conversion_on_an_h200_and_nothing_on_an_rtx_4090() -> None:
    first = hw.workloads.conv2d(64, 256, 256, 56, 56, 3, padding=1, dtype="fp16")
    text = "tensor I[b, h, w, c]\nO[b, y, x, k] = I[b, y+r, x+s, c] * F[r, s, c, k]"
    sizes = {"b": 64, "h": 58, "w": 58, "y": 56, "x": 56, "c": 256, "k": 256, "r": 3, "s": 3}
    last = hw.parse(text, sizes=sizes, dtypes={"*": "fp16"})
    ratios = [
        hw.predict(first, on=name).time_s / hw.predict(last, on=name).time_s
        for name in ("h200", "rtx-4090")
    ]
    assert 1.2 < ratios[0] < 2.5
    assert ratios[1] == pytest.approx(1.0, rel=0.01)


def test_an_image_of_three_channels_is_converted_in_the_time_of_one_of_32() -> None:
    """And eight are written for each three, cleared before."""
    few, many = (
        replace(LAST, channels=n, whole_elements=64 * n * 64 * 64, filters=128, channels_last=False)
        for n in (3, 32)
    )
    made = ConvolutionTile(0, 0, converted=1)
    passed = [totals(changed(each, made, ROOM)).read["engine"] for each in (few, many)]
    assert passed[0] == pytest.approx(passed[1])
    cleared = [totals(changed(each, made, ROOM)).written["dram"] for each in (few, many)]
    image, filters, output = 64 * 3 * 64 * 64, 128 * 3 * 9, 64 * 128 * 56 * 56
    assert cleared[0] == pytest.approx(2 * ((image + filters) * (1 + 8 / 3) + output))


@pytest.mark.parametrize(
    ("last", "writes_first", "output"),
    [(False, 0, 1), (False, 1, 0), (True, 1, 1), (True, 0, 0)],
)
def test_an_output_is_converted_where_its_layout_is_another(
    last: bool, writes_first: int, output: int
) -> None:
    """Kernels of tf32 that write channels first are followed by one where they come last."""
    problem = replace(LAST, channels_last=last)
    made = ConvolutionTile(0, 0, converted=int(not last), writes_first=writes_first)
    read = float(totals(changed(problem, made, ROOM)).read["dram"])
    before = 0 if last else 2 * (64 * 64 * 58 * 58 + 128 * 64 * 9)
    assert read == pytest.approx(before + output * 2 * 64 * 128 * 56 * 56)


@pytest.mark.parametrize(("groups", "channels"), [(7, 56), (4, 44), (32, 16), (4, 232)])
def test_groups_that_no_tile_packs_have_launches_of_their_own(groups: int, channels: int) -> None:
    """As cuDNN 9.19 answers for an H200: of 56 or 44 channels a launch a group, else of all."""
    whole = 16 * groups * channels * 58 * 58
    given = {"batch": 16, "filters": channels, "image_elements": whole, "whole_elements": whole}
    found = tile(groups=groups, channels=channels, **given)
    assert bool(found.apart) == (channels in (44, 56))


def test_a_transposed_convolution_writes_all_phases_by_one_filter_each() -> None:
    """Windows of 4 x 4 a stride of 4 apart: 16 phases of 48 filters, in rows of tiles each."""
    given = {"batch": 19, "channels": 624, "filters": 16 * 48, "outputs": 38 * 38, "taps": 1}
    axes = (Axis(38, 1, 38, phases=4),) * 2
    problem = replace(LAST, **given, phases=16, image_elements=19 * 624 * 38 * 38, axes=axes)
    whole = spread(problem)
    assert (whole.M, whole.N, whole.K) == (19 * 38 * 38 * 16, 48, 624)
    found = resolved(MENU[0], problem, ROOM)
    assert (found.columns, found.block_n) == (1, 64)  # traced: cutlass, 256 x 64


def test_filters_that_fill_no_sixteen_bytes_are_padded_in_every_phase() -> None:
    """47 filters in 16 phases are 752, a multiple of eight: each place still has 47."""
    problem = replace(LAST, filters=16 * 47, phases=16, taps=1)
    assert resolved(MENU[0], problem, ROOM).padded == 1


def test_numbers_beyond_the_l2_take_longer_where_any_layout_is_turned() -> None:
    """Traced: 27 million numbers of 63 groups of 4 convert in 484 us, 131 million in 6,371."""
    given = {"groups": 63, "channels": 4, "filters": 4, "channels_last": False}
    small, large = (
        replace(LAST, **given, batch=n, whole_elements=n * 252 * 64 * 64) for n in (1, 127)
    )
    made = ConvolutionTile(0, 0, padded=1)
    read = [float(totals(changed(each, made, ROOM)).read["engine"]) for each in (small, large)]
    assert 1.7 * 127 < read[1] / read[0] < 3 * 127


def test_groups_on_the_vector_units_are_not_sliced() -> None:
    """Their kernels take an image's channels where they lie (56 of 56 traced)."""
    alone = ConvolutionTile(0, 0, apart=1)
    problem = replace(LAST, groups=2)
    for direct, kernels in ((1, 0), (0, 2)):
        found = totals(changed(problem, replace(alone, direct=direct), ROOM))
        assert found.slots.get("split", 0) == kernels
