"""What a block of our own row kernels in Triton does, in clock cycles, from its launch record.

A kernel that reduces holds its rows, or walks one in chunks as often as it has passes; an
elementwise one takes a stretch. A thread has `elements` / (32 `warps`) of them at a time. Where the
length that the kernel knows is a multiple of 16 they move 16 bytes at a time, otherwise one by one
(Triton vectorises what it can prove aligned). Held elements beyond the registers are spilled.

Constants are cycles on an H200 (Triton 3.6), fitted to half of the measured rows.
"""

from dataclasses import replace

from hwmodel.arithmetic import ceil_div, least, most, where
from hwmodel.gpu.schedules.rows import SCHEDULERS, RowProblem, RowTile
from hwmodel.hardware import Limits

WARP = 32
VECTOR_BYTES = 16
PROVEN = 16
"""Multiple of elements that Triton's specialisation proves of an argument."""
MOST_WARPS = 64
"""Warps of a processor (CUDA C++ Programming Guide, capability 9.0)."""
REGISTERS = 65536
OTHERS = 8
"""Registers of a thread beside the elements that it holds and their weights (rounded)."""

BLOCK = 240.0
"""Start, addresses and store of a block."""
START = 53.0
"""Start of one more warp of a block, and its part in a reduction."""
CHUNK = 420.0
"""Wait for one more chunk, loaded when the last is done."""
REDUCTION = 530.0
"""A reduction over a block's threads."""
ELEMENT = 3.7
"""Chain of a thread for an instruction of an element."""
SINGLE = 48.0
"""Chain of a thread for an element loaded and stored alone."""
SINGLE_ISSUE = 5.0
"""Issue of a warp's load or store of single elements."""
NARROW = 2.7
"""The same of 16-bit elements that are copied, not converted, over that."""
SPILL = 310.0
"""Round trip of a spilled register of all threads of a 32-warp block."""


def filled(tile: RowTile, problem: RowProblem, limits: Limits) -> RowTile:
    """The launch record with cycles of a block, and the blocks that a processor really holds."""
    reduces = problem.row_bytes > 0
    wide = tile.elements / tile.rows
    passes = 1 + tile.rereads
    chunks = where(reduces, ceil_div(problem.cols, wide), 1)
    held = reduces & (chunks <= 1) & (passes <= 1)
    gated = problem.form == "gated"
    known = where(reduces, problem.cols, problem.rows * problem.cols)
    alone = where(where(gated, problem.cols, known) % PROVEN == 0, 0.0, 1.0)
    threads = WARP * tile.warps
    each = tile.elements / threads
    operands = (problem.read_bytes + problem.written_bytes) / (
        problem.rows * problem.cols * problem.item_bytes
    )
    operands = operands + where(problem.form == "norm", 1 / tile.rows, 0.0)
    asked = where(reduces, chunks * wide, ceil_div(known, tile.elements) * tile.elements)
    used = known / asked
    turns = chunks * passes
    moves = where(alone > 0, each, each * problem.item_bytes / VECTOR_BYTES) * operands
    narrow = where((problem.item_bytes < 4) & (problem.form == "copy"), NARROW, 1.0)
    spilled = where(held, most((0, 2 * each + OTHERS - REGISTERS / threads)), 0)
    spill = SPILL * spilled * tile.warps / 32
    worked = each * problem.instructions / (problem.rows * problem.cols)
    chain = (
        BLOCK
        + START * tile.warps
        + where(reduces, REDUCTION, 0)
        + CHUNK * most((0, turns - 1))
        + chunks * ELEMENT * worked
        + turns * alone * SINGLE * each
        + spill
    )
    single = alone * narrow * SINGLE_ISSUE * moves * used
    issue = (
        tile.warps * most(((chunks * worked + turns * moves) / SCHEDULERS, turns * single)) + spill
    )
    return replace(
        tile,
        chain=chain,
        issue=issue,
        resident=where(held, tile.resident, least((32, MOST_WARPS / tile.warps))),
    )
