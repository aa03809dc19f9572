"""Mixture of experts: routing, dispatch, grouped GEMM and combine.

    routing    p = softmax(logits); top_k experts of each token, by falling p     (T, E) -> (T, k)
    dispatch   rows sorted by expert, in the order of tokens within one           (T, H) -> (T k, H)
    grouped    y[r] = x[r] W[expert of r]^T, one GEMM over ragged row groups      (R, K) -> (R, N)
    combine    out[t] = sum over j of weight[t, j] y[place of (t, j)]             (T k, H) -> (T, H)

Dispatch counts assignments per expert in each stretch of `ASSIGNMENTS`, adds the counts up (a scan
by torch) and ranks each assignment within its stretch, without atomics: the order never varies.
The grouped GEMM is launched for the most row blocks that any routing can need, R / block_m + E, and
finds each block's expert by a scan of the counts, so that the host never waits for them; blocks
beyond the last return at once. It walks slices as `kernels.gemm` does, with the same launch record.
Schedule: `hwmodel.machines.gpu.schedules.gemm`. Costs are FLOP, exps and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from hwmodel.kernels.gated import gated
from hwmodel.kernels.gemm import launch_constants, multiply_slices, operand, rasterise, store_tile
from hwmodel.kernels.operands import (
    describable,
    dtype_name,
    need,
    need_contiguous,
    power_of_two,
    processors,
)
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.machines.gpu.schedules.triton_tiles import gemm_tiles, grouped_tile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

ASSIGNMENTS = 32
ROUTED_TOKENS = 8
MOST_EXPERTS = 512
ROW_CHUNK = 1024
WARPS = 4


@dataclass(frozen=True)
class Dispatch:
    """Where each assignment of a token to an expert goes.

    counts `(experts)` rows of each; ends `(experts)` their running sum; places `(tokens, top_k)`
    the row of each assignment among all rows sorted by expert. All int32.
    """

    counts: torch.Tensor
    ends: torch.Tensor
    places: torch.Tensor


def tiles(element_bytes: int = 2) -> tuple[GemmTile, ...]:
    """The launch records that the grouped GEMM is measured with."""
    return gemm_tiles(element_bytes)


def reference(
    x: torch.Tensor, logits: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, top_k: int
) -> torch.Tensor:
    """The layer in plain torch, expert by expert, with weights normalised over the top k.

    x `(T, H)`, logits `(T, E)`, gate_up `(E, 2 I, H)`, down `(E, H, I)`; result `(T, H)`.
    """
    weights, experts = torch.softmax(logits, -1).topk(top_k, -1)
    weights = weights / weights.sum(-1, keepdim=True)
    out = torch.zeros_like(x)
    for expert in range(logits.shape[1]):
        token, slot = torch.where(experts == expert)
        gate, up = (x[token] @ gate_up[expert].T).chunk(2, -1)
        y = (torch.nn.functional.silu(gate) * up) @ down[expert].T
        out.index_add_(0, token, weights[token, slot, None] * y)
    return out


def cost(
    rows: int, N: int, K: int, *, touched: int, dtype: str = "bf16", dtype_out: str | None = None
) -> Work:
    """The grouped GEMM: 2 R N K, each row once, and the weights of the experts that have rows."""
    element, out = bytes_of(dtype), bytes_of(dtype_out or dtype)
    unit, kind = product_unit(dtype, dtype)
    return Work(
        operations={(unit, "flop", kind): 2 * rows * N * K},
        read={"dram": (rows * K + touched * N * K) * element},
        written={"dram": rows * N * out},
    )


def routing_cost(tokens: int, experts: int, top_k: int, *, dtype: str = "fp32") -> Work:
    """Routing: an exp a logit, and a comparison with each logit for each chosen expert."""
    size = tokens * experts
    return Work(
        operations={
            ("exp", "exp", "fp32"): size,
            ("vector", "flop", "fp32"): (3 + top_k) * size,
        },
        read={"dram": size * bytes_of(dtype)},
        written={"dram": tokens * top_k * 8},
    )


def move_cost(tokens: int, hidden: int, top_k: int, *, dtype: str = "bf16") -> Work:
    """Dispatch or combine: one side has a row a token, the other a row an assignment."""
    row = hidden * bytes_of(dtype)
    return Work(read={"dram": tokens * row}, written={"dram": tokens * top_k * row})


@triton.jit(do_not_specialize=["tokens"])
def routing_kernel(
    logits, weights, chosen, tokens, experts,
    TOP_K: tl.constexpr, TOKENS: tl.constexpr, EXPERTS: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """Softmax and top k of some tokens; of equal probabilities the lower expert comes first."""
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    expert = tl.arange(0, EXPERTS)
    inside = (token[:, None] < tokens) & (expert[None, :] < experts)
    at = token[:, None].to(tl.int64) * experts + expert[None, :]
    value = tl.load(logits + at, mask=inside, other=-1.0e30).to(tl.float32)
    first = tl.max(value, 1)
    sums = tl.sum(tl.where(expert[None, :] < experts, tl.exp(value - first[:, None]), 0.0), 1)
    value = tl.where(expert[None, :] < experts, value, float("-inf"))
    kept = tl.zeros((TOKENS,), dtype=tl.float32)
    if NORMALISE:
        left = value
        for _ in tl.static_range(TOP_K):
            best = tl.argmax(left, 1, tie_break_left=True)
            kept += tl.exp(tl.max(left, 1) - first)
            left = tl.where(expert[None, :] == best[:, None], float("-inf"), left)
        sums = kept
    for slot in tl.static_range(TOP_K):
        best = tl.argmax(value, 1, tie_break_left=True)
        weight = tl.exp(tl.max(value, 1) - first) / sums
        here = token * TOP_K + slot
        tl.store(weights + here, weight, mask=token < tokens)
        tl.store(chosen + here, best, mask=token < tokens)
        value = tl.where(expert[None, :] == best[:, None], float("-inf"), value)


@triton.jit(do_not_specialize=["size"])
def count_kernel(chosen, counts, size, experts, ASSIGNMENTS: tl.constexpr, EXPERTS: tl.constexpr):
    """Assignments of each expert in one stretch."""
    block = tl.program_id(0)
    at = block * ASSIGNMENTS + tl.arange(0, ASSIGNMENTS)
    mine = tl.load(chosen + at, mask=at < size, other=-1)
    expert = tl.arange(0, EXPERTS)
    held = (mine[:, None] == expert[None, :]).to(tl.int32)
    tl.store(counts + block * experts + expert, tl.sum(held, 0), mask=expert < experts)


@triton.jit(do_not_specialize=["size"])
def place_kernel(
    chosen, starts, places, size, experts, ASSIGNMENTS: tl.constexpr, EXPERTS: tl.constexpr
):
    """The row of each assignment: where its expert's share of this stretch starts, and its rank."""
    block = tl.program_id(0)
    at = block * ASSIGNMENTS + tl.arange(0, ASSIGNMENTS)
    mine = tl.load(chosen + at, mask=at < size, other=-1)
    expert = tl.arange(0, EXPERTS)
    held = (mine[:, None] == expert[None, :]).to(tl.int32)
    start = tl.load(starts + block * experts + expert, mask=expert < experts, other=0)
    place = tl.sum((tl.cumsum(held, 0) - 1 + start[None, :]) * held, 1)
    tl.store(places + at, place, mask=at < size)


