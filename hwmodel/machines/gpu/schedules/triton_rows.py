"""What a block of our own row kernels in Triton does, in clock cycles, from its launch record.

A kernel that reduces holds its rows, or walks one in chunks as often as it has passes; an
elementwise one takes a stretch. A thread has `elements` / (32 `warps`) of them at a time.

Where the length that the kernel knows is a multiple of 16 a thread moves 16 bytes at a time,
otherwise element by element (Triton vectorises what it can prove aligned). Of a row that is reduced
neighbouring threads then take neighbouring elements; of a stretch, a thread still keeps 16 bytes to
itself, so that each of its stores fills a part of sixteen sectors: a processor sends one of those a
cycle, and the L2 takes them at half that rate where they are narrower than a word. It works off the
last ones while the next kernel starts. Stores that arithmetic keeps apart from other warps' merge.

Registers decide how many blocks a processor holds; elements beyond them are spilled. A row that a
kernel reads again comes from the L1 while the rows of all blocks there fit, else from the L2.

Instructions, registers and loops are what Triton 3.6 and its ptxas make for sm_90a, rounded.
Constants in cycles are fitted to half of the measured rows of H200s, without a sitting in which a
call took 0.4 us less than in the others, whatever its kernel.
"""

from dataclasses import dataclass, replace
from typing import Any

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import SCHEDULERS, RowProblem, RowTile
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.units import Amount

WARP = 32
VECTOR_BYTES = 16
PROVEN = 16
"""Multiple of elements that Triton's specialisation proves of an argument."""
NAMEABLE = 255
"""Registers that a thread can name (CUDA C++ Programming Guide, capability 9.0)."""

BEGIN, BEGIN_REDUCED = 24, 60
"""Instructions of a thread, whatever its elements: of a stretch, of rows."""
NORM, SOFTMAX, SINGLE_HELD = 8.0, 12.5, 8.0
"""Instructions for an element of a row that is held, and more where it is moved alone."""
MAXIMUM, RUNNING, SUM, QUOTIENT = 5.0, 16.0, 8.0, 9.4
"""The same in the loops of a walk: of three passes the first two, of two the first, the last of
both. An exponential keeps its unit busy for 8 cycles of a warp."""
SINGLE_LOAD, SINGLE_STORE = 3.2, 2.8
SINGLE_MAP, SINGLE_OPERAND, SINGLE_ADDRESS = 3.0, 2.0, 6.0
"""Elements of a stretch moved alone: an instruction to convert, two a load, six where more than
`AT_ONCE` of a thread do not share their addresses."""
AT_ONCE = 8
UNROLLED = 4
"""Turns of the loop over maxima that are loaded at once, where a turn has up to `AT_ONCE`."""

THREAD, THREAD_NORM, THREAD_ALONE = 16, 8, 8
"""Registers beside one an element, of rows that are held: of all, of norms for their weights, and
where elements are moved alone, which also takes half a register each and one a warp."""
FEW, COPIED, MAPPED, WALKED, WALKED_TWICE = 32, 64, 80, 40, 64
"""Registers of a thread of any other kernel with up to `AT_ONCE` elements; of more that are moved
alone, copied or mapped; of a walk over more, in three passes (16 more if alone) and in two."""
HEAVY = 8
"""Instructions for an element from which arithmetic keeps the stores of warps apart."""

