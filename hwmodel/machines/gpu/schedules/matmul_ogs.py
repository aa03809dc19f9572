"""Experts in mxfp4 on Hopper: Triton's kernels of gathered products, weights widened on their way.

What vLLM runs for gpt-oss there (its profiles of an H200 name `_matmul_ogs_..._bf16xbf16xmxfp4_
16x256x128`): tiles of 256 columns and slices of 128, with 16 to 128 rows by how many an expert has
on average, all experts counted. The gate's activation is in the first product's epilogue. Blocks
find their expert and walk all of K as those of vLLM's other experts do.
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.quantity.arithmetic import most

MENU = (GemmTile(128, 256, 128, stages=3, warps=8),)
LEAST, MOST = 16, 128


def resolved(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The tile for so many rows of an expert: a power of two."""
    rows = np.log2(most((1.0, problem.M / problem.members)))
    high = np.clip(2.0 ** np.ceil(rows - 1e-9), LEAST, MOST)
    return replace(tile, block_m=high if np.ndim(high) else int(high))
