"""The gated delta rule, chunk after chunk: a state that forgets, corrects itself and is read.

    h_t = exp(g_t) (I - beta_t k_t k_t^T) h_(t-1) + beta_t k_t v_t^T        o_t = q_t h_t

(Yang et al., arXiv 2412.06464, eq. 10, transposed). A block owns a head and `block_v` of its
values' columns and walks the tokens. With D the sums of gates since a chunk began, what its tokens
write is u, which solves (I + A) u = beta (v - exp(D) k h) for the strictly lower triangular
A_ij = beta_i exp(D_i - D_j) k_i.k_j. Squares of A alone would solve it in a few products, but grow
without bound where keys are alike; so squares of 16 tokens on the diagonal are inverted row by row,
all at once, which leaves B of few squares below it:

    I + A = (I + L) (I + B)    B = (I + L)^-1 (A - L)    (I + B)^-1 = .. (I + B^4) (I + B^2) (I - B)

Sums are fp32, and so are the system's numbers (tf32 in products where operands have 16 bits).
Schedule: `hwmodel.machines.gpu.schedules.triton_scan`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels.chunks import checked, launched
from hwmodel.machines.gpu.schedules.triton_scan import (
    DELTAS,
    LEAST_COLUMNS,
    SQUARE,
    ChunkTile,
    doublings,
)
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

STATES = (16, 32, 64, 128)
"""Rows of the state: powers of two that a block's registers hold."""


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, gate: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """The same token by token; shapes as of `delta_rule`."""
    state = v.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    steps: list[torch.Tensor] = []
    for t in range(q.shape[2]):
        key = k[:, :, t, :, None]
        state = state * gate[:, :, t, None, None].exp()
        known = (key * state).sum(2, keepdim=True)
        missing = beta[:, :, t, None, None] * (v[:, :, t, None, :] - known)
        state = state + key * missing
        steps.append((q[:, :, t, :, None] * state).sum(2))
    return torch.stack(steps, 2)


def tiles() -> tuple[ChunkTile, ...]:
    """The launch records that the kernel is measured with."""
    return DELTAS


def cost(
    batch: int, heads: int, n: int, d: int, dv: int, *, chunk: int = 64, dtype: str = "bf16"
) -> Work:
    """Products in chunks, of their systems and with the state; q, k, v, gates (fp32), o once."""
    each, element = batch * heads * n, bytes_of(dtype)
    twice = doublings(chunk)
    inside = chunk * (2 * d + dv) + 3 * d * dv
    solved = chunk * (chunk * twice + dv * (twice + 1))
    unit, kind = product_unit(dtype, dtype)
    exact = product_unit("tf32", "tf32") if bytes_of(dtype) < bytes_of("fp32") else (unit, kind)
    operations = {(unit, "flop", kind): 2 * each * inside}
    key = exact[0], "flop", exact[1]
    operations[key] = operations.get(key, 0) + 2 * each * solved
    return Work(
        operations=operations,
        read={"dram": each * ((2 * d + dv) * element + 8)},
        written={"dram": each * dv * element},
    )


@triton.jit
def inverse(a, CHUNK: tl.constexpr, SQUARE: tl.constexpr):
    """(I - L)^-1 of the strictly lower squares L on the diagonal of `a`: (CHUNK, CHUNK)."""
    SQUARES: tl.constexpr = CHUNK // SQUARE
    spot = tl.arange(0, SQUARE)
    square = tl.arange(0, SQUARES)
    own = square[:, None, None, None] == square[None, None, :, None]
    apart = tl.reshape(a, (SQUARES, SQUARE, SQUARES, SQUARE))
    found = tl.sum(tl.where(own, apart, 0.0), 2)
    for at in range(1, SQUARE):
        here = spot[None, :, None] == at
        line = tl.sum(tl.where(here, found, 0.0), 1)
        line += tl.sum(line[:, :, None] * found, 1)
        found = tl.where(here, line[:, None, :], found)
    found += (spot[:, None] == spot[None, :]).to(tl.float32)[None, :, :]
    return tl.reshape(tl.where(own, found[:, :, None, :], 0.0), (CHUNK, CHUNK))


