"""Tiles that this package's own Triton kernels are launched with, and the rule that picks one.

A kernel is launched with exactly one of these records, so that the model predicts what runs. The
menus are what the kernels are compiled and measured with; each tile keeps its staged operands
within 227 KiB of shared memory and its accumulators within 64 Ki registers of a Hopper SM (CUDA
C++ Programming Guide, compute capability 9.0). A rule depends on sizes alone and broadcasts over
arrays. Sizes are elements unless they say bytes.
"""

from dataclasses import replace

from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount

SLICE_BYTES = 128
"""Bytes of K in one slice: the widest row that Hopper's tensor copy swizzles without conflicts."""

GEMM_SHAPES = (
    (128, 256, 4, 8, 1),
    (128, 128, 4, 8, 1),
    (128, 128, 3, 4, 2),
    (64, 256, 4, 4, 1),
    (64, 128, 4, 4, 2),
    (64, 64, 4, 4, 3),
    (32, 128, 4, 4, 2),
    (16, 128, 4, 4, 2),
)
"""(block_m, block_n, stages, warps, blocks per processor), largest first."""

PERSISTENT_SHAPES = ((128, 256, 3, 8, 1), (128, 128, 3, 4, 2))
"""The same of blocks that take tile after tile: a stage less, since half a tile leaves through
shared memory."""
HALVED_COLUMNS, HALVED_WARPS = 256, 8
"""Tiles that leave in two stores where they are not split (see kernels/gemm.py)."""
ROW_BYTES, OUTPUT_BYTES = 16, 2
"""Multiple of bytes of rows that descriptors cover, and bytes of an output of narrow operands."""

SPLITS = (1, 2, 4, 8, 16)
LEAST_STEPS = 4
"""Slices of K that a split keeps at least: fewer do not fill the pipeline of stages."""

PREFILL_SHAPES: dict[int, tuple[tuple[int, int, int, int, int], ...]] = {
    64: ((128, 128, 2, 8, 1), (128, 64, 3, 8, 2), (64, 128, 2, 4, 3), (64, 64, 3, 4, 3)),
    128: ((128, 128, 2, 8, 1), (128, 64, 3, 8, 1), (64, 64, 2, 4, 2), (128, 32, 2, 8, 2)),
    256: ((128, 64, 2, 8, 1), (128, 32, 2, 8, 1), (64, 64, 2, 4, 1)),
}
"""Padded head dimension -> (block_q, block_k, stages, warps, blocks per processor). Residence
follows from the registers and shared bytes that Triton 3.6 and its ptxas report for sm_90a."""

HOPPER_SHAPES = {64: (128, 128, 3), 128: (128, 128, 2), 256: (128, 64, 2)}
"""The same of persistent blocks, whose groups of warps copy, multiply and weigh beside each other:
(block_q, block_k, stages), by 8 warps that compute."""

WIDE_HEAD = 128
"""Head dimensions above this take tiles whose outputs still fit the registers."""
FEW_ROWS = 64
"""Query rows of a head up to which blocks are of so many."""
DECODE_ROWS = 16
"""Query rows of a KV head that the menu of decode holds."""
DECODE_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
MOST_ROW_ELEMENTS = 65536
"""Columns of a row that one block of 32 warps holds in registers: 64 of them a thread."""
CHUNK_TILE = RowTile(elements=4096, warps=8)
"""The rule of kernels that walk a row too long to hold, chunk by chunk."""


def gemm_tiles(element_bytes: int = 2) -> tuple[GemmTile, ...]:
    """The GEMM's tiles, unsplit, for operands of `element_bytes`."""
    depth = SLICE_BYTES // element_bytes
    return tuple(
        GemmTile(m, n, depth, stages, warps, resident=resident)
        for m, n, stages, warps, resident in GEMM_SHAPES
    )


