"""Softmax along each row, in the forms that differ by how often they pass over it.

passes = 1   the row is held in registers: read once (`tile.elements` holds it)
passes = 2   online (arXiv 1805.02867): running maximum and sum, then the quotient
passes = 3   maximum, then sum of exponentials, then the quotient

The forms with 2 and 3 passes walk a row in chunks, read it once a pass and so take rows of any
length; what the L2 keeps between passes costs no DRAM traffic. Arithmetic is fp32, exponentials are
powers of two. Schedule: `hwmodel.machines.gpu.schedules.rows`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import math

import torch
import triton
import triton.language as tl

from hwmodel.kernels.operands import need, need_contiguous
from hwmodel.kernels.rows import blocks, held_row, launch_constants, need_matrix
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import CHUNK_TILE, chunk_tiles, row_tiles
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

LOG2_E = tl.constexpr(math.log2(math.e))
PASSES = (1, 2, 3)


def reference(x: torch.Tensor) -> torch.Tensor:
    """Softmax over the last dimension of x `(rows, cols)`."""
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


def tiles(passes: int = 1) -> tuple[RowTile, ...]:
    """The launch records that the kernels are measured with."""
    return row_tiles() if passes == 1 else chunk_tiles()


def cost(rows: int, cols: int, *, passes: int = 1, dtype: str = "bf16") -> Work:
    """Operations of each form; every pass reads the row from the L2, the first from the DRAM.

    An online pass takes the exp of every element, and the last pass of any form again where the row
    was not held.
    """
    size, element = rows * cols, bytes_of(dtype)
    exps = size * (1 if passes == 1 else 2)
    return Work(
        operations={("vector", "flop", "fp32"): 4 * size, ("exp", "exp", "fp32"): exps},
        read={"dram": size * element, "l2": passes * size * element},
        written={"dram": size * element},
    )


@triton.jit(do_not_specialize=["rows"])
def held_kernel(x, y, rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Whole rows of one block, read once."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLS)
    at = row[:, None] * cols + column[None, :]
    inside = (row[:, None] < rows) & (column[None, :] < cols)
    value = tl.load(x + at, mask=inside, other=float("-inf")).to(tl.float32) * LOG2_E
    value = tl.where(row[:, None] < rows, value, 0.0)
    weight = tl.exp2(value - tl.max(value, 1)[:, None])
    out = weight / tl.sum(weight, 1)[:, None]
    tl.store(y + at, out.to(y.dtype.element_ty), mask=inside)


@triton.jit
def load_chunk(x, row, cols, start, COLS: tl.constexpr):
    """Columns of one row, scaled for powers of two; minus infinity past its end."""
    column = start + tl.arange(0, COLS)
    value = tl.load(x + row * cols + column, mask=column < cols, other=float("-inf"))
    return value.to(tl.float32) * LOG2_E


@triton.jit(do_not_specialize=["rows"])
def chunk_kernel(x, y, rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr, ONLINE: tl.constexpr):
    """One row in chunks of COLS: with ONLINE two passes, otherwise three."""
    row = tl.program_id(0).to(tl.int64)
    sums = tl.zeros((COLS,), dtype=tl.float32)
    if ONLINE:
        running = tl.full((COLS,), -1.0e30, dtype=tl.float32)  # a maximum for each lane
        for start in range(0, cols, COLS):
            value = load_chunk(x, row, cols, start, COLS)
            higher = tl.maximum(running, value)
            sums = sums * tl.exp2(running - higher) + tl.exp2(value - higher)
            running = higher
        peak = tl.max(running, 0)
        total = tl.sum(sums * tl.exp2(running - peak), 0)
    else:
        lanes = tl.full((COLS,), -1.0e30, dtype=tl.float32)
        for start in range(0, cols, COLS):
            lanes = tl.maximum(lanes, load_chunk(x, row, cols, start, COLS))
        peak = tl.max(lanes, 0)
        for start in range(0, cols, COLS):
            sums += tl.exp2(load_chunk(x, row, cols, start, COLS) - peak)
        total = tl.sum(sums, 0)
    for start in range(0, cols, COLS):
        out = tl.exp2(load_chunk(x, row, cols, start, COLS) - peak) / total
        column = start + tl.arange(0, COLS)
        tl.store(y + row * cols + column, out.to(y.dtype.element_ty), mask=column < cols)


def softmax(
    x: torch.Tensor,
    *,
    passes: int = 1,
    tile: RowTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Softmax over the last dimension of x `(rows, cols)`, in the format of x.

    Raises `InputError` for another number of passes, and for a row that one pass cannot hold.
    """
    need_matrix("softmax", x)
    need("softmax", passes in PASSES, f"passes of {PASSES}", passes, "choose one of them")
    if out is None:
        out = torch.empty_like(x)
    need_contiguous("softmax", x=x, out=out)
    rows, cols = x.shape
    if passes == 1:
        tile = held_row("softmax", cols, tile)
        grid = blocks(rows, int(tile.rows))
        held_kernel[grid](x, out, rows, cols, **launch_constants(tile))
        return out
    tile = tile or CHUNK_TILE
    need("softmax", int(tile.rows) == 1, "one row a block with 2 or 3 passes", tile, "set rows=1")
    chunk_kernel[(rows,)](x, out, rows, cols, ONLINE=passes == 2, **launch_constants(tile))
    return out