INSTRUCTION = 5.0
"""Cycles for an instruction of a warp that has a scheduler to itself."""
HIDDEN = 170
"""Instructions that run while the launch is still under way."""
ISSUE = 1.2
"""Cycles a scheduler takes for an instruction, of many warps."""
REDUCTION = 430.0
"""A reduction across warps: into shared memory, a barrier, and back."""
WAIT = 520.0
"""A block that follows another waits for its first load."""
CHUNK, NEAR, FAR = 200.0, 150.0, 900.0
"""Wait for one more chunk from the DRAM, and for a chunk again from the L1 and from the L2."""
L1_BYTES = 220e3
"""Bytes of rows that the L1 keeps (of 256 KiB)."""
TRANSFER, SHARED = 0.02, 0.015
"""Cycles for a byte of rows that a block holds: through its processor's port, and where all
processors draw from the DRAM and a block has no neighbour that works meanwhile."""
SINGLE = 3.0
"""Cycles of a processor for a warp's load or store of single elements in a row."""
PARTIAL, PARTIAL_L2, PARTIAL_HALF = 0.48, 0.5, 1.04
"""Cycles for an element stored alone in a stretch: of a processor, and its share of the L2 for
words and for half words."""
MERGED = 0.35
"""The same where stores merge, over that where they do not."""
BACKLOG = 3400.0
"""Cycles of such stores that the L2 works off while the next kernel starts."""
SPILL, SPILL_KEPT = 270.0, 100
"""Round trip of a spilled register of all threads of a 32-warp block, twice that where all
processors spill; and registers wanted of a thread up to which what is spilled stays near."""
WANTED_NORM, WANTED_SOFTMAX = 2.5, 1.9
"""Registers for an element that is held, where they no longer suffice."""


@dataclass(frozen=True)
class _Form:
    """What the compiled kernel is.

    Conditions, the elements that a thread has at a time, turns of its loop and passes, the share of
    a block's elements that exist, and of an element the instructions and operands.
    """

    reduces: Any
    held: Any
    norm: Any
    alone: Amount
    each: Amount
    chunks: Amount
    passes: Amount
    used: Amount
    arithmetic: Amount
    operands: Amount


def filled(tile: RowTile, problem: RowProblem, limits: Limits) -> RowTile:
    """The launch record with cycles of a block, and the blocks that a processor really holds."""
    form = _form(tile, problem)
    walked = form.reduces & ((form.chunks > 1) | (form.passes > 1))
    size = problem.rows * problem.cols
    resident = _resident(tile, form, limits)
    blocks = where(form.reduces, ceil_div(problem.rows, tile.rows), ceil_div(size, tile.elements))
    full = most((1, blocks / limits.processors))
    busy = least((1, blocks / limits.processors))
    beside = most((1, least((resident, ceil_div(blocks, limits.processors)))))
    far = where(beside * problem.row_bytes > L1_BYTES, 1.0, 0.0)
    wanted = where(form.norm, WANTED_NORM, WANTED_SOFTMAX) * form.each
    spilled = where(form.held, most((0, wanted - SPILL_KEPT)), 0)
    spill = SPILL * spilled * tile.warps / 32 * (1 + busy)
    singles = tile.warps * SINGLE * _singles(tile, form)
    slots = _instructions(form)
    waits = where(walked, _waits(form, far), 0)
    held_bytes = tile.rows * problem.row_bytes * where(form.norm, 2 + 1 / tile.rows, 2)
    moved = where(form.held, held_bytes * (TRANSFER + SHARED * busy / beside) + singles, 0)
    rows_threads = (
        tile.elements
        / tile.rows
        / where(form.alone > 0, 1, least((form.each, VECTOR_BYTES / problem.item_bytes)))
    )
    across = where(form.reduces & (rows_threads > WARP), where(form.norm, 1, 2), 0)
    chain = INSTRUCTION * most((0, slots - HIDDEN)) + REDUCTION * across
    issue = tile.warps * slots * ISSUE / SCHEDULERS + spill
    return replace(
        tile,
        chain=chain + waits + moved + spill,
        issue=most((issue, singles, _partial(tile, problem, form, full))),
        wait=WAIT,
        resident=resident,
        rereads=where(walked, (form.passes - 1) * far, 0),
    )


