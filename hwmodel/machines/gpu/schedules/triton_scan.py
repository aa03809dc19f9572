"""A recurrence in chunks whose state never leaves the chip: our kernels, in one launch.

A block owns `block_v` columns of a head's state and walks its tokens, `chunk` at a time: products
inside of the chunk, with the state from before, and to the state after (`kernels/chunk_scan.py`,
`kernels/linear_attention.py`, `kernels/delta_rule.py`). So only inputs and outputs cross the DRAM's
boundary, and the steps of a head are one after the other; few heads leave most processors idle.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.fused_blocks import (
    MOST_REGISTERS,
    WARP,
    block_operations,
    blocks_and_stream,
    resident,
)
from hwmodel.machines.gpu.schedules.scan import ScanProblem
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div, most, where
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Work

DECAYS, FEATURES = 12, 4
"""Vector instructions for a score of a chunk (masks, decays, exponentials), and for a row of the
state and token (products of two features, conversions)."""
CHAIN, CHAIN_STATE, DECAYED = 4400, 0.8, 9100
"""Clocks of a step that hang on each other: products, barriers, loads, and for each number of the
state that a block holds, which is rounded, stored for the products and summed to; where scores
decay, sums of gates and exponentials outlast the state (H200)."""
HELD, SPILLED_BYTES = 32, 16
"""Registers of a thread's share of the state from which others are spilled, and the bytes of those
for each beyond (compiled for sm_90)."""
KEPT_BYTES = 1 << 17
"""Spilled registers of a processor that its L1 holds beside shared memory; others pass the L2."""
SOLVED, LINE_LANES = (17_800, 250, 12), 6
"""Clocks of a step that solves a system: all; for each of its tokens, whose rows wait one for
another and pass shared memory; and for each column (fitted to ten rows of one H200). Vector
instructions for each number of a square and row."""
SYSTEM = "tf32"
"""Format in which systems are multiplied."""
SQUARE = 16
"""Tokens of a square on the diagonal of a chunk's triangular system, inverted row by row."""


@dataclass(frozen=True)
class ChunkTile:
    """Tokens of a chunk, columns of the values that a block owns, its warps, stages of loads."""

    chunk: Amount = 64
    block_v: Amount = 64
    warps: Amount = 8
    stages: Amount = 1


SCANNED = (ChunkTile(64, 64, 8, 1),)
"""A state of 128 rows by 64 columns of fp32 sums is 32 KiB of registers."""
LEAST_COLUMNS = 64
"""Columns that a scan with decays takes at least: of 32, ptxas (Triton 3.6, sm_90) makes a kernel
that sums what it should not (28 % off) or reads elsewhere; unoptimised, it is right."""
POWERS = (ChunkTile(64, 32, 4, 1), ChunkTile(64, 64, 8, 1), ChunkTile(64, 128, 8, 1))
"""The state of 16 features by powers of scores is 257 rows."""
DELTAS = (ChunkTile(32, 64, 4, 1), ChunkTile(64, 64, 8, 1), ChunkTile(32, 128, 8, 1))
"""The gated delta rule: short chunks, whose systems are small, and longer ones."""
MENU = tuple(dict.fromkeys((*SCANNED, *POWERS, *DELTAS)))


def doublings(chunk: int) -> int:
    """Factors of the inverse of a chunk's system, once squares on its diagonal are inverted."""
    return (chunk // SQUARE - 1).bit_length()


def activity(problem: ScanProblem, tile: ChunkTile, limits: Limits) -> Activity:
    """One kernel: see the module. Raises `CoverageError` where no matrices are multiplied."""
    if not problem.products:
        raise CoverageError(
            "kernel 'triton' has no kernel of this recurrence: chunk_scan.py, linear_attention.py"
            " and delta_rule.py multiply scores and states; ask for kernel 'recurrences'"
        )
    heads = problem.columns / problem.values
    parts = ceil_div(problem.values, tile.block_v)
    rows = problem.state / problem.columns
    steps = ceil_div(problem.tokens, tile.chunk)
    inside = 2 * tile.chunk * tile.chunk * tile.block_v * 2
    passed = 4 * tile.chunk * rows * tile.block_v
    lanes = tile.chunk * (DECAYS * tile.chunk + FEATURES * rows)
    held = rows * tile.block_v / (tile.warps * WARP)
    on_each = resident(tile.warps, MOST_REGISTERS, limits)
    spilled = most((0, held - HELD)) * SPILLED_BYTES * tile.warps * WARP
    beyond = 2 * steps * most((0, spilled - KEPT_BYTES / on_each))
    operations = block_operations(steps * (inside + passed), problem.dtype, steps * lanes)
    clocks = where(_decays(rows), DECAYED, CHAIN + CHAIN_STATE * rows * tile.block_v)
    if problem.solves:
        for key, count in _solved(problem, tile, rows).items():
            operations[key] = operations.get(key, 0) + steps * count
        clocks = SOLVED[0] + SOLVED[1] * tile.chunk + SOLVED[2] * tile.block_v
    block = Work(operations, read={"l2": beyond, "port": beyond})
    stream = Work(
        read={"dram": problem.read_bytes},
        written={"dram": problem.written_bytes},
    )
    return blocks_and_stream(heads * parts, on_each, block, steps * clocks, stream, limits)


def resolved(tile: ChunkTile, problem: ScanProblem, limits: Limits) -> ChunkTile:
    """The tile with as many columns as its kernel takes at least."""
    rows = problem.state / problem.columns
    columns = where(_decays(rows), most((tile.block_v, LEAST_COLUMNS)), tile.block_v)
    return replace(tile, block_v=columns)


def _decays(rows: Amount) -> Any:
    """Whether a state has as many rows as a key: attention by powers has a row more for ones."""
    return np.exp2(np.round(np.log2(rows))) == rows


def _solved(problem: ScanProblem, tile: ChunkTile, rows: Amount) -> dict[Operation, Amount]:
    """What a chunk's triangular system adds: its numbers, its inverse, and what that multiplies."""
    chunk, columns = tile.chunk, tile.block_v
    twice = np.log2(chunk / SQUARE)
    made = 2 * chunk * chunk * rows + 2 * chunk * rows * columns
    system = 2 * chunk * chunk * (chunk * most((1, twice)) + columns * (twice + 1))
    found = block_operations(made, problem.dtype, LINE_LANES * SQUARE * chunk)
    unit, kind = product_unit(SYSTEM, SYSTEM)
    found[unit, "flop", kind] = found.get((unit, "flop", kind), 0) + system
    return found
