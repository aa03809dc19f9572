"""Kernels that choose what sparse attention computes, each a cascade of its own.

Scores of a few queries with all keys, means of blocks, scores of blocks with blocks, orders and
choices, rows moved to other places. An order is found by counting: the place of an element among
its segment is how many are larger, so that S elements take S^2 comparisons, which is what a kernel
does with segments that fit a block of threads. What reaches a mass is found from thresholds: the
mass above each of them, then one comparison with the lowest that suffices.
"""

from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.rows import softmax
from hwmodel.quantity.arithmetic import ceil_div, least
from hwmodel.quantity.units import Amount

HALVINGS = 16
"""Halvings of the interval of a threshold: 16 bits of a score."""

_PROBE = "tensor K[b, h, m, e]: cache\nS[b, h, g, q, m] = Q[b, h, g, q, e] * K[b, h, m, e]"
_BLOCKS = "S[b, h, g, i, j] = Q[b, h, g, i, e] * K[b, h, j, e]"
_MEAN = "SUM[r, c] = sum(i) X[r, i, c]\nY[r, c] = SUM[r, c] / I"
_ORDER = """
PLACE[d+1, r, c] = PLACE[d, r, c] + less(X[r, c], X[r, d]) ; PLACE[0, r, c] = 0
output PLACE
"""
_CUT = """
ABOVE[s, r] = sum(c) select(less(CUT[s, r], X[r, c]), X[r, c], 0)
CUT[s+1, r] = CUT[s, r] + select(less(GOAL, ABOVE[s, r]), STEP[s], 0 - STEP[s]) ; CUT[0, r] = 0.5
output CUT
"""
_CHOICE = "Y[r, c] = less_equal(Z[r], X[r, c])"
_MOVED = "tensor X[n, e]: cache\nY[t, e] = gather(X[n, e], PLACE[t])"


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads of one device in one step, for kernels around their attention."""

    batch: Amount
    queries: Amount
    keys: Amount
    kv_heads: int
    group: int
    head_dim: int
    dtype: str
    kv_dtype: str
    decoding: bool

    @property
    def rows(self) -> Amount:
        """Query heads of all sequences."""
        return self.batch * (self.kv_heads * self.group)


def probe(
    batch: Amount,
    kv_heads: int,
    group: int,
    queries: Amount,
    keys: Amount,
    head_dim: int,
    dtype: str,
    kv_dtype: str,
    name: str = "probe scores",
) -> Cascade:
    """Scores of so many queries of each head with all keys: 2 queries keys head_dim FLOP a head."""
    sizes: dict[str, Amount] = {"b": batch, "h": kv_heads, "g": group}
    sizes |= {"q": queries, "m": keys, "e": head_dim}
    return parse(_PROBE, sizes=sizes, dtypes={"*": dtype, "K": kv_dtype}, name=name)


def mean(rows: Amount, of: Amount, columns: Amount, dtype: str, name: str) -> Cascade:
    """Means of `of` rows each, of [rows, of, columns]."""
    sizes: dict[str, Amount] = {"r": rows, "i": of, "c": columns}
    return parse(_MEAN, sizes=sizes, dtypes={"*": dtype, "SUM": "fp32"}, name=name)


def block_scores(
    batch: Amount,
    kv_heads: int,
    group: int,
    queries: Amount,
    keys: Amount,
    head_dim: int,
    dtype: str,
    name: str = "block scores",
) -> Cascade:
    """Scores of blocks of queries with blocks of keys, by their means."""
    sizes: dict[str, Amount] = {"b": batch, "h": kv_heads, "g": group}
    sizes |= {"i": queries, "j": keys, "e": head_dim}
    return parse(_BLOCKS, sizes=sizes, dtypes={"*": dtype}, name=name)


def order(rows: Amount, segment: Amount, dtype: str, name: str = "segment order") -> Cascade:
    """The place of each of `segment` elements among them, largest first, in each row.

    Equal elements get one place; which comes first then is of no cost.
    """
    sizes: dict[str, Amount] = {"r": rows, "c": segment, "d": segment}
    return parse(_ORDER, sizes=sizes, dtypes={"X": dtype, "*": "int32"}, name=name)


def cut(rows: Amount, columns: Amount, dtype: str, name: str = "cut") -> Cascade:
    """The threshold above which the mass of each row is what was asked for, by bisection."""
    sizes: dict[str, Amount] = {"r": rows, "c": columns, "s": HALVINGS}
    return parse(_CUT, sizes=sizes, dtypes={"*": "fp32", "X": dtype}, name=name)


def choice(rows: Amount, columns: Amount, dtype: str, name: str = "choice") -> Cascade:
    """Which elements of each row reach its threshold."""
    dtypes = {"X": dtype, "Z": "fp32", "Y": "int8"}
    return parse(_CHOICE, sizes={"r": rows, "c": columns}, dtypes=dtypes, name=name)


def moved(rows: Amount, taken: Amount, columns: int, dtype: str, name: str) -> Cascade:
    """`taken` of `rows` rows, in another order: rows of all heads together."""
    sizes: dict[str, Amount] = {"n": rows, "t": taken, "e": columns}
    dtypes = {"X": dtype, "Y": dtype, "PLACE": "int32"}
    return parse(_MOVED, sizes=sizes, dtypes=dtypes, name=name)


def probed(heads: Heads, queries: Amount) -> tuple[Cascade, ...]:
    """What so many of the last queries see of each key: scores, a softmax, its mean over them."""
    rows = heads.batch * heads.kv_heads
    seen = heads.group * queries
    return (
        probe(
            *(heads.batch, heads.kv_heads, heads.group, queries, heads.keys, heads.head_dim),
            *(heads.dtype, heads.kv_dtype),
        ),
        softmax(rows * seen, heads.keys, heads.dtype, "probe softmax"),
        mean(rows, seen, heads.keys, heads.dtype, "probe mean"),
    )


def chosen_blocks(heads: Heads, block: int) -> tuple[Cascade, ...]:
    """Of each block of queries the fewest blocks of keys that hold a mass, by means of blocks."""
    size = least((block, heads.queries))
    queries, keys = ceil_div(heads.queries, size), ceil_div(heads.keys, block)
    dim, kind = heads.head_dim, heads.dtype
    rows = heads.rows * queries
    return (
        mean(rows, size, dim, kind, "query blocks"),
        mean(
            heads.batch * heads.kv_heads * keys, least((block, heads.keys)), dim, kind, "key blocks"
        ),
        block_scores(heads.batch, heads.kv_heads, heads.group, queries, keys, dim, kind),
        softmax(rows, keys, kind, "block softmax"),
        cut(rows, keys, kind, "block cut"),
        choice(rows, keys, kind, "block choice"),
    )
