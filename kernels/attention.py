"""Attention over many queries in one pass over the keys (FlashAttention-2, arXiv 2307.08691).

A block owns `block_q` query rows of one head and walks that head's keys in tiles of `block_k`,
keeping the running maximum, sum and output of the one-pass cascade (FuseMax's Cascade 5) in fp32.
Exponentials are powers of two, with log2(e) folded into the scale. Query i sees key j where

    causal        j <= i + keys - queries
    window        j >  i + keys - queries - window            (with causal)
    blocks        the (block_q, block_k) tile of (i, j) is kept

Tiles without a seen pair are skipped, tiles that no mask crosses are not masked, and the longest
blocks start first. A row that sees no key yields zero. Head dimensions that are no power of two are
padded inside the block. Schedule: `hwmodel.machines.gpu.schedules.attention`. Costs are FLOP, exps,
bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import math

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

try:
    from hwmodel.kernels import hopper_attention
except ImportError:  # a Triton without Gluon
    hopper_attention = None
from hwmodel.kernels.operands import describable, need, need_contiguous, power_of_two
from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.machines.gpu.schedules.triton_tiles import prefill_tile, prefill_tiles
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

LOG2_E = math.log2(math.e)
MASKED = tl.constexpr(-1.0e30)
SEEN = tl.constexpr(-1.0e29)
"""A finite score for masked pairs: minus infinity would make NaN of a row masked in a whole tile,
whereas what such a row gathers is scaled by 2^(MASKED - maximum) = 0 once it sees a key."""


def reference(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    blocks: torch.Tensor | None = None,
    block_shape: tuple[int, int] = (128, 128),
) -> torch.Tensor:
    """softmax(Q K^T / sqrt(d)) V; q `(batch, heads, queries, d)`, k and v with their own heads.

    `blocks` `(batch, heads, query blocks, key blocks)` says which tiles of `block_shape` are kept.
    """
    queries, keys, group = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(group, 1) for t in (k, v))
    score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    position = torch.arange(queries, device=q.device)[:, None] + keys - queries
    column = torch.arange(keys, device=q.device)[None, :]
    seen = torch.ones_like(score, dtype=torch.bool)
    if causal:
        seen &= column <= position
    if window is not None:
        seen &= column > position - window
    if blocks is not None:
        wide = (
            blocks.bool().repeat_interleave(block_shape[0], 2).repeat_interleave(block_shape[1], 3)
        )
        seen &= wide[:, :, :queries, :keys]
    weight = torch.softmax(score.masked_fill(~seen, float("-inf")), -1)
    return weight.nan_to_num(0.0) @ v


def tiles(head_dim: int = 128) -> tuple[AttentionTile, ...]:
    """The launch records that the kernel is measured with."""
    return prefill_tiles(head_dim)


def seen_pairs(queries: int, keys: int, *, causal: bool = False, window: int | None = None) -> int:
    """Pairs of a query and a key that it sees, without a block mask.

    >>> seen_pairs(4, 4, causal=True)
    10
    """
    if not causal:
        return queries * keys
    first = keys - queries + 1
    whole = queries * first + queries * (queries - 1) // 2
    if window is None or window >= keys:
        return whole
    short = max(0, min(queries, window - first + 1))
    return short * first + short * (short - 1) // 2 + (queries - short) * window


def cost(
    batch: int, heads: int, kv_heads: int, queries: int, keys: int, head_dim: int, *,
    causal: bool = False, window: int | None = None, density: float = 1, dtype: str = "bf16",
) -> Work:  # fmt: skip
    """Operations on seen pairs, one exp for each, and Q, K, V and O moved once.

    Where queries see a window of the keys only, the keys outside all windows are not read.
    """
    pairs = batch * heads * seen_pairs(queries, keys, causal=causal, window=window) * density
    used = keys if window is None else min(keys, window + queries - 1)
    q = batch * heads * queries * head_dim * bytes_of(dtype)
    return Work(
        operations={
            ("matrix", "flop", dtype): 4 * pairs * head_dim,
            ("exp", "exp", "fp32"): pairs,
        },
        read={"dram": q + 2 * batch * kv_heads * used * head_dim * bytes_of(dtype)},
        written={"dram": q},
    )


@triton.jit
def load_keys(
    source, head, start, keys, head_dim,
    BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, EDGE: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """A tile of keys or values of one KV head; zero past the last key and past `head_dim`."""
    if DESCRIBED:
        tile = source.load([head, start, 0]).reshape(BLOCK_K, BLOCK_D)
    else:
        at = start + tl.arange(0, BLOCK_K)
        along = tl.arange(0, BLOCK_D)
        here = source + (head.to(tl.int64) * keys + at[:, None]) * head_dim + along[None, :]
        if EDGE:
            tile = tl.load(here, mask=(at[:, None] < keys) & (along[None, :] < head_dim), other=0.0)
        else:
            tile = tl.load(here, mask=along[None, :] < head_dim, other=0.0)
    return tile


@triton.jit
def walk_keys(
    total, sums, peak, q, k, v, columns, head, first, last,
    position, keys, head_dim, window, scale_log2,
    BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    SPARSE: tl.constexpr, EDGE: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """Steps `first` to `last` over tiles of keys; with EDGE, a mask may cross these tiles.

    `position` is the last key that each row sees under a causal mask.
    """
    for step in range(first, last):
        block = step
        if SPARSE:
            block = tl.load(columns + step)
        start = block * BLOCK_K
        key = load_keys(k, head, start, keys, head_dim, BLOCK_K, BLOCK_D, EDGE, DESCRIBED)
        score = tl.dot(q, key.T, input_precision="ieee")
        if EDGE:
            column = start + tl.arange(0, BLOCK_K)
            seen = column[None, :] < keys
            if CAUSAL:
                seen &= column[None, :] <= position[:, None]
            if WINDOW:
                seen &= column[None, :] > position[:, None] - window
            score = tl.where(seen, score * scale_log2, MASKED)
            higher = tl.maximum(peak, tl.max(score, 1))
            weight = tl.exp2(score - higher[:, None])
        else:
            higher = tl.maximum(peak, tl.max(score, 1) * scale_log2)
            weight = tl.exp2(score * scale_log2 - higher[:, None])
        correction = tl.exp2(peak - higher)
        sums = sums * correction + tl.sum(weight, 1)
        total = total * correction[:, None]
        value = load_keys(v, head, start, keys, head_dim, BLOCK_K, BLOCK_D, EDGE, DESCRIBED)
        total = tl.dot(weight.to(value.dtype), value, total, input_precision="ieee")
        peak = higher
    return total, sums, peak


@triton.jit
def finish(total, sums, peak):
    """The weighted mean of the values; zero for a row that saw no key."""
    return tl.where((peak > SEEN)[:, None], total / tl.maximum(sums, 1e-30)[:, None], 0.0)


@triton.jit(do_not_specialize=["heads", "kv_heads", "queries", "keys", "window", "columns_each"])
def attention_kernel(
    q, k, v, out, columns, counts,
    heads, kv_heads, queries, keys, head_dim, window, columns_each, scale_log2,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SPARSE: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """One block of query rows of one head."""
    row_blocks = tl.num_programs(0)
    row_block = row_blocks - 1 - tl.program_id(0)
    head = tl.program_id(1)
    kv_head = (head // heads) * kv_heads + (head % heads) // (heads // kv_heads)
    offset = keys - queries
    row = row_block * BLOCK_Q + tl.arange(0, BLOCK_Q)
    along = tl.arange(0, BLOCK_D)
    inside = (row[:, None] < queries) & (along[None, :] < head_dim)
    at = (head.to(tl.int64) * queries + row[:, None]) * head_dim + along[None, :]
    query = tl.load(q + at, mask=inside, other=0.0)
    position = row + offset

    first = 0
    last = tl.cdiv(keys, BLOCK_K)
    whole = keys // BLOCK_K  # tiles before this one end within the keys
    if CAUSAL:
        lowest = row_block * BLOCK_Q + offset
        highest = tl.minimum(lowest + BLOCK_Q, keys)
        last = tl.cdiv(highest, BLOCK_K)
        whole = tl.minimum(whole, (lowest + 1) // BLOCK_K)
    entered = first  # tiles from this one on start within every row's window
    if WINDOW:
        first = tl.maximum(lowest - window + 1, 0) // BLOCK_K
        entered = tl.cdiv(tl.maximum(lowest + BLOCK_Q - window, 0), BLOCK_K)
        entered = tl.minimum(tl.maximum(entered, first), last)
    whole = tl.minimum(tl.maximum(whole, entered), last)
    if SPARSE:
        mine = head * row_blocks + row_block
        columns += mine.to(tl.int64) * columns_each
        first = 0
        entered = 0
        whole = 0
        last = tl.load(counts + mine)

    peak = tl.full((BLOCK_Q,), float("-inf"), dtype=tl.float32)
    sums = tl.zeros((BLOCK_Q,), dtype=tl.float32)
    total = tl.zeros((BLOCK_Q, BLOCK_D), dtype=tl.float32)
    if WINDOW and not SPARSE:
        total, sums, peak = walk_keys(
            total, sums, peak, query, k, v, columns, kv_head, first, entered,
            position, keys, head_dim, window, scale_log2,
            BLOCK_K, BLOCK_D, CAUSAL, WINDOW, SPARSE, True, DESCRIBED,
        )  # fmt: skip
    if not SPARSE:
        total, sums, peak = walk_keys(
            total, sums, peak, query, k, v, columns, kv_head, entered, whole,
            position, keys, head_dim, window, scale_log2,
            BLOCK_K, BLOCK_D, CAUSAL, WINDOW, SPARSE, False, DESCRIBED,
        )  # fmt: skip
    total, sums, peak = walk_keys(
        total, sums, peak, query, k, v, columns, kv_head, whole, last,
        position, keys, head_dim, window, scale_log2,
        BLOCK_K, BLOCK_D, CAUSAL, WINDOW, SPARSE, True, DESCRIBED,
    )  # fmt: skip
    tl.store(out + at, finish(total, sums, peak).to(out.dtype.element_ty), mask=inside)


def launch_constants(tile: AttentionTile) -> dict[str, int]:
    """What of the record the compiler is told."""
    return {
        "BLOCK_Q": int(tile.block_q),
        "BLOCK_K": int(tile.block_k),
        "num_warps": int(tile.warps),
        "num_stages": int(tile.stages),
    }


def need_attention_operands(
    kernel: str, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool
) -> None:
    """Refuse shapes that do not belong together."""
    need_contiguous(kernel, q=q, k=k, v=v)
    agree = q.ndim == k.ndim == 4 and k.shape == v.shape and q.dtype == k.dtype == v.dtype
    agree = agree and q.shape[0] == k.shape[0] and q.shape[3] == k.shape[3]
    found = f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}, {q.dtype}, {k.dtype}"
    expected = "q (batch, heads, queries, d), k and v (batch, kv_heads, keys, d), one dtype"
    need(kernel, agree, expected, found, "reshape or convert them")
    divides = q.shape[1] % k.shape[1] == 0
    need(kernel, divides, "heads a multiple of kv_heads", found, "repeat the KV heads")
    reach = not causal or q.shape[2] <= k.shape[2]
    need(kernel, reach, "no more queries than keys under a causal mask", found, "drop the mask")


def operand(matrix: torch.Tensor, tile: AttentionTile, wide: int, described: bool):
    """Keys or values as the kernel takes them: a descriptor of one tile, or themselves."""
    if not described:
        return matrix
    flat = matrix.view(-1, *matrix.shape[2:])
    return TensorDescriptor.from_tensor(flat, [1, int(tile.block_k), wide])


def block_lists(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(columns, counts) of a block mask: the kept key blocks of each query block first, in order.

    blocks `(batch, heads, query blocks, key blocks)`; columns in that shape, int32; counts without
    its last dimension.
    """
    kept = blocks.bool()
    order = torch.argsort((~kept).to(torch.int8), dim=-1, stable=True)
    return order.to(torch.int32).contiguous(), kept.sum(-1).to(torch.int32).contiguous()


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    blocks: tuple[torch.Tensor, torch.Tensor] | None = None,
    tile: AttentionTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """softmax(Q K^T / sqrt(d)) V, like q: `(batch, heads, queries, d)`; k, v with their own heads.

    `window` (with `causal`) is how many keys a query sees at most; `blocks` is `block_lists` of a
    mask whose blocks are the tile's. `tile` defaults to the rule of `triton_tiles.prefill_tile`.
    Raises `InputError` for operands that do not belong together.
    """
    need_attention_operands("attention", q, k, v, causal)
    (batch, heads, queries, head_dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    windowed = window is not None
    need("attention", causal or not windowed, "causal=True with a window", causal, "set causal")
    need("attention", not windowed or window > 0, "a window above 0", window, "drop the window")
    specialised = hopper_attention is not None and hopper_attention.runs(q, k, v)
    specialised = specialised and not windowed and blocks is None
    tile = tile or prefill_tile(head_dim, queries, specialised=specialised)
    if out is None:
        out = torch.empty_like(q)
    need_contiguous("attention", q=q, out=out)
    scale_log2 = LOG2_E / math.sqrt(head_dim)
    if tile.persistent:
        expected = "16-bit heads of 33 to 256 on a Hopper, without window or blocks"
        assert hopper_attention is not None or not specialised
        need("attention", specialised, f"{expected}, for this tile", q.dtype, "take another tile")
        hopper_attention.launch(q, k, v, out, causal, tile, scale_log2)
        return out
    row_blocks = triton.cdiv(queries, int(tile.block_q))
    key_blocks = triton.cdiv(keys, int(tile.block_k))
    columns, counts = blocks if blocks is not None else (q, q)
    if blocks is not None:
        shape = (batch, heads, row_blocks, key_blocks)
        found = f"{tuple(columns.shape)} and {tuple(counts.shape)}"
        fits = tuple(columns.shape) == shape and tuple(counts.shape) == shape[:3]
        need("attention", fits, f"block lists of {shape}", found, "use the tile's block sizes")
    wide = power_of_two(head_dim)
    described = describable(k, v)
    attention_kernel[(row_blocks, batch * heads)](
        q, operand(k, tile, wide, described), operand(v, tile, wide, described), out,
        columns, counts, heads, kv_heads, queries, keys, head_dim, window or 0, key_blocks,
        scale_log2,
        BLOCK_D=wide, CAUSAL=causal, WINDOW=windowed, SPARSE=blocks is not None,
        DESCRIBED=described, **launch_constants(tile),
    )  # fmt: skip
    return out
