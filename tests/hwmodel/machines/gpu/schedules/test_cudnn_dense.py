"""A convolution by a kernel of the menu: what is counted, against blocks and launches by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Limits, limits
from hwmodel.machines.gpu.schedules import cudnn_dense, cudnn_menu
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.cudnn_dense import DenseTile
from hwmodel.spine.activity import totals
from tests.hwmodel.machines.gpu.schedules.test_cudnn_menu import LAST, at

ROOM = limits(device("h200"))


def launched(monkeypatch: pytest.MonkeyPatch, *kernel: Any, **given: Any) -> DenseTile:
    """The record where a kernel of the menu is chosen."""

    def chosen(problem: ConvolutionProblem, room: Limits) -> Any:
        return np.array(at(*kernel))

    monkeypatch.setattr(cudnn_menu, "chosen", chosen)
    return replace(DenseTile(0, 0), **cudnn_dense.launched(replace(LAST, **given), ROOM))


def test_a_bulk_kernel_multiplies_its_tiles_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 x 3,136 places by 128 filters: 1,568 rows of one block, nine slices of 64 channels."""
    tile = launched(monkeypatch, "bulk", 128, 128, 64)
    counts = totals(cudnn_dense.product(LAST, tile, ROOM))
    flop = counts.operations["matrix", "flop", "bf16"]
    assert flop == pytest.approx(1568 * 2 * 128 * 128 * 9 * 64 * tile.effort)


def test_bytes_are_those_of_image_filters_and_output(monkeypatch: pytest.MonkeyPatch) -> None:
    tile = launched(monkeypatch, "bulk", 128, 128, 64)
    counts = totals(cudnn_dense.product(LAST, tile, ROOM))
    assert counts.read["dram"] == pytest.approx(2 * (64 * 64 * 58 * 58 + 128 * 64 * 9))
    assert counts.written["dram"] == pytest.approx(2 * 64 * 128 * 56 * 56)


@pytest.mark.parametrize(("batch", "cleared"), [(8, 0.0), (16, cudnn_dense.CLEARED)])
def test_a_counter_is_cleared_where_blocks_are_more_than_two_a_processor(
    batch: int, cleared: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """196 and 392 blocks (traced: up to 264 none is)."""
    assert launched(monkeypatch, "bulk", 128, 128, 64, batch=batch).cleared == cleared


def test_shared_sums_take_rounds_that_need_not_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the processors' work, shared by all: as much of each unit is counted."""
    given = {"channels": 512, "batch": 1, "outputs": 3 * 1024}
    one = launched(monkeypatch, "bulk", 128, 128, 64, **given)
    shared = replace(one, shared=1)
    counts = [
        totals(cudnn_dense.product(replace(LAST, **given), each, ROOM)) for each in (one, shared)
    ]
    flop = [each.operations["matrix", "flop", "bf16"] for each in counts]
    assert flop[0] == pytest.approx(flop[1])


def test_vector_units_make_outputs_from_channels_as_they_lie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"channels": 3, "filters": 40, "channels_last": False}
    tile = launched(monkeypatch, "implicit", 32, 32, 1, **given)
    assert (tile.direct, tile.as_it_lies) == (1, 1)
    counts = totals(cudnn_dense.product(replace(LAST, **given), tile, ROOM))
    outputs = 64 * 56 * 56 * 64  # 40 filters in blocks of 32
    assert counts.operations["vector", "flop", "fp32"] == pytest.approx(outputs * tile.turn * 256)


def test_formats_of_a_byte_fill_the_slices_of_wider_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 channels of a byte are one slice, of as many clocks, as 64 of two bytes."""
    formats = {name: "int8" for name in ("dtype_a", "dtype_b", "dtype_out")}
    narrow = launched(monkeypatch, "bulk", 128, 128, 64, channels=128, **formats)
    wide = launched(monkeypatch, "bulk", 128, 128, 64)
    assert (narrow.slices, narrow.effort) == (wide.slices, pytest.approx(wide.effort))
    assert (narrow.block_k, wide.block_k) == (128, 64)
