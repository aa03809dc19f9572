"""Causal attention by powers of the scores, chunk after chunk: o = sum_j w_ij v_j / sum_j w_ij.

With s = scale q.k, a weight is w = 1 + s + s^2 / 2, a Taylor series of exp(s): a product of
features 1, q and q (x) q, so that what all earlier tokens add is a state of 1 + d + d^2 rows by dv
columns (BASED: arXiv 2402.18668). A block owns a head and `block_v` of its values' columns and
walks the tokens: inside of a chunk it multiplies scores, from before it reads its state, which
never leaves the chip. Sums are fp32, the state is rounded to the operands' format where it is
multiplied. Schedule: `hwmodel.machines.gpu.schedules.triton_scan`. Costs are operations and
bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels.chunks import checked, launched
from hwmodel.machines.gpu.schedules.triton_scan import POWERS, ChunkTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

FEATURES = (16, 32)
"""Head dimensions of q and k: d^2 rows of state have to lie on chip."""


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """The same as one product over all pairs; q, k `(batch, heads, n, d)`, v `(..., n, dv)`."""
    scores = scale * (q @ k.transpose(-1, -2))
    weights = (1 + scores + scores.square() / 2).tril()
    return weights @ v / weights.sum(-1, keepdim=True)


def tiles() -> tuple[ChunkTile, ...]:
    """The launch records that the kernel is measured with."""
    return POWERS


def cost(
    batch: int, heads: int, n: int, d: int, dv: int, *, chunk: int = 64, dtype: str = "bf16"
) -> Work:
    """Products in chunks and with the state, as launched; q, k, v and o once."""
    each, element = batch * heads * n, bytes_of(dtype)
    inside = chunk * (d + dv)
    state = 2 * (d + d * d) * dv
    unit, kind = product_unit(dtype, dtype)
    return Work(
        operations={(unit, "flop", kind): 2 * each * (inside + state)},
        read={"dram": each * (2 * d + dv) * element},
        written={"dram": each * dv * element},
    )


@triton.jit
def squares(x, ROWS: tl.constexpr, D: tl.constexpr):
    """All products of two numbers of each row: (ROWS, D D)."""
    return tl.reshape(x[:, :, None] * x[:, None, :], (ROWS, D * D))


@triton.jit(do_not_specialize=["n"])
def power_kernel(
    q, k, v, out, n, dv, scale,
    D: tl.constexpr, CHUNK: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """The tokens of one head, for some columns of its values."""
    head = tl.program_id(1).to(tl.int64)
    token = tl.arange(0, CHUNK)
    feature = tl.arange(0, D)
    column = tl.program_id(0) * BLOCK_V + tl.arange(0, BLOCK_V)
    past = token[:, None] >= token[None, :]
    constant = tl.zeros((BLOCK_V,), dtype=tl.float32)
    linear = tl.zeros((D, BLOCK_V), dtype=tl.float32)
    square = tl.zeros((D * D, BLOCK_V), dtype=tl.float32)
    keys = tl.zeros((D,), dtype=tl.float32)
    key_products = tl.zeros((D, D), dtype=tl.float32)
    kind = q.dtype.element_ty
    for start in range(0, n, CHUNK):
        row = head * n + start + token
        inside = start + token < n
        queries = tl.load(q + row[:, None] * D + feature, mask=inside[:, None], other=0.0)
        known = tl.load(k + row[:, None] * D + feature, mask=inside[:, None], other=0.0)
        kept = inside[:, None] & (column[None, :] < dv)
        values = tl.load(v + row[:, None] * dv + column, mask=kept, other=0.0)
        scaled = (queries.to(tl.float32) * scale).to(kind)
        scores = tl.dot(scaled, tl.trans(known), input_precision="ieee")
        weights = tl.where(past & inside[None, :], 1.0 + scores + 0.5 * scores * scores, 0.0)
        pairs = squares(scaled, CHUNK, D)
        total = tl.dot(pairs, square.to(kind), input_precision="ieee") * 0.5
        total = tl.dot(scaled, linear.to(kind), total, input_precision="ieee")
        total = tl.dot(weights.to(kind), values, total, input_precision="ieee")
        total += constant[None, :]
        wide = scaled.to(tl.float32)  # of the norm, q M q / 2 with M the sum of k k^T
        moved = tl.dot(scaled, key_products.to(kind), input_precision="ieee")
        norm = tl.sum(wide * (keys[None, :] + 0.5 * moved), 1) + tl.sum(weights, 1) + start
        tl.store(out + row[:, None] * dv + column, (total / norm[:, None]).to(kind), mask=kept)
        constant += tl.sum(values.to(tl.float32), 0)
        keys += tl.sum(known.to(tl.float32), 0)
        turned = tl.trans(known)
        key_products = tl.dot(turned, known, key_products, input_precision="ieee")
        linear = tl.dot(turned, values, linear, input_precision="ieee")
        products = squares(known, CHUNK, D)
        square = tl.dot(tl.trans(products), values, square, input_precision="ieee")


def linear_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | None = None,
    tile: ChunkTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Causal attention by 1 + s + s^2 / 2; q, k `(batch, heads, n, d)`, v `(batch, heads, n, dv)`.

    `scale` is of the scores s, 1 / sqrt(d) by default. Raises `InputError` for shapes or formats
    that do not agree, and for a head dimension that is not one of `FEATURES`.
    """
    remedy = "project q and k"
    out = checked("linear_attention", q, k, v, out, widths=FEATURES, remedy=remedy)
    grid, constants = launched("linear_attention", v, tile or POWERS[0])
    d = q.shape[-1]
    scale = d**-0.5 if scale is None else scale
    power_kernel[grid](q, k, v, out, *v.shape[2:], scale, D=d, **constants)
    return out
