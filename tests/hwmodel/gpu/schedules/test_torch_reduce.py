"""How torch shares out a sum: launches worked out by hand from its rule, and what a sum takes."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.gpu.lower import lower
from hwmodel.gpu.schedules import torch_reduce
from hwmodel.hardware import limits

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


def test_an_answer_says_that_no_reduction_was_measured() -> None:
    found = hw.predict(summed(ROWS, 1, 2**28), H200)
    assert any("reduction:torch" in warning for warning in found.warnings)
    assert found.time_high_s > 2 * found.time_s


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
