"""What kernels over the rows of a matrix share: the launch record as constants, and the checks."""

# pyright: basic, reportMissingImports=false

import torch
import triton

from hwmodel.kernels.operands import need, need_contiguous
from hwmodel.machines.gpu.schedules.rows import RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import MOST_ROW_ELEMENTS, row_tile


def launch_constants(tile: RowTile) -> dict[str, int]:
    """What of the record the compiler is told: rows of a block, and columns it takes at a time."""
    rows = int(tile.rows)
    return {"ROWS": rows, "COLS": int(tile.elements) // rows, "num_warps": int(tile.warps)}


def flat_constants(tile: RowTile) -> dict[str, int]:
    """The same for kernels that know no rows."""
    return {"ELEMENTS": int(tile.elements), "num_warps": int(tile.warps)}


def blocks(size: int, each: int) -> tuple[int]:
    """The grid that covers `size`, `each` at a time."""
    return (triton.cdiv(size, each),)


def need_matrix(kernel: str, x: torch.Tensor) -> None:
    """Refuse what is no contiguous matrix."""
    need_contiguous(kernel, x=x)
    need(kernel, x.ndim == 2, "x (rows, cols)", tuple(x.shape), "flatten all dimensions but one")


def held_row(kernel: str, cols: int, tile: RowTile | None) -> RowTile:
    """`tile`, or the rule's; either must hold a row of `cols` columns whole."""
    remedy = "use a kernel that walks the row in chunks (softmax with 2 or 3 passes)"
    fits = cols <= MOST_ROW_ELEMENTS
    need(kernel, fits, f"at most {MOST_ROW_ELEMENTS} columns", cols, remedy)
    tile = tile or row_tile(cols)
    held = int(tile.elements) // int(tile.rows)
    need(kernel, cols <= held, f"a tile of {cols} columns or more", held, "use a wider tile")
    return tile
