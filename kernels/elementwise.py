"""Copy, add and gelu, element by element: what streaming through the DRAM costs, and no more.

gelu(x) = x (1 + erf(x / sqrt(2))) / 2, exact (arXiv 1606.08415). Arithmetic is fp32. A block takes
a stretch of elements. Schedule: `hwmodel.machines.gpu.schedules.rows`. Costs are operations and
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

from hwmodel.kernels.operands import need, need_contiguous
from hwmodel.kernels.rows import blocks, flat_constants
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import chunk_tiles
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

TILE = RowTile(elements=2048, warps=8)
OPERATIONS = ("copy", "add", "gelu")
ROOT_HALF = tl.constexpr(math.sqrt(0.5))


def reference(operation: str, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
    """The operation in plain torch; `y` is the second operand of add."""
    if operation == "gelu":
        return 0.5 * x * (1 + torch.erf(x * math.sqrt(0.5)))
    return x + y if operation == "add" else x.clone()


def tiles() -> tuple[RowTile, ...]:
    """The launch records that the kernels are measured with."""
    return chunk_tiles()


def cost(operation: str, size: int, *, dtype: str = "bf16") -> Work:
    """A read of each operand and a write; an erf counts as one special operation."""
    element = bytes_of(dtype)
    vector = {"copy": 0, "add": 1, "gelu": 4}[operation] * size
    special = size if operation == "gelu" else 0
    counts = {("vector", "flop", "fp32"): vector, ("exp", "exp", "fp32"): special}
    return Work(
        operations={key: count for key, count in counts.items() if count},
        read={"dram": size * element * (2 if operation == "add" else 1)},
        written={"dram": size * element},
    )


@triton.jit
def elementwise_kernel(x, y, out, size, OPERATION: tl.constexpr, ELEMENTS: tl.constexpr):
    """A stretch of elements."""
    at = tl.program_id(0).to(tl.int64) * ELEMENTS + tl.arange(0, ELEMENTS)
    inside = at < size
    value = tl.load(x + at, mask=inside)
    if OPERATION == "add":
        value = value.to(tl.float32) + tl.load(y + at, mask=inside).to(tl.float32)
    if OPERATION == "gelu":
        value = value.to(tl.float32)
        value = 0.5 * value * (1.0 + tl.erf(value * ROOT_HALF))
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)


def elementwise(
    operation: str,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    tile: RowTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """One of copy, add and gelu of tensors of any shape, in the format of x.

    Raises `InputError` for another operation and for operands that do not agree.
    """
    need("elementwise", operation in OPERATIONS, f"one of {OPERATIONS}", operation, "choose one")
    paired = (y is not None) == (operation == "add") and (y is None or y.shape == x.shape)
    found = f"x {tuple(x.shape)}, y {None if y is None else tuple(y.shape)}"
    need(operation, paired, "two operands of one shape for add, one otherwise", found, "pass them")
    if out is None:
        out = torch.empty_like(x)
    other = x if y is None else y
    need_contiguous(operation, x=x, y=other, out=out)
    tile = tile or TILE
    elementwise_kernel[blocks(x.numel(), int(tile.elements))](
        x, other, out, x.numel(), OPERATION=operation, **flat_constants(tile)
    )
    return out
