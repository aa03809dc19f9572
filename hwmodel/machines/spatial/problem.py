"""Attention as a spatial array walks it: tiles of keys on its rows, of queries on its columns.

Sizes need not be multiples of the array: a last, partial tile takes as many steps as a full one,
with idle elements. Query heads that share keys are one list of queries (they read the same keys);
under a causal mask, where each has its own mask, they are heads of their own, and a tile of scores
that is masked as a whole is never computed:

    tiles = sum over tiles t of queries of ceil((min((t + 1) N, P) + M - P) / N)
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from hwmodel.einsum.attention_shape import AttentionShape
from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount

KEYS = ("m", "m0")
"""Ranks that lie on the rows of an array; m1 counts tiles of them."""

QUERIES = "p"
"""The rank on the columns of an array, and on the lanes of a one-dimensional one."""


@dataclass(frozen=True, eq=False)
class TiledAttention:
    """One attention: `heads` in all, and how many tiles of scores each of them has.

    `pairs` are tiles of scores of a head, `share` those over all that a head would have unmasked.
    """

    cascade: Cascade
    heads: Amount
    queries: Amount
    keys: Amount
    rows: Amount
    columns: Amount
    causal: bool
    element_bytes: float

    @property
    def query_tiles(self) -> Amount:
        """Tiles of queries of a head."""
        return ceil_div(self.queries, self.columns)

    @property
    def key_tiles(self) -> Amount:
        """Tiles of keys of a head."""
        return ceil_div(self.keys, self.rows)

    @property
    def pairs(self) -> Amount:
        """Tiles of scores of a head."""
        tiles = self.query_tiles
        if not self.causal:
            return tiles * self.key_tiles
        before = ceil_div(self.keys - self.queries, self.rows)
        return _triangle(tiles) + (tiles - 1) * before + self.key_tiles

    @property
    def share(self) -> Amount:
        """Tiles of scores over those without a mask."""
        return self.pairs / (self.query_tiles * self.key_tiles) if self.causal else 1

    def readings(self, block: Amount) -> Amount:
        """How often all keys are read, where each block of queries reads those that it sees."""
        blocks = ceil_div(self.queries, block)
        if not self.causal:
            return blocks
        seen = block * _triangle(blocks) + (blocks - 1) * (self.keys - self.queries) + self.keys
        return seen / self.keys

    def depth(self, tensor: str) -> Amount:
        """Elements of a tensor for each query or key: its extents along all other ranks."""
        size: Amount = 1
        for rank in self.cascade.tensors[tensor].ranks:
            if rank in ("e", "f"):
                size = size * self.cascade.ranks[rank].size
        return size

    def walks_keys(self, einsum: Einsum) -> bool:
        """Whether an Einsum runs for each tile of keys, or once for each query."""
        return any(rank in ("m1", *KEYS) for rank in einsum.ranks)

    def elements(self, tensor: str, einsum: Einsum) -> Amount:
        """Elements of a tensor that the tiles of an Einsum take, each tile anew."""
        ranks = self.cascade.tensors[tensor].ranks
        each = self.heads * self.depth(tensor)
        if not self.walks_keys(einsum):
            return each * self.queries
        on_keys = any(rank in KEYS for rank in ranks)
        if on_keys and QUERIES in ranks:
            return each * self.queries * self.keys * self.share
        if on_keys:
            return each * self.keys * self.query_tiles * self.share
        return each * self.queries * self.key_tiles * self.share


def problem(shape: AttentionShape, passes: int, limits: Limits) -> TiledAttention:
    """The cascade of `passes` passes that computes `shape`, tiled for the machine's 2D array.

    Raises `CoverageError` for masks and formats that the arrays do not know.
    """
    rows, columns = limits.arrays["matrix"]
    if shape.window is not None or not isinstance(shape.density, (int, float)) or shape.density < 1:
        raise CoverageError("attention on a spatial array: a window or a density is not modelled")
    if shape.causal and np.any(np.not_equal(rows, columns)):
        raise CoverageError(
            f"attention on a spatial array: causal masks need square tiles, not {rows} x {columns}"
        )
    if not isinstance(rows, int):
        raise CoverageError("attention on a spatial array: give the array's rows as one number")
    shared = 1 if shape.causal else shape.group
    cascade = attention(
        batch=shape.batch,
        heads=shape.kv_heads * (shape.group if shape.causal else 1),
        queries=shape.queries * shared,
        keys=shape.keys,
        head_dim=shape.head_dim,
        value_dim=shape.value_dim,
        causal=shape.causal,
        passes=passes,
        tile=rows,
        dtype=shape.dtype,
        out_dtype=shape.dtype,
    )
    same = {name: replace(t, dtype=shape.dtype) for name, t in cascade.tensors.items()}
    return TiledAttention(
        cascade=replace(cascade, tensors=MappingProxyType(same), origin=None),
        heads=shape.batch * shape.kv_heads * (shape.group if shape.causal else 1),
        queries=shape.queries * shared,
        keys=shape.keys,
        rows=rows,
        columns=columns,
        causal=shape.causal,
        element_bytes=bytes_of(shape.dtype),
    )


def _triangle(n: Amount) -> Amount:
    """1 + 2 + ... + (n - 1)."""
    half = n * (n - 1)
    return half // 2 if isinstance(half, int) else half / 2
