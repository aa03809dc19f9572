"""What a measured row of a scatter, gather, scan, sort or loss says: its work, from its columns.

Each function answers (FLOPs, bytes of the inputs, bytes of inputs and outputs), nothing read twice.
"""

from collections.abc import Callable, Mapping
from typing import Any

INDEX_BYTES = 8
"""Bytes of a place: torch's int64."""

Columns = Mapping[str, Any]
Counted = tuple[float, float, float]


def scatter_work(columns: Columns, item: int) -> Counted:
    """Rows added to others: one addition a number; targets are read and written where reached."""
    sources, cols = float(columns["sources"]), float(columns["cols"])
    given = sources * (cols * item + INDEX_BYTES)
    targets = float(columns["targets"]) * cols * item
    return sources * cols, given + targets, given + targets + min(targets, sources * cols * item)


def gather_work(columns: Columns, item: int) -> Counted:
    """Rows taken from a table, or sums of bags of them."""
    sources, cols = float(columns["sources"]), float(columns["cols"])
    table = float(columns["targets"]) * cols * item
    bags = sources / float(columns["bag"])
    ends = bags * INDEX_BYTES if columns["op"] == "embedding_bag" else 0
    given = sources * INDEX_BYTES + ends
    touched = given + min(table, sources * cols * item)
    return sources * cols, given + table, touched + bags * cols * item


def cumsum_work(columns: Columns, item: int) -> Counted:
    """As many sums as numbers."""
    numbers = float(columns["rows"]) * float(columns["cols"])
    return numbers, numbers * item, 2 * numbers * item


def sort_work(columns: Columns, item: int) -> Counted:
    """No arithmetic; what comes first, and where it stood."""
    rows = float(columns["rows"])
    read = rows * float(columns["cols"]) * item
    return 0.0, read, read + rows * float(columns["k"]) * (item + INDEX_BYTES)


def loss_work(columns: Columns, item: int) -> Counted:
    """Logits, and the word of each row; one number comes out."""
    rows = float(columns["rows"])
    read = rows * (float(columns["cols"]) * item + INDEX_BYTES)
    return 0.0, read, read + item


WORK: Mapping[str, Callable[[Columns, int], Counted]] = {
    "scatter": scatter_work,
    "gather": gather_work,
    "cumsum": cumsum_work,
    "sort": sort_work,
    "cross_entropy": loss_work,
}
"""By the family of the row."""
