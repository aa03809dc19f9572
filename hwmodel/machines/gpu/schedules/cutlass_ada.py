"""CUTLASS products of fp8 on Ada as vLLM and SGLang dispatch them: tiles by rows and columns.

Read from their sources (vLLM, csrc/quantization/cutlass_w8a8/scaled_mm_c2x_sm89_fp8_dispatch.cuh,
where columns count as the next power of two; SGLang, sgl-kernel, csrc/gemm/fp8_gemm_kernel.cu,
sm89_fp8_dispatch_shape). The sum over K is never split, and few columns take the tile of many: 32
of them are multiplied as 128, by a block for every 128 or 256 rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.quantity.arithmetic import floor_div, least, most


class Rule(NamedTuple):
    """Rows and columns up to which a tile is taken, its sides, depth of its slices, stages."""

    rows: float
    columns: float
    high: int
    wide: int
    deep: int
    stages: int


ANY = float("inf")
VLLM = (
    Rule(16, 8192, 16, 64, 128, 5),
    Rule(16, 16384, 16, 128, 64, 5),
    Rule(16, ANY, 32, 64, 128, 5),
    Rule(32, 8192, 32, 64, 128, 5),
    Rule(32, 16384, 32, 128, 128, 4),
    Rule(32, ANY, 32, 64, 128, 5),
    Rule(64, 8192, 64, 64, 128, 5),
    Rule(64, 16384, 64, 128, 128, 3),
    Rule(64, ANY, 64, 64, 128, 5),
    Rule(128, 8192, 64, 128, 128, 3),
    Rule(128, 16384, 128, 128, 64, 5),
    Rule(128, ANY, 128, 64, 128, 3),
    Rule(256, 4096, 64, 128, 128, 3),
    Rule(256, ANY, 128, 128, 64, 5),
    Rule(ANY, 4096, 128, 128, 64, 5),
    Rule(ANY, 8192, 256, 128, 64, 3),
    Rule(ANY, ANY, 128, 128, 64, 5),
)
SGLANG = (
    Rule(1, 8192, 16, 64, 128, 7),
    Rule(1, ANY, 32, 64, 128, 5),
    Rule(16, 8192, 16, 64, 128, 4),
    Rule(16, 16384, 32, 64, 128, 5),
    Rule(16, ANY, 16, 64, 128, 7),
    Rule(64, 16384, 32, 64, 128, 7),
    Rule(64, ANY, 16, 64, 128, 7),
    Rule(128, 8192, 64, 64, 128, 4),
    Rule(128, 16384, 64, 64, 128, 5),
    Rule(128, ANY, 32, 64, 128, 5),
    Rule(256, 8192, 128, 64, 64, 5),
    Rule(256, 16384, 64, 128, 64, 7),
    Rule(256, ANY, 128, 64, 128, 4),
    Rule(512, 16384, 128, 128, 64, 2),
    Rule(512, ANY, 128, 128, 64, 4),
    Rule(ANY, 8192, 128, 128, 64, 3),
    Rule(ANY, ANY, 128, 128, 64, 2),
)
RESERVED_BYTES = 1024
"""Shared memory that CUDA keeps of each block's."""
MOST_RESIDENT = 2
"""Blocks that share a processor, at most: as many as registers hold sums of."""

MENU = (LibraryTile(128, 128, split=1, resident=1, multicast=1, copy_bytes=0, persistent=0),)


def vllm(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """Tile of vLLM for these sizes."""
    return _chosen(VLLM, tile, problem, limits)


def sglang(tile: LibraryTile, problem: GemmProblem, limits: Limits) -> LibraryTile:
    """Tile of SGLang for these sizes."""
    return _chosen(SGLANG, tile, problem, limits)


def _chosen(
    rules: Sequence[Rule], tile: LibraryTile, problem: GemmProblem, limits: Limits
) -> LibraryTile:
    """The first rule whose rows and columns are no fewer."""
    rows, columns = np.asarray(problem.M), np.asarray(problem.N)
    first = np.argmax([(rows <= r.rows) & (columns <= r.columns) for r in rules], axis=0)
    sizes = [np.array([getattr(r, n) for r in rules])[first] for n in Rule._fields[2:]]
    high, wide, deep, stages = (int(size) if np.ndim(size) == 0 else size for size in sizes)
    room = limits.shared_per_block_bytes + RESERVED_BYTES
    staged = (high + wide) * deep * stages + RESERVED_BYTES
    held = most((1, least((MOST_RESIDENT, floor_div(room, staged)))))
    return replace(tile, block_m=high, block_n=wide, block_k=deep, resident=held)
