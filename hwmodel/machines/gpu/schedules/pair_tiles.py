"""GEMM calls of cuBLAS on the data centre's Blackwell, whose pairs of processors multiply together.

Kernels are persistent and copy in bulk, as Hopper's; a pair holds the sums of up to 256 x 256 in
its tensor memory, each processor's half of it 128 x 256 (PTX ISA, tcgen05.mma, cta_group::2), and
clusters of four share slices. Which tile the library launches was read nowhere: it is taken to be
the fastest of a menu, by the model.
"""

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas, warp_tiles
from hwmodel.machines.gpu.schedules.cublas_rules import SLICE_BYTES
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile

SIDES = (
    *((128, n) for n in (256, 224, 192, 160, 128, 96, 64, 32)),
    *((256, 128), (64, 256), (64, 128), (64, 64), (64, 32)),
    *((32, 128), (32, 64), (16, 128), (16, 64), (8, 128), (8, 64)),
)
"""Rows and columns of a processor's tile; few rows are the columns of operands that swap places."""

SPLITS = (1, 2, 3, 4, 6, 8, 16)
LEAST_SLICES = 8
"""Slices that a part of K has at least (fitted)."""

MENU = tuple(
    LibraryTile(m, n, split=s, resident=1, multicast=cublas.CLUSTER, persistent=1)
    for m, n in sorted(SIDES, key=lambda sides: sides[0] * sides[1])
    for s in SPLITS
)
"""Small tiles first: where several take as long, the one that pads least."""


def resolved(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The menu for these operands; products that it does not take have the tiles of `cublas`."""
    return warp_tiles.filled(tile, problem, limits, SLICE_BYTES, LEAST_SLICES)
