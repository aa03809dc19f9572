"""What products of cuBLAS read from the DRAM: what waves of tiles read again of an L2 of halves."""

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, wave_bytes
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.quantity.arithmetic import least, most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount

RASTER = 1.5
"""Operands' bytes that a wave of tiles reads over those of the squarest one."""

HALF, STREAM = 2, 4
"""An L2 of two halves that both keep what both read remembers half of its capacity from one wave
to the next, and of a wave that is short beside a quarter of it next to all. Chosen, with `RASTER`,
in view of counted products of 8 and 16 bits: 10 % off (18 before), the 28 large ones 16 (38)."""


def dram_bytes(problem: GemmProblem, tile: LibraryTile, limits: Limits) -> tuple[Amount, Amount]:
    """(read, written) at the DRAM: each matrix once, and what waves of tiles read again."""
    a = problem.M * problem.K * bytes_of(problem.dtype_a) * problem.distinct
    b = problem.N * problem.K * bytes_of(problem.dtype_b)
    c = problem.batch * problem.M * problem.N * bytes_of(problem.dtype_out)
    waves, wave = wave_bytes(problem, tile, limits)
    capacity = limits.capacity_bytes["l2"]
    again = most((RASTER * waves * wave - (a + b), 0.0)) * where(waves > 1, 1.0, 0.0)
    streamed = wave * wave / (wave * wave + (capacity / STREAM) * (capacity / STREAM))
    forgotten = (1 - least((1.0, capacity / HALF / (a + b)))) * streamed
    return problem.batch * (a + b + again * forgotten) + problem.bias_bytes, c
