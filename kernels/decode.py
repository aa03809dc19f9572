"""Attention of few queries over many keys: the keys of a KV head are shared out among blocks.

The query rows of a KV head (its group times its queries) make one block of rows; they lie together
in memory. Two ways to share out the tiles of keys, both followed by a kernel that combines the
parts with weights 2^(log sum - maximum):

- split-KV (FlashDecoding): every KV head is cut into `split` parts of whole tiles;
- stream-K (LeanAttention, arXiv 2405.10480): the tiles of all KV heads stand in one line, of which
  each block takes an equal piece. Its integers are `hwmodel.machines.gpu.schedules.stream_k`.

A part stores its fp32 output, divided by its sum, and the log2 of its sum of exponentials. Causal:
query i sees keys j <= i + keys - queries. Schedule: `hwmodel.machines.gpu.schedules.attention`.
Costs are FLOP, exps and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import math

import torch
import triton
import triton.language as tl

from hwmodel.kernels import attention as prefill
from hwmodel.kernels.attention import (
    LOG2_E,
    finish,
    launch_constants,
    need_attention_operands,
    operand,
    walk_keys,
)
from hwmodel.kernels.operands import describable, need, power_of_two, processors
from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.machines.gpu.schedules.stream_k import StreamK, stream_k
from hwmodel.machines.gpu.schedules.triton_tiles import decode_tile, decode_tiles
from hwmodel.spine.activity import Work

CHUNK = 16
"""Parts that the combining kernel reads at a time."""
COMBINE_WARPS = 4

reference = prefill.reference


def tiles(head_dim: int = 128) -> tuple[AttentionTile, ...]:
    """The launch records that the kernel is measured with."""
    return decode_tiles(head_dim)


def cost(
    batch: int, heads: int, kv_heads: int, keys: int, head_dim: int, *,
    queries: int = 1, dtype: str = "bf16",
) -> Work:  # fmt: skip
    """Operations on seen pairs and each tensor once, as for many queries; parts are overhead."""
    return prefill.cost(
        batch, heads, kv_heads, queries, keys, head_dim, causal=queries > 1, dtype=dtype
    )


@triton.jit
def attend_part(
    q, k, v, head, first, last, rows, queries, keys, head_dim, scale_log2,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    CAUSAL: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """The rows of one KV head over tiles `first` to `last` of its keys."""
    row = tl.arange(0, BLOCK_Q)
    along = tl.arange(0, BLOCK_D)
    at = (head.to(tl.int64) * rows + row[:, None]) * head_dim + along[None, :]
    query = tl.load(q + at, mask=(row[:, None] < rows) & (along[None, :] < head_dim), other=0.0)
    position = keys - queries + row % queries
    whole = keys // BLOCK_K
    if CAUSAL:
        whole = (keys - queries + 1) // BLOCK_K
    whole = tl.minimum(tl.maximum(whole, first), last)
    peak = tl.full((BLOCK_Q,), float("-inf"), dtype=tl.float32)
    sums = tl.zeros((BLOCK_Q,), dtype=tl.float32)
    total = tl.zeros((BLOCK_Q, BLOCK_D), dtype=tl.float32)
    total, sums, peak = walk_keys(
        total, sums, peak, query, k, v, k, head, first, whole,
        position, keys, head_dim, 0, scale_log2,
        BLOCK_K, BLOCK_D, CAUSAL, False, False, False, DESCRIBED,
    )  # fmt: skip
    return walk_keys(
        total, sums, peak, query, k, v, k, head, whole, last,
        position, keys, head_dim, 0, scale_log2,
        BLOCK_K, BLOCK_D, CAUSAL, False, False, True, DESCRIBED,
    )  # fmt: skip


@triton.jit
def store_part(
    out, logs, total, sums, peak, part, head, all_rows, rows, head_dim,
    BLOCK_Q: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Writes one part's output and log sum; a part without keys weighs nothing."""
    row = tl.arange(0, BLOCK_Q)
    along = tl.arange(0, BLOCK_D)
    at = part.to(tl.int64) * all_rows + head * rows + row
    inside = row < rows
    here = out + at[:, None] * head_dim + along[None, :]
    value = finish(total, sums, peak).to(out.dtype.element_ty)
    tl.store(here, value, mask=inside[:, None] & (along[None, :] < head_dim))
    log = tl.where(sums > 0, peak + tl.log2(tl.maximum(sums, 1e-30)), float("-inf"))
    tl.store(logs + at, log, mask=inside)