def _form(tile: RowTile, problem: RowProblem) -> _Form:
    reduces: Any = problem.row_bytes > 0
    size = problem.rows * problem.cols
    passes = 1 + tile.rereads
    chunks = where(reduces, ceil_div(problem.cols, tile.elements / tile.rows), 1)
    stretch = size / (ceil_div(size, tile.elements) * tile.elements)
    known = where(reduces | (problem.form == "gated"), problem.cols, size)
    return _Form(
        reduces=reduces,
        held=reduces & (chunks <= 1) & (passes <= 1),
        norm=reduces & ("softmax" not in problem.form),
        alone=where(known % PROVEN == 0, 0.0, 1.0),
        each=tile.elements / (WARP * tile.warps),
        chunks=chunks,
        passes=passes,
        used=where(reduces, problem.cols / (chunks * tile.elements / tile.rows), stretch),
        arithmetic=problem.instructions / size,
        operands=problem.read_bytes / (size * problem.item_bytes) // 1,
    )


def _instructions(form: _Form) -> Amount:
    """Instructions of a thread from start to end."""
    held = where(form.norm, NORM, SOFTMAX) + SINGLE_HELD * form.alone
    load = SINGLE_LOAD * form.alone
    thrice = form.passes > 2
    walk = where(thrice, MAXIMUM + SUM + load, RUNNING) + load
    walk = walk + QUOTIENT + load + SINGLE_STORE * form.alone
    rows = BEGIN_REDUCED + form.each * where(form.held, held, form.chunks * walk)
    single = SINGLE_MAP + SINGLE_OPERAND * form.operands
    single = single + where(form.each > AT_ONCE, SINGLE_ADDRESS, 0)
    stretch = BEGIN + form.each * (1 + form.arithmetic + form.alone * single)
    return where(form.reduces, rows, stretch)


def _resident(tile: RowTile, form: _Form, limits: Limits) -> Amount:
    """Blocks that a processor holds: by their registers and threads."""
    threads = WARP * tile.warps
    many = form.each > AT_ONCE
    alone = form.alone * (form.each / 2 + tile.warps + THREAD_ALONE)
    held = THREAD + where(form.norm, THREAD_NORM, 0) + form.each + alone
    walked = where(form.passes > 2, WALKED + 16 * form.alone, WALKED_TWICE)
    stretch = where(form.arithmetic > 0, MAPPED, COPIED) * form.alone
    other = where(many, most((FEW, where(form.reduces, walked, stretch))), FEW)
    wanted = where(form.held, held, other)
    registers = 8 * ceil_div(least((NAMEABLE, wanted, limits.registers / threads)), 8)
    by_registers = limits.registers / (registers * threads) // 1
    return most((1, least((limits.max_blocks, limits.max_threads / threads, by_registers))))


def _waits(form: _Form, far: Amount) -> Amount:
    """Cycles that a walk waits for its chunks, all but the first."""
    unrolled = (form.passes > 2) & (form.alone == 0) & (form.each <= AT_ONCE)
    first = (form.chunks - 1) * CHUNK / where(unrolled, UNROLLED, 1)
    return first + form.chunks * (form.passes - 1) * (NEAR * (1 - far) + FAR * far)


def _singles(tile: RowTile, form: _Form) -> Amount:
    """Loads and stores of single elements by a thread of a row's block."""
    held = form.each * where(form.norm, 2 + 1 / tile.rows, 2)
    walked = form.chunks * form.each * (form.passes + 1)
    return where(form.reduces, form.alone * form.used * where(form.held, held, walked), 0)


def _partial(tile: RowTile, problem: RowProblem, form: _Form, full: Amount) -> Amount:
    """Cycles of a processor for the partial sectors that a stretch stores."""
    stored = form.alone * form.used * tile.elements
    merged = where((form.arithmetic > HEAVY) & (form.each <= AT_ONCE), MERGED, 1.0)
    shared = where(problem.item_bytes < 4, PARTIAL_HALF, PARTIAL_L2)
    cycles = most((stored * merged * PARTIAL, stored * merged * shared - BACKLOG / full))
    return where(form.reduces, 0, cycles)
