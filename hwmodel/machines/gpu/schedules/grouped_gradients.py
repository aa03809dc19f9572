"""Elementwise results, and sums of others over rows and columns of groups: our gradient kernels.

A block takes `rows` rows of one group, `step` at a time, keeps the sums in registers and adds each
once, by an atomic (`kernels/rational.py`). What registers do not hold of a step is written and read
once through the DRAM: that of all blocks is more than caches keep. With `each`, every element adds
its own numbers: all of a group's meet at a few addresses, which take them one after the other, so
that bytes and operations no longer matter.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.fused_blocks import (
    LANE_FLOP,
    WARP,
    blocks_and_stream,
    resident,
)
from hwmodel.machines.gpu.schedules.triton_attention import power_of_two
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

REGISTERS, FEWER = 24, 16
"""Of a thread: for each of its elements, less a few (compiled for sm_90)."""
SPILLING, SPILLED, REGISTER_BYTES = 64, 13.4, 4
"""Elements of a thread beyond which each leaves so many registers in memory (compiled for sm_90, of
256 and of 512 elements; of 64, 0.6). Steps of 512 rows take 11.1 ms where those of 64 take 1.4, of
256 12.8 and of 128 16.7 (H200, 201,728 rows of 768 columns)."""
START = 3000
"""Clocks of a block's first load, and of its sums across lanes at the end."""
LOOP, LOOP_ELEMENT = 600, 310
"""Clocks of a step, whose loads the next one waits for, and for each element of a thread (H200)."""
LINE_ADDRESSES = 32
"""Numbers of a line of 128 bytes, which atomics of one warp at one address take in turn."""
LINE_TURN = 1.34
"""Times that an addition takes as long where others meet in its line as at one address (H200)."""


@dataclass(frozen=True)
class GradientProblem:
    """`rows` of `groups` times `width` columns; `sums` numbers of each group are added up.

    `lanes` are vector instructions of an element.
    """

    rows: Amount
    groups: Amount
    width: Amount
    sums: Amount
    read_bytes: Amount
    written_bytes: Amount
    lanes: Amount
    dtype: str

    @property
    def kv_dtype(self) -> str:
        """All that is read has one format."""
        return self.dtype


@dataclass(frozen=True)
class GradientTile:
    """Rows of a block, rows that it takes at a time, its warps; whether each element adds alone."""

    rows: Amount = 1024
    step: Amount = 4
    warps: Amount = 4
    each: Amount = 0


MENU = (GradientTile(1024, 4, 4), GradientTile(256, 4, 4), GradientTile(1024, 8, 8))
EACH = GradientTile(4, 4, 4, 1)
"""Every element adds by an atomic for each coefficient."""


def activity(problem: GradientProblem, tile: GradientTile, limits: Limits) -> Activity:
    """One kernel, and one that sets the sums to zero: see the module."""
    alone = tile.each > 0
    parts = ceil_div(problem.rows, tile.rows)
    elements = problem.rows * problem.width
    at_each = where(alone, elements, parts)
    together = least((LINE_ADDRESSES, problem.sums * problem.groups))
    met = where(alone, LINE_TURN * together, 1) * at_each
    steps = tile.rows / tile.step
    padded = tile.rows * power_of_two(problem.width)
    block = Work(operations={("vector", "flop", "fp32"): LANE_FLOP * problem.lanes * padded})
    own = tile.step * power_of_two(problem.width) / (tile.warps * WARP)
    blocks = parts * problem.groups
    each_spilled = where(own > SPILLING, SPILLED, 0) * REGISTER_BYTES
    spilled = each_spilled * own * tile.warps * WARP * steps * blocks
    stream = Work(
        read={"dram": problem.read_bytes + spilled},
        written={"dram": problem.written_bytes + spilled},
        atomics=(problem.sums * problem.groups * at_each, met),
    )
    on_each = resident(tile.warps, most((FEWER, REGISTERS * own - FEWER)), limits)
    chain = START + (LOOP + LOOP_ELEMENT * own) * steps
    return blocks_and_stream(blocks, on_each, block, chain, stream, limits, launches=2)
