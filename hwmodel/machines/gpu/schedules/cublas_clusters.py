"""Clusters of blocks in cuBLAS's bulk kernels: how many, what they share, when they begin."""

from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.cublas_rules import most_clustered
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, clustered, sides_bytes
from hwmodel.machines.gpu.schedules.library_tile import Grid, LibraryTile
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount

PASSED_ON = 0.5
"""What a byte takes of a processor's port that another block of its cluster has fetched, over one
of its own (fitted to kernels traced on an H200 whose tiles are known, as `SOONER`)."""

SOONER = 0.17
"""Share of a launch that a device saves which hardly a block begins on: they are handed out one
after the other, in clusters, each some 7 clocks after the last."""


def clusters(
    problem: GemmProblem, block_m: Amount, block_n: Amount, blocks: Amount, limits: Limits
) -> dict[str, Any]:
    """Blocks of a cluster along M and N: eight or two, more of them where longer sides are shared.

    Read from the names of 7,300 launches: four or two where there is one row or column of tiles.
    """
    rows, columns = ceil_div(problem.M, block_m), ceil_div(problem.N, block_n)
    few = blocks <= most_clustered(limits.processors)
    wide = (np.asarray(block_n > block_m) | (columns == 1)) & (rows > 1)
    alone = (rows == 1) | (columns == 1)
    most_, other = where(few, 4.0, 2.0), where(few & ~np.asarray(alone), 2.0, 1.0)
    along_m, along_n = where(wide, most_, other), where(wide, other, most_)
    return {"multicast": along_m * along_n, "cluster_m": along_m, "cluster_n": along_n}


def shared_bytes(problem: GemmProblem, tile: LibraryTile, rows: Amount, columns: Amount) -> Amount:
    """Bytes of a step of K that a block gets from its cluster."""
    if not np.any(np.asarray(tile.cluster_m) > 0):
        return clustered(problem, tile, rows, columns)
    along_m = most((1, least((tile.cluster_m, rows))))
    along_n = most((1, least((tile.cluster_n, columns))))
    m, n = problem.M / rows * (1 - 1 / along_n), problem.N / columns * (1 - 1 / along_m)
    both = sides_bytes(problem, m, n)
    return where(np.asarray(tile.cluster_m) > 0, both, clustered(problem, tile, rows, columns))


def begun(tile: LibraryTile, grid: Grid) -> Amount:
    """Blocks that are launched: whole clusters, some of whose blocks have no tile."""
    along_m, along_n = most((1, tile.cluster_m)), most((1, tile.cluster_n))
    whole = ceil_div(grid.rows, along_m) * ceil_div(grid.columns, along_n)
    return whole * along_m * along_n * (grid.blocks / (grid.rows * grid.columns))
