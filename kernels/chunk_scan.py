"""A linear recurrence with a decay, chunk after chunk: o_t = q_t h_t.

The state is h_t = exp(g_t) h_(t-1) + k_t v_t^T, as in Mamba-2's state-space form (arXiv 2405.21060:
q, k, v are C, B and x) and in linear attention with one decay a head. A block owns a head and
`block_v` of its values' columns and walks the tokens: inside of a chunk scores are multiplied and
decayed from key to query; what earlier chunks left is a state of d rows in registers. Sums are
fp32. Schedule: `hwmodel.machines.gpu.schedules.triton_scan`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels.chunks import checked, launched
from hwmodel.machines.gpu.schedules.triton_scan import LEAST_COLUMNS, SCANNED, ChunkTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

STATES = (16, 32, 64, 128, 256)
"""Rows of the state: powers of two that a block's registers hold."""


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor
) -> torch.Tensor:
    """The same as one product over all pairs of tokens; shapes as of `chunk_scan`."""
    until = decay.cumsum(-1)
    apart = (until[..., :, None] - until[..., None, :]).tril()
    return ((q @ k.transpose(-1, -2)) * apart.exp()).tril() @ v


def tiles() -> tuple[ChunkTile, ...]:
    """The launch records that the kernel is measured with."""
    return SCANNED


def cost(
    batch: int, heads: int, n: int, d: int, dv: int, *, chunk: int = 64, dtype: str = "bf16"
) -> Work:
    """Products in chunks and with the state, as launched; q, k, v, decays (fp32) and o once."""
    each, element = batch * heads * n, bytes_of(dtype)
    unit, kind = product_unit(dtype, dtype)
    return Work(
        operations={(unit, "flop", kind): 2 * each * (chunk * (d + dv) + 2 * d * dv)},
        read={"dram": each * ((2 * d + dv) * element + 4)},
        written={"dram": each * dv * element},
    )


@triton.jit(do_not_specialize=["n"])
def chunk_kernel(
    q, k, v, decay, out, n, dv,
    D: tl.constexpr, CHUNK: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """The tokens of one head, for some columns of its values."""
    head = tl.program_id(1).to(tl.int64)
    token = tl.arange(0, CHUNK)
    feature = tl.arange(0, D)
    column = tl.program_id(0) * BLOCK_V + tl.arange(0, BLOCK_V)
    past = token[:, None] >= token[None, :]
    state = tl.zeros((D, BLOCK_V), dtype=tl.float32)
    kind = q.dtype.element_ty
    for start in range(0, n, CHUNK):
        row = head * n + start + token
        inside = start + token < n
        queries = tl.load(q + row[:, None] * D + feature, mask=inside[:, None], other=0.0)
        known = tl.load(k + row[:, None] * D + feature, mask=inside[:, None], other=0.0)
        kept = inside[:, None] & (column[None, :] < dv)
        values = tl.load(v + row[:, None] * dv + column, mask=kept, other=0.0)
        step = tl.load(decay + row, mask=inside, other=0.0).to(tl.float32)
        until = tl.sum(tl.where(past, step[None, :], 0.0), 1)
        whole = tl.sum(step, 0)
        apart = tl.where(past, until[:, None] - until[None, :], 0.0)
        scores = tl.dot(queries, tl.trans(known), input_precision="ieee") * tl.exp(apart)
        weights = tl.where(past, scores, 0.0)
        before = tl.dot(queries, state.to(kind), input_precision="ieee")
        total = before * tl.exp(until)[:, None]
        total = tl.dot(weights.to(kind), values, total, input_precision="ieee")
        tl.store(out + row[:, None] * dv + column, total.to(kind), mask=kept)
        aged = known.to(tl.float32) * tl.exp(whole - until)[:, None]
        state = state * tl.exp(whole)
        state = tl.dot(tl.trans(aged.to(kind)), values, state, input_precision="ieee")


def chunk_scan(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    decay: torch.Tensor,
    *,
    tile: ChunkTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Outputs `(batch, heads, n, dv)` of the recurrence.

    q, k `(batch, heads, n, d)`, v `(batch, heads, n, dv)`; decay `(batch, heads, n)` in fp32 holds
    logarithms of at most 0. Raises `InputError` for shapes or formats that do not agree, or a d
    that is not one of `STATES`.
    """
    remedy = "pad q and k with zeros"
    out = checked("chunk_scan", q, k, v, out, widths=STATES, remedy=remedy, decay=decay)
    grid, constants = launched("chunk_scan", v, tile or SCANNED[0], LEAST_COLUMNS)
    chunk_kernel[grid](q, k, v, decay, out, *v.shape[2:], D=q.shape[-1], **constants)
    return out
