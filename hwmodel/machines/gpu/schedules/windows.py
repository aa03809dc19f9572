"""Depthwise convolution, channels last: our kernel, `kernels/depthwise.py`.

A block makes `pixels` outputs of `channels` channels, which lie side by side; for each tap it loads
its inputs anew, from the L1 where a neighbour's window held them. The image crosses the DRAM's
boundary once, the output once; instructions and the L1's bytes grow with the taps.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.fused_blocks import LANE_FLOP, blocks_and_stream, resident
from hwmodel.machines.gpu.schedules.stencil import StencilProblem
from hwmodel.quantity.arithmetic import ceil_div, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Work

TAP, START = 7.5, 20
"""Instructions of an output for a tap (load, conversions, multiply-add, its share of addresses and
tests), and at its start and end."""
LONE_TAP, ALIGNED = 40, 16
"""The same where channels are no multiple of so many, each of which is then loaded alone."""
REGISTERS, REGISTERS_TAP = 140, 2.5
"""Of a thread, and for each tap (compiled for sm_90)."""
CHAIN, CHAIN_TAP = 300, 30
"""Clocks of a block that hang on each other, and for each tap."""


@dataclass(frozen=True)
class WindowTile:
    """Outputs and channels of a block, and its warps."""

    pixels: Amount = 16
    channels: Amount = 64
    warps: Amount = 4


MENU = (WindowTile(16, 64, 4), WindowTile(32, 64, 8), WindowTile(32, 32, 4))
"""Channels of a pixel are a row of 64 to 128 bytes."""


def activity(problem: StencilProblem, tile: WindowTile, limits: Limits) -> Activity:
    """One kernel: see the module."""
    element = bytes_of(problem.dtype_a)
    each = tile.pixels * tile.channels
    alone = problem.channels % ALIGNED != 0
    issued = each * (START + where(alone, LONE_TAP, TAP) * problem.taps)
    block = Work(
        operations={("vector", "flop", "fp32"): LANE_FLOP * issued},
        read={"l1": each * problem.taps * element},
    )
    read = problem.image_elements * element + problem.weights * bytes_of(problem.dtype_b)
    written = problem.elements * bytes_of(problem.dtype_out)
    stream = Work(read={"dram": read, "l2": read}, written={"dram": written, "l2": written})
    outputs = problem.elements / problem.channels
    blocks = ceil_div(outputs, tile.pixels) * ceil_div(problem.channels, tile.channels)
    chain = CHAIN + CHAIN_TAP * problem.taps
    on_each = resident(tile.warps, REGISTERS + REGISTERS_TAP * problem.taps, limits)
    return blocks_and_stream(blocks, on_each, block, chain, stream, limits)
