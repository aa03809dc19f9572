"""Our row kernels' blocks: residence as compiled, single elements, walks, spills, and sweeps."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import triton_rows
from hwmodel.machines.gpu.schedules.rows import RowProblem, RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import chunk_tiles, row_tile

LIMITS = limits(device("h200"))


def problem(rows: int, cols: int, form: str, item_bytes: int = 2, **more: int) -> RowProblem:
    size = rows * cols
    each = {"copy": 0, "map": 30, "norm": 4, "softmax": 19}[form]
    row_bytes = cols * item_bytes if form in ("norm", "softmax") else 0
    given = RowProblem(rows, cols, size * item_bytes, size * item_bytes, {}, row_bytes, form=form)
    return replace(given, item_bytes=item_bytes, instructions=each * size, **more)


def filled(tile: RowTile, given: RowProblem, passes: int = 1) -> RowTile:
    return triton_rows.filled(replace(tile, rereads=passes - 1), given, LIMITS)


@pytest.mark.parametrize(
    ("elements", "warps", "each_row", "cols", "form", "passes", "resident"),
    [
        # Registers by ptxas (Triton 3.6, sm_90a): 24, 64, 80, 40, 72, 64, 64 (capped), 32, 57, 52.
        (2048, 8, 1, 4099, "copy", 1, 8),
        (4096, 8, 1, 4099, "copy", 1, 4),
        (4096, 8, 1, 4099, "map", 1, 3),
        (4096, 8, 1, 4096, "norm", 1, 6),
        (8192, 16, 1, 8187, "norm", 1, 1),
        (8192, 16, 1, 8187, "softmax", 1, 2),
        (65536, 32, 1, 65536, "norm", 1, 1),
        (2048, 8, 1, 16384, "softmax", 3, 8),
        (4096, 8, 1, 16384, "softmax", 2, 4),
        (4096, 8, 1, 16389, "softmax", 3, 4),
    ],
)
def test_residence_is_what_registers_leave(
    elements: int, warps: int, each_row: int, cols: int, form: str, passes: int, resident: int
) -> None:
    tile = RowTile(elements, warps, rows=each_row)
    assert filled(tile, problem(101, cols, form), passes).resident == resident


def test_stores_of_single_half_words_share_the_l2_once_there_are_many() -> None:
    tile = RowTile(2048, 8)
    few, many = (filled(tile, problem(n, 4099, "copy")).issue for n in (1, 40_001))
    word = filled(tile, problem(40_001, 4099, "copy", 4)).issue
    assert float(few) < 0.6 * float(many)
    assert 1.8 < float(many) / float(word) < 2.2
    # One element a cycle and processor: 250e9 a second, as copies of 40 to 230 million elements.
    assert 2048 * 132 * 1.98e9 / float(many) == pytest.approx(250e9, rel=0.05)


def test_arithmetic_between_stores_hides_that_they_are_single() -> None:
    tile = RowTile(2048, 8)
    plain, mapped = (filled(tile, problem(40_001, 4099, form)) for form in ("copy", "map"))
    assert float(mapped.issue) < 0.6 * float(plain.issue)
    assert float(mapped.chain) > float(plain.chain)


ROWS_AND_COLS = ((132, 64_768), (264, 40_000), (264, 64_768))


def test_rows_are_read_again_from_the_l1_while_they_fit() -> None:
    tile = RowTile(1024, 4)
    # One block a processor, two, and two whose rows together exceed the L1.
    read = [filled(tile, problem(n, cols, "softmax"), 3).rereads for n, cols in ROWS_AND_COLS]
    assert read == [0, 0, 2]


def test_a_walk_takes_the_time_of_its_chunks() -> None:
    tile = RowTile(4096, 8)
    chains = [
        float(filled(tile, problem(16, chunks * 4096, "softmax"), 2).chain)
        for chunks in (2, 3, 4, 8)
    ]
    step = chains[1] - chains[0]
    assert step > 0
    assert chains[2] - chains[1] == pytest.approx(step)
    assert chains[3] - chains[2] == pytest.approx(4 * step)


def test_spilled_rows_wait_longer_where_all_processors_spill() -> None:
    tile = row_tile(65536)
    lone, all_ = (float(filled(tile, problem(n, 65536, "norm")).chain) for n in (1, 132))
    held = float(filled(row_tile(32768), problem(132, 32768, "norm")).chain)
    assert lone < all_
    assert all_ > 3 * held


@pytest.mark.parametrize("form", ["copy", "map", "norm", "softmax"])
def test_a_sweep_answers_as_each_of_its_points(form: str) -> None:
    cols = np.array([64.0, 401.0, 4096.0, 12608.0])
    reduces = form in ("norm", "softmax")
    tile = row_tile(cols) if reduces else chunk_tiles()[2]
    size = 500 * cols
    base = problem(500, 64, form)
    swept = replace(
        base,
        cols=cols,
        read_bytes=2 * size,
        written_bytes=2 * size,
        row_bytes=2 * cols if reduces else 0,
        instructions=base.instructions / (500 * 64) * size,
    )
    found = filled(tile, swept)
    for i, each in enumerate(cols):
        one = row_tile(int(each)) if reduces else tile
        alone = filled(one, problem(500, int(each), form))
        for name in ("chain", "issue", "resident", "rereads"):
            value = np.broadcast_to(np.asarray(getattr(found, name)), cols.shape)[i]
            assert value == pytest.approx(float(getattr(alone, name)))
