"""What kernels share that walk a head's tokens chunk by chunk: operands, blocks, launch constants.

q and k are `(batch, heads, n, d)`, v and the output `(batch, heads, n, dv)`, and what a token has
one number of, such as a decay, `(batch, heads, n)`. A block owns a head and `block_v` of its
values' columns: `ChunkTile` of `hwmodel.machines.gpu.schedules.triton_scan` says how many.
"""

# pyright: basic, reportMissingImports=false

from collections.abc import Sequence
from typing import Any

import torch

from hwmodel.kernels.operands import dtype_name, need, need_contiguous
from hwmodel.machines.gpu.schedules.triton_scan import ChunkTile
from hwmodel.quantity.arithmetic import ceil_div


def checked(
    kernel: str,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor | None,
    *,
    widths: Sequence[int],
    remedy: str,
    **gates: torch.Tensor,
) -> torch.Tensor:
    """The output, a new one where none is given.

    Raises `InputError` for operands that are strided or on several devices, shapes or formats that
    do not agree, and a d that is not one of `widths`; `remedy` says what to do about the latter.
    """
    need_contiguous(kernel, q=q, k=k, v=v, **gates)
    tokens = q.shape[:3]
    agree = q.ndim == v.ndim == 4 and q.shape == k.shape and v.shape[:3] == tokens
    agree = agree and all(gate.shape == tokens for gate in gates.values())
    agree = agree and q.dtype == k.dtype == v.dtype
    shapes = {"q": q, "k": k, "v": v, **gates}
    found = ", ".join(f"{name} {tuple(each.shape)}" for name, each in shapes.items())
    expected = f"q and k of one shape and format, {' and '.join(('v', *gates))} of its tokens"
    need(kernel, agree, expected, found, "reshape them to one batch, heads and tokens")
    d = q.shape[-1]
    need(kernel, d in widths, f"d of {', '.join(map(str, widths))}", d, remedy)
    dtype_name(q)
    made = torch.empty_like(v) if out is None else out
    need(kernel, made.shape == v.shape, f"out {tuple(v.shape)}", tuple(made.shape), "leave it out")
    need_contiguous(kernel, q=q, out=made)
    return made


def launched(
    kernel: str, v: torch.Tensor, tile: ChunkTile, least_columns: int = 1
) -> tuple[tuple[int, int], dict[str, Any]]:
    """(blocks of columns and of heads, launch constants).

    Raises `InputError` for a tile of fewer columns than the kernel is right with on a GPU.
    """
    wide = int(tile.block_v) >= least_columns or v.device.type != "cuda"
    expected, remedy = f"{least_columns} columns of values a block or more", "name a wider tile"
    need(kernel, wide, expected, tile.block_v, f"{remedy} (`LEAST_COLUMNS`)")
    grid = int(ceil_div(v.shape[-1], tile.block_v)), v.shape[0] * v.shape[1]
    constants = {"CHUNK": int(tile.chunk), "BLOCK_V": int(tile.block_v)}
    return grid, constants | {"num_warps": int(tile.warps), "num_stages": int(tile.stages)}
