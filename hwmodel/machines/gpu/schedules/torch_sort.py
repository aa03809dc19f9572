"""torch's sorts and largest numbers of rows: radix passes, in a block or over the whole tensor.

Rows of up to `MOST_SMALL` numbers are sorted by a block each, in shared memory, padded to a size
that was compiled; longer ones by CUB's passes of eight bits over all rows at once, each of which
moves every number and its place, and one pass more that brings the rows apart again. The `kept`
largest of a row are found by a block that reads it once for every few bits, or, where rows are long
for their number (`MULTIBLOCK`), by many blocks that count digits; they are then sorted. Values and
their places (int64) are written.

    time = launches + clocks that hang on each other + what all processors issue, beside the DRAM

Kernels: aten/src/ATen/native/cuda/Sort.cu, SortStable.cu, TensorTopK.cu (recalled; the launches of
118 sorts of an H200 agree). Clocks are those of an H200.
"""

from dataclasses import dataclass
from typing import Any

from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.arithmetic import ceil_div, most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Work

INDEX_BYTES, DIGIT_BITS = 8, 8
MOST_SMALL = 4096
SIZES = (128, 1024, 2048, MOST_SMALL)
"""Numbers that the blocks of compiled kernels sort."""
SMALL_LAUNCHES = 4
SMALL_CLOCKS = {2: (10_000.0, 26_000.0), 4: (12_500.0, 34_000.0)}
SMALL_ISSUE = {2: (7.5, 4.3), 4: (12.0, 6.6)}
"""By bytes, of at most 128 numbers and of more: clocks of a block alone, and for a number of one
among many."""
PASS_CLOCKS, PASSES_CLOCKS, APART_CLOCKS = 15_000.0, 16_000.0, 22_000.0
"""A pass over few numbers; what comes before and after all; and what rows of their own add."""
WORD_BYTES, SCATTERED = 4, 2.3
"""Least bytes of a key that moves, and what bytes count for where neighbours part."""
MULTIBLOCK = ((20, 20_000), (40, 10_000), (80, 8_000), (200, 5_000), (800, 3_000), (4_000, 800))
LEAST_MULTIBLOCK = 400
"""Rows up to which many blocks take rows of so many numbers; of more rows (TensorTopK.cu)."""
BLOCK_THREADS = 1024
SELECT_CLOCKS, SELECT_TURN, SELECT_ISSUE = 8_000.0, 6_700.0, 11.5
"""A block that selects: alone, for each turn of its threads over the row, and clocks for a number
of one among many."""
COUNT_LAUNCHES, COUNT_CLOCKS, COUNT_ISSUE, COUNT_ROW = (8, 3), 3_300.0, 0.55, 900.0
"""Many blocks: launches, and those of a pass; clocks of each; clocks of a processor for a number
and for a row of a pass."""
SORTED_CLOCKS = (5_500.0, 22_000.0)
FEW_KEPT = 64
"""Sorting what is kept: few, or more."""


@dataclass(frozen=True)
class SortProblem:
    """`rows` rows of `cols` numbers, of which the `kept` largest are left, in order."""

    rows: Amount
    cols: Amount
    kept: Amount
    item_bytes: int


@dataclass(frozen=True)
class SortTile:
    """The launch record: digits of a number, one pass each."""

    digits: Amount = 0


MENU = (SortTile(),)