@triton.jit
def permute_kernel(x, places, out, hidden, TOP_K: tl.constexpr, CHUNK: tl.constexpr):
    """Copies one token's row to each of its assignments' rows."""
    token = tl.program_id(0).to(tl.int64)
    for start in range(0, hidden, CHUNK):
        column = start + tl.arange(0, CHUNK)
        row = tl.load(x + token * hidden + column, mask=column < hidden)
        for slot in tl.static_range(TOP_K):
            place = tl.load(places + token * TOP_K + slot).to(tl.int64)
            tl.store(out + place * hidden + column, row, mask=column < hidden)


@triton.jit
def combine_kernel(y, places, weights, out, hidden, TOP_K: tl.constexpr, CHUNK: tl.constexpr):
    """The weighted sum of one token's rows."""
    token = tl.program_id(0).to(tl.int64)
    for start in range(0, hidden, CHUNK):
        column = start + tl.arange(0, CHUNK)
        total = tl.zeros((CHUNK,), dtype=tl.float32)
        for slot in tl.static_range(TOP_K):
            place = tl.load(places + token * TOP_K + slot).to(tl.int64)
            weight = tl.load(weights + token * TOP_K + slot)
            row = tl.load(y + place * hidden + column, mask=column < hidden, other=0.0)
            total += weight * row.to(tl.float32)
        here = out + token * hidden + column
        tl.store(here, total.to(out.dtype.element_ty), mask=column < hidden)


