"""RMS norm: y = x w / sqrt(mean(x^2) + epsilon) along each row (arXiv 1910.07467, eq. 4).

A block holds whole rows in registers, so that x is read once although the cascade passes over it
twice; sums are fp32. Schedule: `hwmodel.machines.gpu.schedules.rows`. Costs are operations and
bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels.operands import need, need_contiguous
from hwmodel.kernels.rows import blocks, held_row, launch_constants, need_matrix
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import row_tiles
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

EPSILON = 1e-6
"""Llama's and Qwen's choice (`rms_norm_eps` of their configs is 1e-5 or 1e-6)."""


def reference(x: torch.Tensor, w: torch.Tensor, epsilon: float = EPSILON) -> torch.Tensor:
    """The norm of x `(rows, cols)` with the weight w `(cols)`."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * w


def tiles() -> tuple[RowTile, ...]:
    """The launch records that the kernel is measured with."""
    return row_tiles()


def cost(rows: int, cols: int, *, dtype: str = "bf16") -> Work:
    """Square, sum and two products an element, a root a row; x and y once, the weight once."""
    element = bytes_of(dtype)
    return Work(
        operations={("vector", "flop", "fp32"): 4 * rows * cols, ("exp", "exp", "fp32"): rows},
        read={"dram": (rows + 1) * cols * element},
        written={"dram": rows * cols * element},
    )


@triton.jit(do_not_specialize=["rows"])
def rmsnorm_kernel(x, w, y, rows, cols, epsilon, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Whole rows of one block."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLS)
    at = row[:, None] * cols + column[None, :]
    inside = (row[:, None] < rows) & (column[None, :] < cols)
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    weight = tl.load(w + column, mask=column < cols, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 1) / cols + epsilon)
    out = value * scale[:, None] * weight[None, :]
    tl.store(y + at, out.to(y.dtype.element_ty), mask=inside)


def rmsnorm(
    x: torch.Tensor,
    w: torch.Tensor,
    *,
    epsilon: float = EPSILON,
    tile: RowTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The norm of x `(rows, cols)` with the weight w `(cols)`, in the format of x.

    Raises `InputError` for rows longer than the tile, or than a block's registers hold.
    """
    need_matrix("rmsnorm", x)
    if out is None:
        out = torch.empty_like(x)
    need_contiguous("rmsnorm", x=x, w=w, out=out)
    rows, cols = x.shape
    need("rmsnorm", tuple(w.shape) == (cols,), f"w ({cols},)", tuple(w.shape), "slice the weight")
    tile = held_row("rmsnorm", cols, tile)
    rmsnorm_kernel[blocks(rows, int(tile.rows))](
        x, w, out, rows, cols, epsilon, **launch_constants(tile)
    )
    return out
