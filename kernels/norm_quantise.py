"""Residual, RMS norm and quantisation in one pass: h = x + r, q = norm(h) w / scale in e4m3.

scale = max |norm(h) w| / 448 of each row, so that the largest number of a row is the format's
largest. A block holds whole rows in registers. Arithmetic is fp32. Schedule:
`hwmodel.machines.gpu.schedules.rows`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels import rmsnorm
from hwmodel.kernels.operands import need, need_contiguous
from hwmodel.kernels.rmsnorm import EPSILON
from hwmodel.kernels.rows import blocks, held_row, launch_constants, need_matrix
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import row_tiles
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

LARGEST = 448.0
"""The largest number of e4m3 (arXiv 2209.05433, table 1)."""
LEAST_SCALE = 1e-12
Quantised = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def reference(
    x: torch.Tensor, residual: torch.Tensor, w: torch.Tensor, epsilon: float = EPSILON
) -> Quantised:
    """(h, q before its rounding, scales of the rows) of x and residual `(rows, cols)`."""
    h = x + residual
    y = rmsnorm.reference(h, w, epsilon)
    scale = (y.abs().amax(-1) / LARGEST).clamp_min(LEAST_SCALE)
    return h, y / scale[:, None], scale


def tiles() -> tuple[RowTile, ...]:
    """The launch records that the kernel is measured with."""
    return row_tiles()


def cost(rows: int, cols: int, *, dtype: str = "bf16") -> Work:
    """Add, square, sum, two products, maximum and division; two in, the sum and a byte out."""
    element, size = bytes_of(dtype), rows * cols
    return Work(
        operations={("vector", "flop", "fp32"): 7 * size, ("exp", "exp", "fp32"): rows},
        read={"dram": 2 * size * element + cols * element},
        written={"dram": size * (element + 1) + 4 * rows},
    )


@triton.jit(do_not_specialize=["rows"])
def norm_quantise_kernel(
    x, residual, w, h, y, scales, rows, cols, epsilon, ROWS: tl.constexpr, COLS: tl.constexpr
):
    """Whole rows of one block."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLS)
    at = row[:, None] * cols + column[None, :]
    inside = (row[:, None] < rows) & (column[None, :] < cols)
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(h + at, value.to(h.dtype.element_ty), mask=inside)
    weight = tl.load(w + column, mask=column < cols, other=0.0).to(tl.float32)
    root = tl.rsqrt(tl.sum(value * value, 1) / cols + epsilon)
    normal = value * root[:, None] * weight[None, :]
    scale = tl.maximum(tl.max(tl.abs(normal), 1) / 448.0, 1e-12)
    tl.store(scales + row, scale, mask=row < rows)
    tl.store(y + at, (normal / scale[:, None]).to(y.dtype.element_ty), mask=inside)


def norm_quantise(
    x: torch.Tensor,
    residual: torch.Tensor,
    w: torch.Tensor,
    *,
    epsilon: float = EPSILON,
    tile: RowTile | None = None,
) -> Quantised:
    """(h in the format of x, q in e4m3, scales `(rows)` in fp32) of x and residual `(rows, cols)`.

    Raises `InputError` for shapes that do not agree, and rows longer than a block's registers hold.
    """
    need_matrix("norm_quantise", x)
    need_contiguous("norm_quantise", x=x, residual=residual, w=w)
    rows, cols = x.shape
    found = (tuple(residual.shape), tuple(w.shape))
    wanted = ((rows, cols), (cols,))
    need("norm_quantise", found == wanted, f"residual and w {wanted}", found, "reshape them")
    tile = held_row("norm_quantise", cols, tile)
    h = torch.empty_like(x)
    y = torch.empty(rows, cols, dtype=torch.float8_e4m3fn, device=x.device)
    scales = torch.empty(rows, dtype=torch.float32, device=x.device)
    norm_quantise_kernel[blocks(rows, int(tile.rows))](
        x, residual, w, h, y, scales, rows, cols, epsilon, **launch_constants(tile)
    )
    return h, y, scales