@triton.jit(do_not_specialize=["n"])
def delta_kernel(
    q, k, v, gate, beta, out, n, dv,
    D: tl.constexpr, CHUNK: tl.constexpr, BLOCK_V: tl.constexpr,
    SQUARE: tl.constexpr, TWICE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The tokens of one head, for some columns of its values."""
    head = tl.program_id(1).to(tl.int64)
    token = tl.arange(0, CHUNK)
    feature = tl.arange(0, D)
    column = tl.program_id(0) * BLOCK_V + tl.arange(0, BLOCK_V)
    past = token[:, None] >= token[None, :]
    before = token[:, None] > token[None, :]
    below = token[:, None] // SQUARE > token[None, :] // SQUARE
    state = tl.zeros((D, BLOCK_V), dtype=tl.float32)
    kind = q.dtype.element_ty
    for start in range(0, n, CHUNK):
        row = head * n + start + token
        inside = start + token < n
        queries = tl.load(q + row[:, None] * D + feature, mask=inside[:, None], other=0.0)
        known = tl.load(k + row[:, None] * D + feature, mask=inside[:, None], other=0.0)
        kept = inside[:, None] & (column[None, :] < dv)
        values = tl.load(v + row[:, None] * dv + column, mask=kept, other=0.0).to(tl.float32)
        step = tl.load(gate + row, mask=inside, other=0.0).to(tl.float32)
        share = tl.load(beta + row, mask=inside, other=0.0).to(tl.float32)
        until = tl.sum(tl.where(past, step[None, :], 0.0), 1)
        whole = tl.sum(step, 0)
        fade = tl.exp(tl.where(past, until[:, None] - until[None, :], 0.0))
        turned = tl.trans(known)
        held = state.to(kind)
        met = tl.dot(known, turned, input_precision="ieee") * fade
        system = tl.where(before, -share[:, None] * met, 0.0)
        first = inverse(system, CHUNK, SQUARE)
        power = tl.where(below, system, 0.0)
        power = tl.dot(first, power, input_precision=PRECISION)
        found = tl.dot(known, held, input_precision="ieee") * tl.exp(until)[:, None]
        wrote = share[:, None] * (values - found)
        wrote = tl.dot(first, wrote, input_precision=PRECISION)
        for at in tl.static_range(TWICE):
            wrote = tl.dot(power, wrote, wrote, input_precision=PRECISION)
            if at + 1 < TWICE:
                power = tl.dot(power, power, input_precision=PRECISION)
        scores = tl.dot(queries, turned, input_precision="ieee") * fade
        weights = tl.where(past, scores, 0.0)
        total = tl.dot(queries, held, input_precision="ieee") * tl.exp(until)[:, None]
        total = tl.dot(weights.to(kind), wrote.to(kind), total, input_precision="ieee")
        tl.store(out + row[:, None] * dv + column, total.to(kind), mask=kept)
        aged = (wrote * tl.exp(whole - until)[:, None]).to(kind)
        state = tl.dot(turned, aged, state * tl.exp(whole), input_precision="ieee")


def delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    gate: torch.Tensor,
    beta: torch.Tensor,
    *,
    tile: ChunkTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Outputs `(batch, heads, n, dv)` of the recurrence.

    q, k `(batch, heads, n, d)`, keys of length one or less; v `(batch, heads, n, dv)`; gate and
    beta `(batch, heads, n)` in fp32, gates logarithms of at most 0. Raises `InputError` for shapes
    or formats that do not agree, or a d that is not one of `STATES`.
    """
    gates = {"gate": gate, "beta": beta}
    remedy = "pad q and k with zeros"
    out = checked("delta_rule", q, k, v, out, widths=STATES, remedy=remedy, **gates)
    tile = tile or DELTAS[0]
    grid, constants = launched("delta_rule", v, tile, LEAST_COLUMNS)
    exact: dict[str, object] = {"SQUARE": SQUARE, "TWICE": doublings(int(tile.chunk))}
    exact["PRECISION"] = "ieee" if q.dtype == torch.float32 else "tf32"
    delta_kernel[grid](
        q, k, v, gate, beta, out, *v.shape[2:], D=q.shape[-1], **exact, **constants
    )  # fmt: skip
    return out