def resolved(tile: SortTile, problem: SortProblem, limits: Limits) -> SortTile:
    """As many digits as the format has."""
    return SortTile(problem.item_bytes * 8 // DIGIT_BITS + 0 * tile.digits)


def activity(problem: SortProblem, tile: SortTile, limits: Limits) -> Activity:
    """All kernels of one call: see the module."""
    whole = _truth(problem.kept >= problem.cols)
    small = _truth(problem.cols <= MOST_SMALL)
    many = _truth(by_many(problem))
    least_bytes = Work(
        read={"dram": problem.rows * problem.cols * problem.item_bytes},
        written={"dram": problem.rows * problem.kept * (problem.item_bytes + INDEX_BYTES)},
    )
    return Serial(
        (
            Repeat(whole * small, Overlap((_small(problem, limits), least_bytes))),
            Repeat(whole * (1 - small), _passes(problem, tile)),
            Repeat((1 - whole) * (1 - many), Overlap((_selected(problem, limits), least_bytes))),
            Repeat((1 - whole) * many, Overlap((_counted(problem, tile, limits), least_bytes))),
        )
    )


def by_many(problem: SortProblem) -> Any:
    """Whether many blocks take a row."""
    least: Amount = LEAST_MULTIBLOCK
    for rows, cols in reversed(MULTIBLOCK):
        least = where(problem.rows <= rows, cols, least)
    return problem.cols >= least


def _truth(value: Any) -> Amount:
    return where(value, 1, 0)


def _width(problem: SortProblem) -> int:
    """The bytes whose kernels are known: two or four."""
    return 2 if problem.item_bytes <= 2 else 4


def _small(problem: SortProblem, limits: Limits) -> Activity:
    """A block a row."""
    least: Amount = SIZES[-1]
    for size in reversed(SIZES[:-1]):
        least = where(problem.cols <= size, size, least)
    short, longer = SMALL_CLOCKS[_width(problem)]
    alone = where(least <= SIZES[0], short, longer * (1 + 0.25 * _truth(least >= SIZES[-1])))
    issue = where(least <= SIZES[0], *SMALL_ISSUE[_width(problem)]) * least
    return _blocks(problem.rows, alone, issue, SMALL_LAUNCHES, limits)


def _passes(problem: SortProblem, tile: SortTile) -> Activity:
    """CUB's passes over all rows."""
    several = _truth(problem.rows > 1)
    passes = tile.digits + several
    each_bytes = max(WORD_BYTES, problem.item_bytes) + INDEX_BYTES
    moved = problem.rows * problem.cols * each_bytes * SCATTERED
    clocks = PASSES_CLOCKS + several * APART_CLOCKS
    each = Serial((Work(slots={"cycle": PASS_CLOCKS}), Work({}, *_both(moved))))
    return Serial((Work(slots={"launch": 1, "cycle": clocks}), Repeat(passes, each)))


def _both(moved: Amount) -> tuple[dict[str, Amount], dict[str, Amount]]:
    """Bytes read and written."""
    return {"dram": moved}, {"dram": moved}


def _selected(problem: SortProblem, limits: Limits) -> Activity:
    """A block a row reads it for every few bits."""
    turns = problem.cols / BLOCK_THREADS
    alone = SELECT_CLOCKS + turns * SELECT_TURN
    found = _blocks(problem.rows, alone, SELECT_ISSUE * problem.cols, 1, limits)
    return Serial((found, _ordered(problem)))


def _counted(problem: SortProblem, tile: SortTile, limits: Limits) -> Activity:
    """Many blocks count digits."""
    launches = COUNT_LAUNCHES[0] + COUNT_LAUNCHES[1] * tile.digits
    each = problem.rows * (problem.cols * COUNT_ISSUE + COUNT_ROW)
    clocks = COUNT_CLOCKS * launches + (tile.digits + 1) * each / limits.processors
    return Serial((Work(slots={"launch": launches, "cycle": clocks}), _ordered(problem)))


def _ordered(problem: SortProblem) -> Activity:
    """The kept ones, in order."""
    several = _truth(problem.kept > 1)
    clocks = where(problem.kept <= FEW_KEPT, *SORTED_CLOCKS)
    return Work(slots={"launch": several, "cycle": several * clocks})


def _blocks(
    blocks: Amount, alone: Amount, issue: Amount, launches: Amount, limits: Limits
) -> Activity:
    """Blocks of a chain of clocks each, which share the processors' issue."""
    each = ceil_div(blocks, limits.processors)
    clocks = most((alone + 0 * each, each * issue))
    return Work(slots={"launch": launches, "fill": 1, "cycle": clocks})
