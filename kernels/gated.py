"""Gated activation: y = silu(gate) up, the gate and up halves side by side in each row.

silu(g) = g / (1 + exp(-g)) (arXiv 2002.05202, SwiGLU). Arithmetic is fp32. A block takes a stretch
of the output's elements. Schedule: `hwmodel.machines.gpu.schedules.rows`. Costs are operations and
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
from hwmodel.kernels.rows import blocks, flat_constants, need_matrix
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import chunk_tiles
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

TILE = RowTile(elements=2048, warps=8)


def reference(x: torch.Tensor) -> torch.Tensor:
    """The silu of the left half of x `(rows, 2 inner)` times its right half: `(rows, inner)`."""
    gate, up = x.chunk(2, -1)
    return gate * torch.sigmoid(gate) * up


def tiles() -> tuple[RowTile, ...]:
    """The launch records that the kernel is measured with."""
    return chunk_tiles()


def cost(rows: int, inner: int, *, dtype: str = "bf16") -> Work:
    """An exp and a reciprocal an output, and three other operations; two reads, one write."""
    size, element = rows * inner, bytes_of(dtype)
    return Work(
        operations={("vector", "flop", "fp32"): 3 * size, ("exp", "exp", "fp32"): 2 * size},
        read={"dram": 2 * size * element},
        written={"dram": size * element},
    )


@triton.jit
def gated_kernel(x, y, size, inner, ELEMENTS: tl.constexpr):
    """A stretch of output elements."""
    at = tl.program_id(0).to(tl.int64) * ELEMENTS + tl.arange(0, ELEMENTS)
    inside = at < size
    left = (at // inner) * inner + at
    gate = tl.load(x + left, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x + left + inner, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + at, (gate * tl.sigmoid(gate) * up).to(y.dtype.element_ty), mask=inside)


def gated(
    x: torch.Tensor, *, tile: RowTile | None = None, out: torch.Tensor | None = None
) -> torch.Tensor:
    """silu(left half) times right half of x `(rows, 2 inner)`: `(rows, inner)` in its format.

    Raises `InputError` for an odd number of columns.
    """
    need_matrix("gated", x)
    rows, cols = x.shape
    need("gated", cols % 2 == 0, "gate and up halves", f"{cols} columns", "concatenate them")
    if out is None:
        out = torch.empty(rows, cols // 2, dtype=x.dtype, device=x.device)
    need_contiguous("gated", x=x, out=out)
    tile = tile or TILE
    size = rows * (cols // 2)
    gated_kernel[blocks(size, int(tile.elements))](x, out, size, cols // 2, **flat_constants(tile))
    return out
