"""Stream-K schedule of decode attention: equal shares of all key tiles, whatever output they serve.

LeanAttention (arXiv 2405.10480) lines up the key tiles of all (sequence, KV head) outputs and cuts
the line into equal pieces, one for each block. With T tiles an output, O outputs, P processors:

    total     = T O                                          tiles of all outputs
    grid      = min(2 P, 32 O R), fewer where total <= 4 P   blocks; R row blocks of 64 queries
    most      = ceil(total / grid)                           tiles of the busiest blocks
    high      = total - (most - 1) grid                      blocks of `most`, the rest one less
    splits   >= blocks that share one output                 parts that the workspace holds
    occupancy = total / (grid most)                          1 is no wave quantisation

Source: the integers of LeanAttention as ONNX Runtime's `lean_api` computes them (MIT licence;
re-derived here, not copied). Sizes are counts; the workspace is in bytes.
"""

from dataclasses import dataclass

from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.errors import InputError

QUERY_BLOCK = 64
BLOCKS_PER_PROCESSOR = 2
MOST_BLOCKS_PER_OUTPUT = 32
"""Blocks per (output, row block), at most: more splits cost more to combine than they save."""
PARTIAL_BYTES = 4
VALUE_ALIGNMENT = 32


def key_block(head_dim: int) -> int:
    """Keys in one tile: a tile of K and V has about the same bytes at every head dimension.

    >>> key_block(128)
    128
    """
    return 256 if head_dim <= 64 else 128 if head_dim <= 128 else 64


@dataclass(frozen=True)
class StreamK:
    """The integers of one launch, and which block owns which tiles."""

    tiles_per_output: int
    outputs: int
    grid: int
    most_tiles: int
    high_load: int
    splits: int

    @property
    def total_tiles(self) -> int:
        """Tiles of all outputs."""
        return self.tiles_per_output * self.outputs

    @property
    def occupancy(self) -> float:
        """Tiles over tile slots: the share of the blocks' time that is work."""
        return self.total_tiles / (self.grid * self.most_tiles)

    def share(self, block: int) -> tuple[int, int]:
        """(first, last + 1) tile of a block."""
        extra = max(block - self.high_load, 0)
        first = block * self.most_tiles - extra
        return first, first + self.most_tiles - (block >= self.high_load)

    def owner(self, tile: int) -> int:
        """The block that computes a tile."""
        high_tiles = self.high_load * self.most_tiles
        if tile < high_tiles:
            return tile // self.most_tiles
        return self.high_load + (tile - high_tiles) // (self.most_tiles - 1)

    def parts(self, output: int) -> int:
        """How many blocks share an output."""
        first = output * self.tiles_per_output
        return self.owner(first + self.tiles_per_output - 1) - self.owner(first) + 1

    def workspace_bytes(self, rows: int, head_dim: int) -> tuple[int, int]:
        """(bytes of log sums, bytes of partial outputs), `rows` query rows an output."""
        parts = self.splits * self.outputs * rows * PARTIAL_BYTES
        return parts, parts * VALUE_ALIGNMENT * int(ceil_div(head_dim, VALUE_ALIGNMENT))


def tiles_of(queries: int, keys: int, block: int, *, causal: bool = False) -> int:
    """Key tiles of one output; a causal mask lets row block i reach (i + 1) row blocks of keys."""
    rows = int(ceil_div(queries, QUERY_BLOCK))
    if not causal:
        return rows * int(ceil_div(keys, block))
    return sum(int(ceil_div((i + 1) * QUERY_BLOCK, block)) for i in range(rows))


def stream_k(
    *, batch: int, kv_heads: int, queries: int, keys: int, head_dim: int, processors: int,
    causal: bool = False, block: int | None = None,
) -> StreamK:  # fmt: skip
    """The schedule of one call; `queries` counts the rows of a KV head, its query group included.

    `block` keys make a tile (None: `key_block`). Raises `InputError` for a size below 1.
    """
    sizes = {
        "batch": batch, "kv_heads": kv_heads, "queries": queries, "keys": keys,
        "head_dim": head_dim, "processors": processors,
    }  # fmt: skip
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"stream_k: {name} must be at least 1, found {size}")
    block = key_block(head_dim) if block is None else block
    tiles = tiles_of(queries, keys, block, causal=causal)
    outputs = batch * kv_heads
    total = tiles * outputs
    grid = _grid(total, outputs, queries, int(ceil_div(keys, block)), processors)
    most = int(ceil_div(total, grid))
    return StreamK(
        tiles_per_output=tiles,
        outputs=outputs,
        grid=grid,
        most_tiles=most,
        high_load=total - (most - 1) * grid,
        splits=_splits(total, grid, most, tiles),
    )


def _grid(total: int, outputs: int, queries: int, key_blocks: int, processors: int) -> int:
    """Blocks to launch: two a processor, fewer where there is too little work to go round."""
    rows = int(ceil_div(queries, QUERY_BLOCK))
    grid = min(BLOCKS_PER_PROCESSOR * processors, MOST_BLOCKS_PER_OUTPUT * outputs * rows)
    if total <= 2 * BLOCKS_PER_PROCESSOR * processors:
        capped = int(ceil_div(MOST_BLOCKS_PER_OUTPUT * total, key_blocks))
        grid = min(int(ceil_div(total, 2)), capped)
    return max(1, min(grid, total))


def _splits(total: int, grid: int, most: int, tiles: int) -> int:
    """Parts that an output can fall into at most, by the least share of the blocks."""
    if total % grid == 0:
        return 1 + (tiles + most - 2) // most
    return 1 + (tiles + most - 3) // (most - 1) if most > 1 else 1
