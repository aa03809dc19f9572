"""Tiles of torch's grouped product on a Hopper GPU: a CUTLASS kernel, its tile chosen by the rows.

`torch._grouped_mm` (aten/native/cuda/GroupMM.cu; recalled) instantiates two kernels: 64 x 128 with
slices of 128 elements where the rows of all members together are few, else 128 x 256 with slices
of 64; both persistent, in clusters of two along the rows. Every member pads its own rows to whole
tiles. Sizes are elements of bf16, the only format that the kernel takes.
"""

from dataclasses import replace

from hwmodel.arithmetic import where
from hwmodel.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.hardware import Limits

FEW_ROWS = 128
"""Rows of all members together, up to which the small kernel runs (recalled, seen in times)."""


def menu() -> tuple[GemmTile, ...]:
    """The large tile; `resolved` puts the small one in its place."""
    return (GemmTile(128, 256, 64, multicast=2, persistent=1),)


def resolved(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The tile that the kernel's rule takes for these rows."""
    few = problem.M <= FEW_ROWS
    column = 0 * tile.block_n
    return replace(
        tile,
        block_m=where(few, 64, tile.block_m) + column,
        block_n=where(few, 128, tile.block_n) + column,
        block_k=where(few, 128, tile.block_k) + column,
    )
