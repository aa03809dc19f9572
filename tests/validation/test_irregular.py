"""Bytes of scatters, gathers, scans, sorts and losses, counted by hand."""

from typing import Any

import pytest

from hwmodel.validation.irregular import WORK
from hwmodel.validation.rows import Group, Row, groups


def test_a_scatter_rewrites_no_more_targets_than_there_are_sources() -> None:
    row = {"sources": 10, "cols": 4, "targets": 100, "hot": 0.0}
    assert WORK["scatter"](row, 2) == (40.0, 10 * 8 + 80 + 800.0, 160 + 800 + 80.0)
    assert WORK["scatter"](row | {"targets": 3}, 2)[2] == 160 + 24 + 24


def test_a_gather_reads_of_its_table_what_it_can_reach() -> None:
    row = {"op": "embedding", "sources": 10, "cols": 4, "targets": 1000, "bag": 1}
    assert WORK["gather"](row, 4) == (40.0, 80 + 16_000.0, 80 + 160 + 160.0)
    bags = row | {"op": "embedding_bag", "bag": 5}
    assert WORK["gather"](bags, 4)[2] == 80 + 16 + 160 + 32


def test_scans_sorts_and_losses_write_what_torch_answers() -> None:
    assert WORK["cumsum"]({"rows": 3, "cols": 5}, 4) == (15.0, 60.0, 120.0)
    assert WORK["sort"]({"rows": 3, "cols": 100, "k": 2}, 4) == (0.0, 1200.0, 1200 + 6 * 12)
    assert WORK["cross_entropy"]({"rows": 3, "cols": 100}, 2) == (0.0, 624.0, 626.0)


def group(family: str, **columns: Any) -> Group:
    head = {"family": family, "kernel": "torch", "dtype": "bf16", "time_s": 1e-5}
    (found,) = groups([Row("s", "b", head | columns)])
    return found


def test_a_row_of_a_scatter_is_one_with_its_hot_target() -> None:
    sizes = {"sources": 1000.0, "cols": 8.0, "targets": 50.0, "hot": 1.0}
    (call,) = group("scatter", op="index_add", **sizes).calls
    assert call.family == "scatter:torch"
    assert (call.problem.sources, call.problem.hottest) == (1000, 1000)
    assert call.problem.touched == pytest.approx(1)


@pytest.mark.parametrize(("op", "bag"), [("embedding", 1.0), ("embedding_bag", 10.0)])
def test_a_row_of_a_gather_reads_the_rows_and_the_places(op: str, bag: float) -> None:
    sizes = {"sources": 100.0, "cols": 8.0, "targets": 5000.0, "bag": bag, "hot": 0.0}
    (call,) = group("gather", op=op, **sizes).calls
    assert call.problem.read_bytes == 100 * 8 * 2 + 100 * 8
    assert call.family == ("gather:torch" if bag > 1 else "rows:torch")


@pytest.mark.parametrize(("axis", "along"), [("last", True), ("first", False)])
def test_a_row_of_a_scan_runs_along_memory_or_down_columns(axis: str, along: bool) -> None:
    (call,) = group("cumsum", op="cumsum", axis=axis, rows=4.0, cols=1000.0).calls
    assert (call.problem.rows, call.problem.cols, call.problem.along) == (4, 1000, along)
