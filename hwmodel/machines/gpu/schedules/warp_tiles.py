"""GEMM calls of libraries on GPUs whose warps multiply each by itself: Ampere, Ada, RTX Blackwell.

Without warpgroups and bulk copies (as Hopper and the data centre's Blackwell have them) a kernel's
tile is one of a menu of powers of two, its slices are 64 bytes deep, several blocks share a
processor and hide each other's waits, every tile starts anew, and K is split in as many parts as
pay. Which one a library launches was read nowhere: it is taken to be the fastest of the menu, by
the model. Products that those kernels do not take (fp32, rows that begin off 16 bytes) have the
tiles of `cublas`, which counts all of them.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, narrowest
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import where

SIDES = (
    *((256, 128, 1), (128, 256, 1), (128, 128, 2), (256, 64, 2), (64, 256, 2)),
    *((128, 64, 2), (64, 128, 2), (64, 64, 3), (32, 128, 3), (128, 32, 3)),
    *((64, 32, 3), (32, 64, 3), (16, 128, 3), (16, 64, 3), (32, 32, 3)),
)
"""Rows, columns, and blocks that share a processor: as many as registers hold sums of (CUTLASS)."""

SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
SLICE_BYTES, COPY_BYTES = 64, 16
"""Depth of a slice; alignment that asynchronous copies need, for which no thread waits."""
LEAST_SLICES = 4
"""Slices that a part of K has at least: those that are under way."""

MENU = tuple(
    LibraryTile(m, n, split=s, resident=r, multicast=1, copy_bytes=0, persistent=0)
    for m, n, r in sorted(SIDES, key=lambda sides: sides[0] * sides[1])
    for s in SPLITS
)
"""Small tiles first: where several take as long, the one that pads least."""

WHOLE = tuple(tile for tile in MENU if tile.split == 1)
"""The same of kernels that never split K."""


CUBLAS_SIDES = (
    *((256, 128, 1), (128, 256, 1), (128, 128, 2), (256, 64, 2), (64, 256, 2)),
    *((128, 64, 2), (64, 128, 2), (64, 64, 3), (32, 32, 3), (16, 16, 3)),
)
"""Tiles of cuBLAS for 16 bits, as its kernels are called: of 64 and more (ampere_bf16_s16816gemm),
and squares of 32 and 16 (cutlass_80_wmma_tensorop)."""

CUBLAS_LEAST = 8
"""Slices that it leaves to a part of K at least. Both were tried on published rows: left-out ones
of an L40S are 13.8 % off (15.0 with `SIDES` and 4), of an RTX PRO 6000 7.2 (7.7)."""

CUBLAS = tuple(
    LibraryTile(m, n, split=s, resident=r, multicast=1, copy_bytes=0, persistent=0)
    for m, n, r in sorted(CUBLAS_SIDES, key=lambda sides: sides[0] * sides[1])
    for s in SPLITS
)


def of_cublas(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The same of cuBLAS, whose parts of K are longer."""
    return filled(tile, problem, limits, SLICE_BYTES, CUBLAS_LEAST)


def resolved(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """The menu for these operands: depth of slices, parts of K, and others' tiles where it ends."""
    return filled(tile, problem, limits, SLICE_BYTES, LEAST_SLICES)


def filled(
    tile: LibraryTile, problem: GemmProblem, limits: Limits, slice_bytes: int, least: int
) -> LibraryTile:
    """A menu whose slices are so deep, and whose parts of K have so many of them at least."""
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    other = cublas.resolved(cublas.menu()[0], problem, limits)
    aligned = np.asarray(cublas.alignment(problem)) >= COPY_BYTES
    if unit != "matrix" or dtype in cublas.OLDER or not np.any(aligned):
        return _alike(other, tile)
    block_k = slice_bytes / narrowest(problem)
    parts = np.floor(np.ceil(np.asarray(problem.K) / block_k) / least)
    split = np.minimum(tile.split, np.maximum(1, parts))
    mine = replace(tile, block_k=block_k + 0 * tile.block_m, split=split)
    if np.all(aligned):
        return mine
    names, other = [field.name for field in fields(LibraryTile)], _alike(other, tile)
    both = {n: where(aligned, getattr(mine, n), getattr(other, n)) for n in names}
    return replace(tile, **both)


def _alike(chosen: LibraryTile, tile: LibraryTile) -> LibraryTile:
    """One tile, for every candidate of a menu."""
    column = 0 * np.asarray(tile.block_m)
    values: dict[str, Any] = {f.name: getattr(chosen, f.name) + column for f in fields(LibraryTile)}
    return replace(tile, **values)