@triton.jit(do_not_specialize=["rows", "experts", "blocks_m"])
def grouped_kernel(
    x, w, out, ends, rows, experts, N, K, blocks_m,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr, EXPERTS: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    """One output tile of one expert; w is `(experts * N, K)`."""
    block, block_n = rasterise(tl.program_id(0), blocks_m, tl.cdiv(N, BLOCK_N), GROUP_M)
    each = tl.arange(0, EXPERTS)
    end = tl.load(ends + each, mask=each < experts, other=rows)
    begin = tl.load(ends + each - 1, mask=(each > 0) & (each < experts), other=0)
    begin = tl.where(each < experts, begin, rows)
    last_block = tl.cumsum((end - begin + BLOCK_M - 1) // BLOCK_M, 0)
    expert = tl.sum((last_block <= block).to(tl.int32), 0)
    if expert < experts:
        mine = each == expert
        before = tl.max(tl.where(each < expert, last_block, 0), 0)
        row = tl.sum(tl.where(mine, begin, 0), 0) + (block - before) * BLOCK_M
        last_row = tl.sum(tl.where(mine, end, 0), 0)
        column = block_n * BLOCK_N
        total = multiply_slices(
            x, w, row, rows, expert * N + column, experts * N, K, 0, tl.cdiv(K, BLOCK_K),
            BLOCK_M, BLOCK_N, BLOCK_K, DESCRIBED,
        )  # fmt: skip
        store_tile(out, total, row, last_row, column, N, BLOCK_M, BLOCK_N)


def routing(
    logits: torch.Tensor, top_k: int, *, normalise: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """(weights, experts) `(tokens, top_k)`, fp32 and int32, of logits `(tokens, experts)`.

    With `normalise` a token's weights add up to 1 (Mixtral, Qwen3), otherwise they are the softmax.
    Raises `InputError` for top_k outside 1 ... experts.
    """
    need_contiguous("routing", logits=logits)
    tokens, experts = logits.shape
    need("routing", 1 <= top_k <= experts, f"top_k in 1 ... {experts}", top_k, "choose fewer")
    need("routing", experts <= MOST_EXPERTS, f"at most {MOST_EXPERTS} experts", experts, "split")
    weights = torch.empty(tokens, top_k, dtype=torch.float32, device=logits.device)
    chosen = torch.empty(tokens, top_k, dtype=torch.int32, device=logits.device)
    routing_kernel[(triton.cdiv(tokens, ROUTED_TOKENS),)](
        logits, weights, chosen, tokens, experts, TOP_K=top_k, TOKENS=ROUTED_TOKENS,
        EXPERTS=power_of_two(experts), NORMALISE=normalise, num_warps=WARPS,
    )  # fmt: skip
    return weights, chosen


def places(chosen: torch.Tensor, experts: int) -> Dispatch:
    """Where each assignment goes; chosen `(tokens, top_k)` int32, each in 0 ... experts - 1."""
    need_contiguous("places", chosen=chosen)
    need("places", experts <= MOST_EXPERTS, f"at most {MOST_EXPERTS} experts", experts, "split")
    size = chosen.numel()
    stretches = triton.cdiv(size, ASSIGNMENTS)
    counts = torch.empty(stretches, experts, dtype=torch.int32, device=chosen.device)
    shape = {"ASSIGNMENTS": ASSIGNMENTS, "EXPERTS": power_of_two(experts), "num_warps": WARPS}
    count_kernel[(stretches,)](chosen, counts, size, experts, **shape)
    running = torch.cumsum(counts.T.flatten(), 0, dtype=torch.int32).view(experts, stretches)
    starts = (running - counts.T).T.contiguous()
    found = torch.empty_like(chosen)
    place_kernel[(stretches,)](chosen, starts, found, size, experts, **shape)
    return Dispatch(counts.sum(0, dtype=torch.int32), running[:, -1].contiguous(), found)


def permute(x: torch.Tensor, dispatch: Dispatch) -> torch.Tensor:
    """Rows of x `(tokens, hidden)` at their assignments' places: `(tokens * top_k, hidden)`."""
    need_contiguous("permute", x=x)
    (tokens, hidden), top_k = x.shape, dispatch.places.shape[1]
    need("permute", dispatch.places.shape[0] == tokens, f"{tokens} tokens", dispatch.places.shape,
         "dispatch these tokens")  # fmt: skip
    out = torch.empty(tokens * top_k, hidden, dtype=x.dtype, device=x.device)
    permute_kernel[(tokens,)](
        x, dispatch.places, out, hidden, TOP_K=top_k, CHUNK=ROW_CHUNK, num_warps=WARPS
    )
    return out


def grouped(
    x: torch.Tensor, w: torch.Tensor, ends: torch.Tensor, *, tile: GemmTile | None = None
) -> torch.Tensor:
    """Each row of x `(rows, K)` times its expert's w `(experts, N, K)`, transposed: `(rows, N)`.

    ends `(experts)` int32 is one past each expert's last row. `tile` is unsplit and defaults to the
    rule of `triton_tiles.grouped_tile` for the mean rows of an expert. fp8 gives bf16.
    """
    need_contiguous("grouped", x=x, w=w, ends=ends)
    agree = x.ndim == 2 and w.ndim == 3 and x.shape[1] == w.shape[2] and x.dtype == w.dtype
    agree = agree and ends.shape == w.shape[:1]
    found = f"{tuple(x.shape)}, {tuple(w.shape)} and {tuple(ends.shape)}"
    need("grouped", agree, "x (rows, K), w (experts, N, K), ends (experts)", found, "reshape")
    (rows, K), (experts, N) = x.shape, w.shape[:2]
    element = x.element_size()
    if tile is None:
        tile = grouped_tile(
            triton.cdiv(rows, experts), N * experts, K,
            processors=processors(x), element_bytes=element,
        )  # fmt: skip
    kind = torch.bfloat16 if dtype_name(x) == "fp8" else x.dtype
    out = torch.empty(rows, N, dtype=kind, device=x.device)
    block_m, block_n = int(tile.block_m), int(tile.block_n)
    blocks_m = rows // block_m + min(experts, rows)
    flat, described = w.view(experts * N, K), describable(x, w)
    grouped_kernel[(blocks_m * triton.cdiv(N, block_n),)](
        operand(x, block_m, tile, described), operand(flat, block_n, tile, described),
        out, ends, rows, experts, N, K, blocks_m,
        EXPERTS=power_of_two(experts), DESCRIBED=described, **launch_constants(tile),
    )  # fmt: skip
    return out


def combine(y: torch.Tensor, weights: torch.Tensor, dispatch: Dispatch) -> torch.Tensor:
    """The weighted sum of each token's rows of y `(tokens * top_k, hidden)`: `(tokens, hidden)`."""
    need_contiguous("combine", y=y, weights=weights)
    tokens, top_k = weights.shape
    rows = tokens * top_k
    need("combine", y.shape[0] == rows, f"{rows} rows", tuple(y.shape), "pass every assignment's")
    out = torch.empty(tokens, y.shape[1], dtype=y.dtype, device=y.device)
    combine_kernel[(tokens,)](
        y, dispatch.places, weights, out, y.shape[1],
        TOP_K=top_k, CHUNK=ROW_CHUNK, num_warps=WARPS,
    )  # fmt: skip
    return out


def expert_layer(
    x: torch.Tensor, logits: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, top_k: int,
    *, tile: GemmTile | None = None,
) -> torch.Tensor:  # fmt: skip
    """The whole layer: x `(T, H)`, logits `(T, E)`, gate_up `(E, 2 I, H)`, down `(E, H, I)`."""
    weights, chosen = routing(logits, top_k)
    dispatch = places(chosen, logits.shape[1])
    hidden = grouped(permute(x, dispatch), gate_up, dispatch.ends, tile=tile)
    return combine(grouped(gated(hidden), down, dispatch.ends, tile=tile), weights, dispatch)
