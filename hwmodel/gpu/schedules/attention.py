"""Schedules of fused attention on a GPU: one pass over keys, for many queries or for one.

The cascade is the one-pass form (FlashAttention-2, arXiv 2307.08691; FuseMax's Cascade 5). A block
owns `block_q` query rows of one head and walks the keys in tiles of `block_k`:

    matrix FLOP      2 block_q block_k (d_qk + d_v)            per tile of keys
    exp              block_q block_k + block_q                 (numerator, correction)
    vector FLOP      6 block_q block_k + block_q d_v           (scale, subtract, max, sum, convert;
                                                                rescaling the output)
    from the L2      block_k (d_qk b_k + d_v b_v)

Masked tiles are skipped, so that a block visits only tiles that hold a kept pair; what it computes
on masked or padded pairs of a visited tile is counted as work (the hardware does it). Blocks of a
causal mask differ: the longest works `spread` times the mean.

With few queries (decode) the rows of a KV head's query group share a block, and the keys are cut
into `split` parts that other blocks take; each part writes its fp32 partial output and its log-sum
to the L2 and a second kernel combines them (FlashDecoding, 2023).
"""

from dataclasses import dataclass

from hwmodel.activity import Activity, Overlap, Serial, Waves, Work
from hwmodel.arithmetic import ceil_div, least, most, where
from hwmodel.dtypes import bytes_of
from hwmodel.hardware import Limits
from hwmodel.units import Amount

PARTIAL_BYTES = 4
VECTOR_PER_SCORE = 6
"""Vector operations per score beyond its exp: scale, subtract, max, sum, two conversions."""


@dataclass(frozen=True)
class AttentionProblem:
    """Sizes of one attention call; `batch` counts sequences, `heads` query heads.

    `offset` is how many keys query 0 sees beyond itself under a causal mask (keys - queries), and
    `window` how many keys a query sees at most; None is no mask.
    """

    batch: Amount
    heads: Amount
    kv_heads: Amount
    queries: Amount
    keys: Amount
    head_dim: Amount
    value_dim: Amount
    causal: bool = False
    window: Amount | None = None
    density: Amount = 1.0
    dtype: str = "bf16"
    kv_dtype: str = "bf16"
    dtype_out: str = "bf16"

    @property
    def group(self) -> Amount:
        """Query heads that share one KV head."""
        return self.heads / self.kv_heads


@dataclass(frozen=True)
class AttentionTile:
    """The launch record: query rows and keys per step, splits of the keys, blocks per processor."""

    block_q: Amount
    block_k: Amount
    split: Amount = 1
    stages: Amount = 2
    warps: Amount = 8
    resident: Amount = 1


PREFILL_TILES = ((128, 128), (128, 64), (64, 64))
"""Query rows by keys per step of FlashAttention-2's forward kernels (its paper, section 3.3)."""

SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)


def prefill_menu() -> tuple[AttentionTile, ...]:
    """Tiles for many queries."""
    return tuple(AttentionTile(q, k, resident=2 if q == 64 else 1) for q, k in PREFILL_TILES)


def decode_menu() -> tuple[AttentionTile, ...]:
    """Tiles for few queries: one block of rows, every split of the keys."""
    return tuple(AttentionTile(64, 64, split=s, warps=4, resident=2) for s in SPLITS)


def visited_keys(problem: AttentionProblem, tile: AttentionTile) -> tuple[Amount, Amount]:
    """(mean, most) keys that a block of query rows visits, whole tiles of `block_k` each.

    Under a causal mask, block i of n (rows i q .. (i+1) q - 1) visits the keys up to offset plus
    its last row, rounded up to tiles: the mean over blocks of an arithmetic series, to which
    rounding adds half a tile on average. A window cuts it off below.
    """
    whole = ceil_div(problem.keys, tile.block_k) * tile.block_k
    if not problem.causal:
        return whole, whole
    rows = least((tile.block_q, problem.queries))
    offset = problem.keys - problem.queries
    mean = offset + (problem.queries + rows) / 2 + tile.block_k / 2
    if problem.window is not None:
        whole = least((whole, problem.window + rows + tile.block_k))
    mean = least((mean, whole))
    return mean * problem.density, whole * problem.density


def activity(problem: AttentionProblem, tile: AttentionTile, limits: Limits) -> Activity:
    """One attention call: launch, waves of blocks over the DRAM stream, and the combination."""
    packed = problem.queries * problem.group <= tile.block_q
    rows = where(packed, problem.queries * problem.group, problem.queries)
    columns = problem.batch * where(packed, problem.kv_heads, problem.heads)
    row_blocks = ceil_div(rows, tile.block_q)
    mean, longest = visited_keys(problem, tile)
    step = tile.block_k
    keys = ceil_div(mean, tile.split * step) * step
    wide = problem.head_dim + problem.value_dim
    from_l2 = keys * (problem.head_dim + problem.value_dim) * bytes_of(problem.kv_dtype)
    score = tile.block_q * keys
    block = Work(
        operations={
            ("matrix", "flop", problem.dtype): 2 * score * wide,
            ("exp", "exp", "fp32"): score + tile.block_q * keys / step,
            ("vector", "flop", "fp32"): VECTOR_PER_SCORE * score
            + tile.block_q * problem.value_dim * keys / step,
        },
        read={"port": from_l2, "l2": from_l2, "shared": from_l2 * tile.warps / 4},
        written={"shared": from_l2},
        slots={"fill": 1},
    )
    read, written = dram_bytes(problem, row_blocks, limits.processors * tile.resident, limits)
    waves = Waves(
        columns * row_blocks * tile.split,
        limits.processors * tile.resident,
        block,
        spread=longest / mean if problem.causal else 1,
    )
    body = Overlap((waves, Work(read={"dram": read}, written={"dram": written})))
    split = where(tile.split > 1, 1.0, 0.0)
    outputs = problem.batch * problem.heads * problem.queries * (problem.value_dim + 1)
    partial = split * tile.split * outputs * PARTIAL_BYTES
    combine = Work(read={"l2": partial}, written={"l2": partial}, slots={"reduction": split})
    return Serial((Work(slots={"launch": 1}), body, combine))


def dram_bytes(
    problem: AttentionProblem, row_blocks: Amount, slots: Amount, limits: Limits
) -> tuple[Amount, Amount]:
    """(read, written) at the DRAM: Q, K, V and O once, and K, V again for each wave that lost them.

    Blocks of one head run together and share its keys through the L2. Only when a head's K and V
    exceed the L2 does each further wave of its query blocks read them again.
    """
    q = problem.batch * problem.heads * problem.queries * problem.head_dim * bytes_of(problem.dtype)
    head = problem.keys * (problem.head_dim + problem.value_dim) * bytes_of(problem.kv_dtype)
    kept = head if problem.window is None else head * least((1.0, _seen(problem) / problem.keys))
    out = problem.batch * problem.heads * problem.queries * problem.value_dim
    group_blocks = most((1, row_blocks * problem.group / slots))
    forgotten = 1 - least((1.0, limits.capacity_bytes["l2"] / head))
    half = 0.5 if problem.causal else 1.0
    again = 1 + most((group_blocks - 1, 0)) * forgotten * half
    return (
        q + problem.batch * problem.kv_heads * kept * again,
        out * bytes_of(problem.dtype_out),
    )


def _seen(problem: AttentionProblem) -> Amount:
    """Keys that any query sees under the window."""
    if problem.window is None:
        return problem.keys
    return least((problem.keys, problem.window + problem.queries - 1))
