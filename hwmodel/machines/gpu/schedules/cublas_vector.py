"""A matrix times a vector in cuBLAS: a product of one row, or of one column, of any alignment.

Rows of the matrix are read once, by warps whose threads add terms of K one after the other (gemvx,
gemv2T), or by blocks along K (dot). Few long rows are cut into parts, which a second kernel adds.
One form stands for the three: what a call waits, what the processors' threads do for each row and
each term, and the DRAM's stream, one after the other. Fitted to half of 2,000 calls traced on an
H200 (cuBLAS 13.1); the others are 13 % off (38 % where a row was told as a tile, or as a stream).
"""

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.spine.activity import Activity, Serial, Work

DOT_ROWS, DOT_TERMS = 128, 1024
SHORT_ROWS, LONG_TERMS = 528, 4096
FEW_ROWS, LONGEST_TERMS = 4096, 16384
"""Up to so many rows with more than so many terms are cut into parts (read from launches)."""

STRETCH, SLOTS = 1024, 8
"""Terms of a part at least, and blocks of a processor that parts fill (the same)."""

CHAIN, DEEPEST = 1.95, 3168
"""Clocks from one term to the next of a thread's sum, and terms that are not hidden."""

ROW_CLOCKS, WORD_ROW_CLOCKS = 3.72, 6.62
TERM_CLOCKS, WORD_TERM_CLOCKS = 0.097, 0.01
"""Clocks of a processor for a row, and for a term of it: of 16 bits and of 32."""

DOT_CLOCKS = 0.8
"""Clocks of a processor for a term of the vector where dot's blocks read it for each row."""

ADDED, ADDED_PART = 1030.0, 200.0
"""Clocks of the kernel that adds parts, and of each part there but of dot's."""

BEGIN = 0.88
"""Its launch over that of bulk kernels."""


def activity(problem: GemmProblem, limits: Limits) -> Activity:
    """One call."""
    rows, terms = problem.batch * (problem.M + problem.N - 1), problem.K
    dot = np.asarray(rows <= DOT_ROWS) & np.asarray(terms > DOT_TERMS)
    cut = dot | (np.asarray(rows <= SHORT_ROWS) & np.asarray(terms > LONG_TERMS))
    cut |= np.asarray(rows <= FEW_ROWS) & np.asarray(terms > LONGEST_TERMS)
    filled = most((1, floor_div(SLOTS * limits.processors, rows)))
    parts = where(cut, least((ceil_div(terms, STRETCH), filled)), 1)
    words = element_bytes(problem.dtype_a) >= bytes_of("fp32")
    row, term = (WORD_ROW_CLOCKS, WORD_TERM_CLOCKS) if words else (ROW_CLOCKS, TERM_CLOCKS)
    vectors = where(dot, DOT_CLOCKS * problem.batch * terms, 0.0)
    walked = (rows * (row + term * terms) + vectors) / limits.processors
    waits = CHAIN * least((terms / parts, DEEPEST))
    added = where(cut, ADDED, 0.0) + where(cut & ~dot, ADDED_PART * parts, 0.0)
    read = rows * terms * bytes_of(problem.dtype_a)
    vector = problem.batch * terms * bytes_of(problem.dtype_b)
    written = problem.batch * problem.M * problem.N * bytes_of(problem.dtype_out)
    return Serial(
        (
            Work(slots={"launch": BEGIN, "cycle": waits + walked + added}),
            Work(read={"dram": read + vector}, written={"dram": written}),
        )
    )
