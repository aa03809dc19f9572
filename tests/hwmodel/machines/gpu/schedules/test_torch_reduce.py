"""How torch shares out a sum: launches worked out by hand from its rule, and what a sum takes."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.schedules import torch_reduce

H200 = hw.device("h200")
ROWS, COLUMNS = "S[r] = sum(c) X[r, c]", "S[c] = sum(r) X[r, c]"


def summed(text: str, rows: Any, cols: Any) -> Any:
    return hw.parse(text, sizes={"r": rows, "c": cols}, dtypes={"*": "fp32"})


@pytest.mark.parametrize(
    ("text", "rows", "cols", "launch"),
    [
        # One sum: 512 threads along it, 2048 blocks so that no thread has more than 256 values,
        # which is more than the 528 that the device holds at once.
        (ROWS, 1, 2**28, (1, 2048, 512, 256)),
        # 16 values a thread at the least: 2^20 / 512 / 16 blocks each, though 132 would fit.
        (ROWS, 4, 2**20, (1, 128, 512, 16)),
        # Many sums: a warp each, 16 to a block.
        (ROWS, 65536, 1024, (16, 1, 512, 32)),
        # Along columns threads lie beside each other, four columns each: 32 x 4 of them, and 1056
        # blocks for each of two groups of 128 columns.
        (COLUMNS, 2**20, 256, (128, 1056, 128, 249)),
    ],
)
def test_a_launch_is_that_of_the_rule(
    text: str, rows: int, cols: int, launch: tuple[int, ...]
) -> None:
    (call,) = lower(summed(text, rows, cols))
    found = torch_reduce.resolved(call.menu[0], call.problem, limits(H200))
    assert (found.outputs, found.split, found.threads, found.values) == launch


@pytest.mark.parametrize("shape", [(1, 2**28), (4, 2**26), (2**18, 1024)])
@pytest.mark.parametrize("text", [ROWS, COLUMNS])
def test_a_sum_of_a_gigabyte_takes_about_the_time_to_read_it(
    text: str, shape: tuple[int, int]
) -> None:
    """2^30 bytes at 4.8 TB/s: 224 us. It was 436 ms, one block's, for a single output."""
    rows, cols = shape if text == ROWS else shape[::-1]
    found = hw.predict(summed(text, rows, cols), H200)
    assert 2**30 / 4.8e12 < found.time_s < 1.6 * 2**30 / 4.8e12


@pytest.mark.parametrize(
    ("text", "dtype", "rows", "cols", "measured_s"),
    [
        # Of one sum the last block adds all parts at once; of columns, four threads one after the
        # other, some hundred parts each: 23 us for 10 MB, and 37 us for 134 MB.
        (ROWS, "fp32", 1, 33_554_432, 37.63e-6),
        (ROWS, "bf16", 16, 18_830_363, 155.03e-6),
        (COLUMNS, "fp32", 16_384, 160, 23.38e-6),
        (COLUMNS, "bf16", 2048, 256, 9.63e-6),
        ("S[c] = max(r) X[r, c]", "fp32", 17_408, 1152, 44.34e-6),
        ("S[c] = max(r) X[r, c]", "bf16", 32_768, 256, 40.51e-6),
    ],
)
def test_measured_reductions(
    text: str, dtype: str, rows: int, cols: int, measured_s: float
) -> None:
    """Shapes of the test half of board d025b8a8, an H200."""
    work = hw.parse(text, sizes={"r": rows, "c": cols}, dtypes={"*": dtype})
    assert hw.predict(work, H200).time_s == pytest.approx(measured_s, rel=0.16)


def test_columns_that_are_no_multiple_of_four_are_loaded_in_pairs_or_one_by_one() -> None:
    """256 x 4, 254 x 2 and 255 columns are wide enough for 32 threads, 4, 8 and 16 rows of them."""
    found = {
        cols: torch_reduce.resolved(torch_reduce.MENU[0], call.problem, limits(H200))
        for cols in (256, 254, 255)
        for call in lower(summed(COLUMNS, 4096, cols))
    }
    assert {c: (t.sums, t.adders, t.threads) for c, t in found.items()} == {
        256: (4, 4, 128),
        254: (2, 8, 256),
        255: (1, 16, 512),
    }


def test_a_sweep_launches_what_its_points_launch() -> None:
    random = np.random.default_rng(0)
    rows, cols = (np.floor(np.exp(random.uniform(0, 14, 200))) + extra for extra in (0, 64))
    for text in (ROWS, COLUMNS):
        *_, call = lower(summed(text, rows, cols))
        together = torch_reduce.resolved(call.menu[0], call.problem, limits(H200))
        for place in range(0, 200, 7):
            *_, one = lower(summed(text, int(rows[place]), int(cols[place])))
            alone = torch_reduce.resolved(one.menu[0], one.problem, limits(H200))
            if one.schedule == "reduction":
                assert alone.split == np.broadcast_to(together.split, 200)[place]
                assert alone.values == np.broadcast_to(together.values, 200)[place]
