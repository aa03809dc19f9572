"""Row kernels that a compiler fuses (torch Inductor's Triton) or an engine writes by hand.

A block takes a row where anything is reduced along it, and walks it once for each pass: alone it
waits for each load, with neighbours the processor's issue slots are what it takes. Norms walk a row
twice; those that narrow it too, three times, since the largest element is known only after that.
Elementwise kernels stream; those on views (rotary embedding, writes into a paged cache) issue
narrower accesses, and stream at a pace of their own (`engine`). What sums many rows into one loads
them one after the other. Rows narrowed by groups, each with a scale of its own, are run by kernels
that an engine writes by hand: a norm's block takes a row, slowly; a gate's takes a group, so that
starting blocks is what it takes.
"""

from dataclasses import replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.rows import RowProblem, RowTile
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.units import Amount

MENU = (RowTile(elements=1024, warps=8, resident=8),)

ALONE = (0.0, 0.0, 0.38, 1.25)
BESIDE = (0.0, 0.0, 0.34, 0.70)
"""Clocks for each column of a row, by passes: of a block alone, and of its processor's issue slots
(fitted: H200, rows of vLLM 0.22.1's steps of 1 to 2,048 tokens)."""

CHOICE, MOST_SCORES = 4000.0, 1024
"""Clocks of a block that ranks scores, of so many experts at most: shuffles for each one chosen
(fitted, there)."""

PACES = {"copy": 2.3, "strided": 1.0, "gather": 1.0}
"""Bytes that a form's accesses count for, in those of rotary embedding (fitted, there)."""

NORM_ALONE, NORM_BESIDE = (2000.0, 1.75), (800.0, 0.95)
"""Clocks of a norm that narrows by groups, and for each column: of a block alone, and of issue
slots (counted: H200, rows of 2,048 and 4,096 columns in vLLM 0.22.1's steps of 1 to 8,192 tokens).
"""

WIDE_GROUP = 64
"""Elements of a group from which on those kernels are taken (128 were measured): groups of nvfp4
(16) and of the mx formats (32) share a block."""

NARROWED = 2
"""Passes over rows that are narrowed and no more: the largest element, then all of them."""

GATED_GROUP, PLAIN_GROUP = 195.0, 53.0
"""Issue slots of a group of a gate's kernel, which is a block of its own, and of one that only
narrows (counted, there: 20.1 us of 256 rows of 12,288 columns, 599 us of 8,192)."""

SUMMED_FROM, LOADS, SUMMED = 4.0, 8500.0, 1.1
"""Rows summed into one beyond which torch's reduction runs in place of a kernel of vLLM's own, and
a copy after it; clocks of a block of both, and bytes that one of theirs counts for, in those of
rotary embedding (fitted, there: 5.7 us of few tokens, 2.2 TB/s of 8,192)."""


def resolved(tile: RowTile, problem: RowProblem, limits: Limits) -> RowTile:
    """What a block of vLLM's does for these rows."""
    if problem.group >= WIDE_GROUP:
        return _by_groups(tile, problem, 0 * tile.elements)
    return joined(tile, problem, limits)


def joined(tile: RowTile, problem: RowProblem, limits: Limits) -> RowTile:
    """What a block does where groups are scaled by the kernel that makes their rows, too."""
    column = 0 * tile.elements
    if np.all(np.asarray(problem.row_bytes) > 0):
        passes = min(problem.passes, len(ALONE) - 1)
        scores = "softmax" in problem.form and np.all(np.asarray(problem.cols) <= MOST_SCORES)
        ranked = CHOICE if scores else 0.0
        return replace(
            tile,
            chain=problem.cols * ALONE[passes] + ranked + column,
            issue=problem.cols * BESIDE[passes] + column,
            engine=column,
        )
    each = problem.read_bytes / most((problem.written_bytes, 1))
    summed = each > SUMMED_FROM
    return replace(
        tile,
        elements=tile.elements * where(summed, each, 1.0),
        chain=where(summed, LOADS, 0.0) + column,
        engine=where(summed, SUMMED, PACES.get(problem.form, 0.0)) + column,
    )


def _by_groups(tile: RowTile, problem: RowProblem, column: Amount) -> RowTile:
    """A norm by rows; a gate, which reads two elements for each that it writes, by groups."""
    if problem.passes > NARROWED:
        alone, beside = (fixed + each * problem.cols for fixed, each in (NORM_ALONE, NORM_BESIDE))
        return replace(tile, chain=alone + column, issue=beside + column, engine=column)
    gated = problem.read_bytes > 3 * problem.item_bytes * problem.rows * problem.cols / 2
    clocks = where(gated, GATED_GROUP, PLAIN_GROUP) + column
    return replace(tile, rows=problem.group / problem.cols, issue=clocks, engine=column)
