"""Schedule of a row kernel: blocks take whole rows, or stretches of elements, in waves.

Norms, softmax and all elementwise kernels: [rows, cols] in, [rows, cols] out. A kernel's time is

    launch + first load + loads queueing  +  (blocks' cycles, DRAM, L2 overlapped)

A block alone on a processor takes `chain` clock cycles, a chain of dependent instructions; with
neighbours it takes no less than their `issue` cycles together, which share the processor's
schedulers; a block that follows another waits `wait` cycles for its own first load, and the last
one, a partial one, takes `last` more. Waves of blocks repeat that. Loads queue by the square root
of the share of block slots that are taken: latency climbs steeply while the first processors start,
and slowly as the memory fills up.

Rows that a kernel reads again after their reduction come from the L2 while all rows in flight fit
into `KEPT` of it, and from the DRAM once they take twice that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.arithmetic import ceil_div, least, most, root, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Overlap, Repeat, Serial, Waves, Work

KEPT = 0.326
"""Share of the L2 in which rows stay until they are read again (fitted, H200): writes take as much
as reads, and each half of the L2 keeps its own copy of what the other half owns."""


SCHEDULERS = 4
"""Warp schedulers of a processor, an instruction a cycle each (CUDA guide, capability 9.0)."""


PARTED_ANYHOW = ("map", "copy")
"""Forms of kernels that do not know their rows."""


@dataclass(frozen=True)
class RowProblem:
    """`rows` rows of `cols` elements; bytes read and written in all, and operations in all.

    `row_bytes` is what one row occupies while its reduction is under way (0: no reduction);
    `passes` is how many times the cascade traverses it. `form` is what a library tells apart:
    "copy", "map" (elementwise), "gather" (rows out of a table), "norm" (reduced, then scaled),
    "softmax" (exponentials of a reduced row) or "log softmax" (their logarithms). `item_bytes` is
    the width of an element, `instructions` what a lane issues for the arithmetic of one, `atomics`
    how many additions are atomic: all, and at one address. `reducer` is the operator of a plain
    reduction ("add", "max"). `group` is how many elements of what is written share a scale.
    """

    rows: Amount
    cols: Amount
    read_bytes: Amount
    written_bytes: Amount
    operations: dict[Operation, Amount] = field(default_factory=lambda: {})
    row_bytes: Amount = 0
    passes: int = 1
    form: str = "map"
    item_bytes: Amount = 2
    instructions: Amount = 1
    atomics: tuple[Amount, Amount] = (0, 0)
    reducer: str = ""
    group: int = 1

    def size(self, name: str, ranges: Mapping[str, tuple[float, float]]) -> Amount | None:
        """A size that a fit's `ranges` bound; of elementwise kernels the nearest that is as large.

        As many elements in one row, or in many, are the same elementwise kernel.
        """
        whole = name in ("rows", "cols") and self.form in PARTED_ANYHOW
        if not whole or not {"rows", "cols"} <= set(ranges):
            return getattr(self, name, None)
        elements = self.rows * self.cols
        rows = clipped(elements / clipped(self.cols, ranges["cols"]), ranges["rows"])
        return rows if name == "rows" else elements / rows


def clipped(size: Amount, within: tuple[float, float]) -> Amount:
    """The nearest number within a range."""
    return least((most((size, within[0])), within[1]))


@dataclass(frozen=True)
class RowTile:
    """The launch record: elements per block, warps, blocks resident per processor, rows per block.

    The rest says what a block does, in clock cycles of its processor (`chain`, `issue`, `wait`,
    `last`: see the module), how often it reads its rows again, whether a copy engine does the work,
    and whether a second kernel follows that reads the rows again and writes them. `first` is the
    wait for its first load, in those of most kernels.
    """

    elements: Amount = 2048
    warps: Amount = 8
    resident: Amount = 4
    rows: Amount = 1
    chain: Amount = 0
    issue: Amount = 0
    wait: Amount = 0
    last: Amount = 0
    rereads: Amount = 0
    engine: Amount = 0
    second: Amount = 0
    second_resident: Amount = 1
    second_chain: Amount = 0
    second_issue: Amount = 0
    first: Amount = 1


def activity(problem: RowProblem, tile: RowTile, limits: Limits) -> Activity:
    """One row kernel, or two where the library takes two: see the module."""
    reduces = problem.row_bytes > 0
    stretches = ceil_div(problem.rows * problem.cols, tile.elements)
    blocks = where(reduces, ceil_div(problem.rows, tile.rows), stretches)
    once = 1 - tile.second
    in_flight = least((problem.rows, tile.resident * limits.processors * tile.rows))
    again = where(reduces, missed(in_flight, problem, limits), 1)
    main = Work(
        operations=problem.operations,
        atomics=problem.atomics,
        read={
            "dram": problem.read_bytes * (1 + tile.rereads * again),
            "l2": problem.read_bytes * (1 + tile.rereads),
            "engine": problem.read_bytes * tile.engine,
        },
        written={
            "dram": problem.written_bytes * once,
            "l2": problem.written_bytes * once,
            "engine": problem.written_bytes * tile.engine,
        },
    )
    cycles = (tile.chain, tile.issue, tile.wait, tile.last)
    first = kernel(blocks, tile.resident, cycles, main, limits, tile.first)
    if isinstance(tile.second, int) and tile.second == 0:
        return first
    after = Work(
        read={
            "dram": problem.read_bytes * missed(problem.rows / 2, problem, limits),
            "l2": problem.read_bytes,
        },
        written={"dram": problem.written_bytes, "l2": problem.written_bytes},
    )
    cycles = (tile.second_chain, tile.second_issue, 0, 0)
    then = kernel(blocks, tile.second_resident, cycles, after, limits)
    return Serial((first, Repeat(tile.second, then)))


def missed(rows: Amount, problem: RowProblem, limits: Limits) -> Amount:
    """Share of `rows` rows in flight that the L2 has lost by the time they are read again."""
    kept = KEPT * limits.capacity_bytes["l2"]
    return least((1, most((0, rows * problem.row_bytes / kept - 1))))


def kernel(
    blocks: Amount,
    resident: Amount,
    cycles: tuple[Amount, Amount, Amount, Amount],
    work: Work,
    limits: Limits,
    first: Amount = 1,
) -> Activity:
    """A launch and the `first` load, then waves of blocks while the memory streams."""
    chain, issue, wait, last = cycles
    slots = limits.processors * resident
    turns = ceil_div(blocks, slots)
    neighbours = ceil_div(blocks, limits.processors) / turns
    taken = most((chain + wait * (1 - 1 / turns) + last / turns, neighbours * issue))
    queued = root(least((1, blocks / slots)))
    block = Work(
        operations={("issue", "slot", "warp"): issue * SCHEDULERS},
        slots={"cycle": taken},
        live={"processors": 1 / resident},
    )
    return Serial(
        (
            Work(slots={"launch": 1, "fill": first, "queue": queued}),
            Overlap((Waves(blocks, slots, block), work)),
        )
    )
