"""torch's scans: which kernel runs, and the bytes that it moves."""

from typing import Any

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules.torch_scan import (
    MENU,
    CumulativeProblem,
    CumulativeTile,
    activity,
    resolved,
)
from hwmodel.spine.activity import totals

ROOM = limits(device("h200"))


def tile(rows: Any, cols: Any, along: bool = True) -> CumulativeTile:
    return resolved(MENU[0], CumulativeProblem(rows, cols, 4, along), ROOM)


@pytest.mark.parametrize(
    ("rows", "cols", "width", "blocks"),
    [
        (1024, 1024, 16, 32),  # (9 + 10 - 10) / 2 = 4: 16 along a row, 32 rows
        (16, 65_536, 512, 16),  # (9 + 16 - 4) / 2 = 10, no more than 9
        (4096, 64, 16, 128),
        (64, 8192, 256, 32),  # (9 + 13 - 6) / 2 = 8
    ],
)
def test_threads_of_a_block_are_shared_between_a_row_and_rows(
    rows: int, cols: int, width: int, blocks: int
) -> None:
    found = tile(rows, cols)
    assert (found.width, found.blocks, found.launches) == (width, blocks, 1)


def test_one_row_takes_a_scan_of_two_kernels_and_columns_a_thread_each() -> None:
    assert tile(1, 1 << 20).launches == 2
    down = tile(1000, 4096, along=False)
    assert (down.threads, down.blocks) == (512, 2)
    assert down.chain == 2 * tile(1000, 2048, along=False).chain


def test_a_scan_reads_and_writes_each_number_once() -> None:
    problem = CumulativeProblem(8, 1000, 4, True)
    counts = totals(activity(problem, resolved(MENU[0], problem, ROOM), ROOM))
    assert (counts.read["dram"], counts.written["dram"]) == (32_000, 32_000)


def test_a_sweep_is_its_points() -> None:
    rows, cols = np.array([1.0, 8.0, 300.0]), np.array([1e6, 5000.0, 64.0])
    swept = tile(rows, cols)
    for at, (r, c) in enumerate(zip(rows, cols, strict=True)):
        alone = tile(int(r), int(c))
        assert (swept.width[at], swept.chain[at]) == (alone.width, alone.chain)  # type: ignore[index]