def gemm_menu(element_bytes: int = 2) -> tuple[GemmTile, ...]:
    """Every tile with every split, and those of persistent blocks for operands of 8 and 16 bits."""
    depth = SLICE_BYTES // element_bytes
    ending = (
        replace(tile, split=split, parts=2 if split == 1 and _halved(tile) else 1)
        for tile in gemm_tiles(element_bytes)
        for split in SPLITS
    )
    persistent = (
        GemmTile(m, n, depth, stages, warps, resident=resident, persistent=1, parts=2)
        for m, n, stages, warps, resident in PERSISTENT_SHAPES
    )
    return (*ending, *(persistent if element_bytes <= OUTPUT_BYTES else ()))


def _halved(tile: GemmTile) -> bool:
    """Whether an unsplit tile leaves in two stores."""
    return bool(tile.block_n == HALVED_COLUMNS and tile.warps == HALVED_WARPS)


def _rows_on_16_bytes(N: Amount, K: Amount, element_bytes: int) -> Amount:
    """Whether descriptors cover the rows of operands and outputs."""
    return (K * element_bytes % ROW_BYTES == 0) & (N * OUTPUT_BYTES % ROW_BYTES == 0)


def gemm_candidates(
    M: int, N: int, K: int, *, processors: int, element_bytes: int
) -> tuple[GemmTile, ...]:
    """The menu's tiles that are worth trying: a split neither starves its parts nor only adds some.

    >>> {tile.split for tile in gemm_candidates(8192, 8192, 64, processors=132, element_bytes=2)}
    {1}
    """
    described = _rows_on_16_bytes(N, K, element_bytes)

    def useful(tile: GemmTile) -> bool:
        if tile.persistent and not described:
            return False
        blocks = ceil_div(M, tile.block_m) * ceil_div(N, tile.block_n) * tile.split
        fed = ceil_div(K, tile.block_k) >= LEAST_STEPS * tile.split
        few = blocks <= 2 * processors * tile.resident
        return bool(tile.split == 1 or (fed and few))

    return tuple(tile for tile in gemm_menu(element_bytes) if useful(tile))


def gemm_tile(
    M: Amount, N: Amount, K: Amount, *, processors: Amount, element_bytes: int
) -> GemmTile:
    """The GEMM's rule: rows as M needs, columns as wide as the processors are busy, then K splits.

    >>> tile = gemm_tile(8192, 8192, 8192, processors=132, element_bytes=2)
    >>> tile.block_m, tile.block_n, tile.split, tile.persistent
    (128, 256, 1, 1)

    Tiles of the most rows and columns are taken one after the other where descriptors cover all.
    """
    depth = SLICE_BYTES // element_bytes
    block_m = where(M <= 16, 16, where(M <= 32, 32, where(M <= 64, 64, 128)))
    rows = ceil_div(M, block_m)
    wide = rows * ceil_div(N, 256) >= processors
    block_n = where((block_m >= 64) & wide, 256, 128)
    blocks = rows * ceil_div(N, block_n)
    steps = ceil_div(K, depth)
    split: Amount = 1
    for candidate in SPLITS[1:]:
        useful = (blocks * candidate <= processors) & (steps >= LEAST_STEPS * candidate)
        split = where(useful, candidate, split)
    warps = where(block_m >= 128, 8, 4)
    resident = where(block_m * block_n > 64 * 128, 1, 2)
    halved = (block_n == HALVED_COLUMNS) & (warps == HALVED_WARPS) & (split == 1)
    described = where(_rows_on_16_bytes(N, K, element_bytes), 1, 0)
    persistent = where(halved, described if element_bytes <= OUTPUT_BYTES else 0, 0)
    stages, parts = 4 - persistent, where(halved, 2, 1)
    return GemmTile(
        *(block_m, block_n, depth, stages, warps, split, resident),
        persistent=persistent,
        parts=parts,
    )


def grouped_tile(
    M: Amount, N: Amount, K: Amount, *, processors: Amount, element_bytes: int
) -> GemmTile:
    """The same of grouped products: unsplit, a block a tile, which leaves in one store."""
    found = gemm_tile(M, N, K, processors=processors, element_bytes=element_bytes)
    return replace(found, split=1, stages=4, persistent=0, parts=1)


