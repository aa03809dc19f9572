"""cuDNN's fused attention on Hopper: tiles, padding and splits of the keys, inferred from times.

Many queries: 128 query rows and 128 keys at every head dimension, padded to a multiple of 64 (96
runs as 128), one block to a processor, in order of its rows. One query: the rows of a KV head's
group share blocks of 32, which compute no more rows than they have, in sixteens (groups of 1 to 128
measured). Up to 512 keys nothing is split; beyond, into as many parts as give each
processor a block, at head dimensions above 128 rounded down to a power of two. There a step's K and
V fill the shared memory, so that no step loads ahead of another.

All of it was inferred from measured times of cuDNN 9.19 on an H200 (folds of the fitting half; a
tile, padding or rule that another one beat there was dropped).
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile, row_blocks
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.units import Amount

PAD = 64
WHOLE_STEPS = 4
"""Steps of 128 keys that one block walks alone, however few the blocks."""
WIDE_HEAD = 128

PREFILL_MENU = (AttentionTile(128, 128, warps=8, packed=0, pad=PAD, in_order=1, whole=1),)
DECODE_MENU = (AttentionTile(32, 128, warps=4, packed=2, pad=PAD, fitting=16),)


def resolved(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The decode launch for these sizes: splits of the keys, and whether a step loads ahead."""
    _, blocks, columns = row_blocks(problem, tile)
    wide = problem.head_dim > WIDE_HEAD
    steps = ceil_div(problem.keys, tile.block_k)
    room = most((1, floor_div(limits.processors, columns * blocks)))
    free = least((room, steps))
    halved = least((_power_of_two(room), _power_of_two(steps)))
    few = where(wide, 1, WHOLE_STEPS)
    split = where(steps <= few, 1, where(wide, halved, free))
    column = 0 * tile.split
    return replace(tile, split=split + column, stages=where(wide, 1, 2) + column)


def _power_of_two(count: Amount) -> Amount:
    """The largest power of two that is no more than `count`."""
    return 2.0 ** np.floor(np.log2(np.asarray(count, dtype=np.float64)))
