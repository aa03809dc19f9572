"""Bytes of scatters, gathers, scans, sorts and losses, counted by hand."""

from hwmodel.validation.irregular import WORK


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