def prefill_tiles(head_dim: int = 128) -> tuple[AttentionTile, ...]:
    """Tiles of attention over many queries."""
    shapes = PREFILL_SHAPES[_width(head_dim)]
    return tuple(
        AttentionTile(q, k, stages=stages, warps=warps, resident=resident)
        for q, k, stages, warps, resident in shapes
    )


def hopper_tile(head_dim: int = 128) -> AttentionTile:
    """The tile of persistent blocks, which Hopper's matrix instructions alone run."""
    block_q, block_k, stages = HOPPER_SHAPES[_width(head_dim)]
    return AttentionTile(block_q, block_k, stages=stages, persistent=1)


def _width(head_dim: int) -> int:
    return 64 if head_dim <= 64 else 128 if head_dim <= WIDE_HEAD else 256


def prefill_tile(
    head_dim: Amount, queries: Amount, *, specialised: Amount = False
) -> AttentionTile:
    """The rule of prefill: 128 query rows, 64 where there are no more; keys as registers allow.

    Persistent blocks where warps can be `specialised` and rows fill both of their groups.
    """
    few = queries <= FEW_ROWS
    narrow = head_dim <= WIDE_HEAD
    persistent = where(few, 0, where(specialised, 1, 0))
    deep = where(head_dim <= 64, persistent, 0)
    return AttentionTile(
        block_q=where(few, 64, 128),
        block_k=where(narrow, 128, 64),
        stages=2 + deep,
        warps=where(few, 4, 8),
        persistent=persistent,
    )


def decode_tile(
    rows: Amount, keys: Amount, outputs: Amount, head_dim: Amount, *, processors: Amount
) -> AttentionTile:
    """The rule of decode: enough splits of the keys that the `outputs` KV heads fill the machine.

    `rows` is the query rows of a KV head (its group times its queries).
    """
    block_q = where(rows <= 16, 16, where(rows <= 32, 32, where(rows <= 64, 64, 128)))
    block_k = where(head_dim <= 64, 128, where(head_dim <= WIDE_HEAD, 64, 32))
    resident = 2
    split: Amount = 1
    for candidate in DECODE_SPLITS[1:]:
        useful = (outputs * candidate <= resident * processors) & (keys >= candidate * block_k)
        split = where(useful, candidate, split)
    stages = where(block_q >= 64, 3, 4)
    warps = where(block_q >= 128, 8, 4)
    return AttentionTile(block_q, block_k, split, stages, warps, resident)


def decode_tiles(head_dim: int = 128) -> tuple[AttentionTile, ...]:
    """Tiles of attention over up to 16 rows of a KV head, with every split of the keys.

    A stage holds 32 KiB of K and V at any head dimension, so that two blocks with three stages in
    flight share an SM.
    """
    block_k = 128 if head_dim <= 64 else 64 if head_dim <= WIDE_HEAD else 32
    return tuple(AttentionTile(16, block_k, split, 4, 4, resident=2) for split in DECODE_SPLITS)


def decode_candidates(keys: int, head_dim: int) -> tuple[AttentionTile, ...]:
    """The tiles of which no part of the keys is empty."""
    return tuple(
        tile for tile in decode_tiles(head_dim) if tile.split <= ceil_div(keys, tile.block_k)
    )


def row_tile(cols: Amount) -> RowTile:
    """The rule of kernels that reduce a row: it is held whole, several where they are short."""
    block: Amount = 64
    for power in range(7, 17):
        block = where(cols > 2 ** (power - 1), 2**power, block)
    rows = most((1, 2048 // block if isinstance(block, int) else ceil_div(2048, block)))
    warps = least((32, most((4, ceil_div(block * rows, 512)))))
    return RowTile(block * rows, warps, resident=most((1, ceil_div(32, warps))), rows=rows)


def row_tiles() -> tuple[RowTile, ...]:
    """One tile for each power of two that a row of 64 to 65536 columns rounds up to."""
    return tuple(row_tile(2**power) for power in range(6, 17))


def chunk_tiles() -> tuple[RowTile, ...]:
    """Tiles of kernels that walk a row in chunks, and of elementwise kernels."""
    return tuple(RowTile(elements, warps) for elements, warps in ((1024, 4), (2048, 8), (4096, 8)))