@triton.jit(do_not_specialize=["heads", "rows", "queries", "keys", "steps_each"])
def split_kernel(
    q, k, v, out, logs, heads, rows, queries, keys, head_dim, steps_each, scale_log2,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    CAUSAL: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """One part of one KV head."""
    head = tl.program_id(0)
    part = tl.program_id(1)
    first = part * steps_each
    last = tl.minimum(first + steps_each, tl.cdiv(keys, BLOCK_K))
    total, sums, peak = attend_part(
        q, k, v, head, first, last, rows, queries, keys, head_dim, scale_log2,
        BLOCK_Q, BLOCK_K, BLOCK_D, CAUSAL, DESCRIBED,
    )  # fmt: skip
    store_part(
        out, logs, total, sums, peak, part, head, heads * rows, rows, head_dim, BLOCK_Q, BLOCK_D
    )


@triton.jit
def owner(tile, most, high):
    """The stream-K block that computes a tile (see `StreamK.owner`)."""
    less = tl.maximum(most - 1, 1)
    return tl.where(tile < high * most, tile // most, high + (tile - high * most) // less)


@triton.jit(do_not_specialize=["heads", "rows", "queries", "keys", "tiles_each", "most", "high"])
def stream_kernel(
    q, k, v, out, logs, heads, rows, queries, keys, head_dim, tiles_each, most, high, scale_log2,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    CAUSAL: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """One block's piece of the line of all tiles: a part of each KV head that it touches."""
    program = tl.program_id(0)
    tile = program * most - tl.maximum(program - high, 0)
    stop = tile + most - (program >= high).to(tl.int32)
    while tile < stop:
        head = tile // tiles_each
        start = head * tiles_each
        first = tile - start
        last = tl.minimum(tiles_each, stop - start)
        total, sums, peak = attend_part(
            q, k, v, head, first, last, rows, queries, keys, head_dim, scale_log2,
            BLOCK_Q, BLOCK_K, BLOCK_D, CAUSAL, DESCRIBED,
        )  # fmt: skip
        part = program - owner(start, most, high)
        store_part(
            out, logs, total, sums, peak, part, head, heads * rows, rows, head_dim, BLOCK_Q, BLOCK_D
        )
        tile += last - first


@triton.jit(do_not_specialize=["all_rows", "rows", "parts", "tiles_each", "most", "high"])
def combine_kernel(
    partial, logs, out, all_rows, rows, head_dim, parts, tiles_each, most, high,
    BLOCK_D: tl.constexpr, PARTS: tl.constexpr, STREAM: tl.constexpr,
):  # fmt: skip
    """Adds the parts of one query row, each weighted by its share of the sum of exponentials."""
    row = tl.program_id(0).to(tl.int64)
    if STREAM:
        start = (row // rows).to(tl.int32) * tiles_each
        parts = owner(start + tiles_each - 1, most, high) - owner(start, most, high) + 1
    along = tl.arange(0, BLOCK_D)
    highest = tl.full((PARTS,), float("-inf"), dtype=tl.float32)
    for chunk in range(0, parts, PARTS):
        part = chunk + tl.arange(0, PARTS)
        log = tl.load(logs + part * all_rows + row, mask=part < parts, other=float("-inf"))
        highest = tl.maximum(highest, log)
    peak = tl.max(highest, 0)
    sums = tl.zeros((PARTS,), dtype=tl.float32)
    total = tl.zeros((PARTS, BLOCK_D), dtype=tl.float32)
    for chunk in range(0, parts, PARTS):
        part = chunk + tl.arange(0, PARTS)
        log = tl.load(logs + part * all_rows + row, mask=part < parts, other=float("-inf"))
        weight = tl.exp2(log - peak)
        here = (part[:, None] * all_rows + row) * head_dim + along[None, :]
        inside = (part[:, None] < parts) & (along[None, :] < head_dim)
        total += weight[:, None] * tl.load(partial + here, mask=inside, other=0.0)
        sums += weight
    value = tl.sum(total, 0) / tl.sum(sums, 0)
    tl.store(out + row * head_dim + along, value.to(out.dtype.element_ty), mask=along < head_dim)


def decode(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    tile: AttentionTile | None = None,
    stream: StreamK | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """softmax(Q K^T / sqrt(d)) V, like q: `(batch, heads, queries, d)`; k, v with their own heads.

    Causal, so that a single query sees every key. With `stream` the tiles are shared out by
    stream-K, otherwise the keys of each KV head are cut into `tile.split` parts. `tile` defaults to
    the rule of `triton_tiles.decode_tile`. Raises `InputError` for operands that do not belong
    together and for more rows of a KV head than a tile holds.
    """
    need_attention_operands("decode", q, k, v, True)
    (batch, heads, queries, head_dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    rows, outputs = heads // kv_heads * queries, batch * kv_heads
    tile = tile or decode_tile(rows, keys, outputs, head_dim, processors=processors(q))
    block_q, block_k, split = int(tile.block_q), int(tile.block_k), int(tile.split)
    found = f"{rows} rows (query group x queries) and block_q {block_q}"
    need("decode", rows <= block_q, "one block of rows", found, "use kernels.attention")
    if out is None:
        out = torch.empty_like(q)
    steps = triton.cdiv(keys, block_k)
    parts = split if stream is None else stream.splits
    described, wide = describable(k, v), power_of_two(head_dim)
    alone = stream is None and split == 1
    kind = q.dtype if alone else torch.float32
    partial = out if alone else torch.empty(parts, *q.shape, dtype=kind, device=q.device)
    logs = torch.empty(parts, batch * heads * queries, dtype=torch.float32, device=q.device)
    operands = (
        q, operand(k, tile, wide, described), operand(v, tile, wide, described), partial, logs,
        outputs, rows, queries, keys, head_dim,
    )  # fmt: skip
    scale = LOG2_E / math.sqrt(head_dim)
    constants = {"BLOCK_D": wide, "CAUSAL": queries > 1, "DESCRIBED": described}
    constants |= launch_constants(tile)
    if stream is None:
        shape = (steps, 1, 0)
        split_kernel[(outputs, split)](*operands, triton.cdiv(steps, split), scale, **constants)
    else:
        shape = (stream.tiles_per_output, stream.most_tiles, stream.high_load)
        fits = (stream.tiles_per_output, stream.outputs) == (steps, outputs)
        need(
            "decode", fits, f"a schedule of {steps} tiles x {outputs}", stream, "use lean_schedule"
        )
        stream_kernel[(stream.grid,)](*operands, *shape, scale, **constants)
    if not alone:
        combine_kernel[(batch * heads * queries,)](
            partial, logs, out, batch * heads * queries, rows, head_dim, parts, *shape,
            BLOCK_D=wide, PARTS=CHUNK, STREAM=stream is not None, num_warps=COMBINE_WARPS,
        )  # fmt: skip
    return out


def lean_schedule(q: torch.Tensor, k: torch.Tensor, tile: AttentionTile) -> StreamK:
    """The stream-K schedule of these operands on their device, in tiles of `tile.block_k` keys."""
    batch, kv_heads, keys, head_dim = k.shape
    return stream_k(
        batch=batch, kv_heads=kv_heads, queries=1, keys=keys, head_dim=head_dim,
        processors=processors(q), block=int(tile.block_k),
    )  # fmt: skip
