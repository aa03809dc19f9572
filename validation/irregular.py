"""What a measured row of a scatter, gather, scan, sort or loss says: its work, from its columns.

Each function answers (FLOPs, bytes of the inputs, bytes of inputs and outputs), nothing read twice.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse

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


def _parsed(text: str, columns: Columns, sizes: Mapping[str, Any], **dtypes: str) -> Cascade:
    given = {"*": str(columns["dtype"])} | dtypes
    return parse(text, sizes=sizes, dtypes=given, name=str(columns["family"]))


def scatter(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """A sum over as many sources as reach a target."""
    text = """
    rank t(x) ~ hot(sources, 1, share)
    Y[x, c] = sum(t) S[x, t, c]
    """
    named = {"x": sizes["targets"], "c": sizes["cols"], "sources": sizes["sources"]}
    return _parsed(text, columns, named | {"share": sizes["hot"]})


def gather(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Rows of a table, or sums of bags of them."""
    bags = columns["op"] == "embedding_bag"
    named = {"v": sizes["targets"], "c": sizes["cols"]}
    named |= {"b": sizes["sources"] / sizes["bag"]} | ({"l": sizes["bag"]} if bags else {})
    text = (
        "O[b, c] = sum(l) gather(T[v, c], I[b, l])" if bags else "O[b, c] = gather(T[v, c], I[b])"
    )
    return _parsed(text, columns, named, I="int64")


def cumsum(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """A sum that runs ahead along the last axis, or down the first."""
    x, y, first = "r, i", "r, i+1", "r, 0"
    if columns["axis"] == "first":
        x, y, first = "i, r", "i+1, r", "0, r"
    text = f"S[{y}] = S[{x}] + X[{x}] ; S[{first}] = 0"
    return _parsed(text, columns, {"r": sizes["rows"], "i": sizes["cols"]})


def sort(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Rows in order, or their largest."""
    named = {"r": sizes["rows"], "c": sizes["cols"], "k": sizes["k"]}
    return _parsed("Y[r, k] = ranked(X[c, r], P[k])", columns, named, P="int64")


def cross_entropy(columns: Columns, sizes: Mapping[str, Any]) -> Cascade:
    """Logarithms of a softmax, and the sum of those of each row's word."""
    text = """
    M[r] = max(v) X[v, r]
    Z[r] = sum(v) exp(X[v, r] - M[r])
    L[v, r] = X[v, r] - M[r] - log(Z[r])
    N = sum(r) gather(L[v, r], T[r])
    """
    return _parsed(text, columns, {"r": sizes["rows"], "v": sizes["cols"]}, T="int64")
