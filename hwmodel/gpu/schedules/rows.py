"""Schedule of a row kernel: each thread block takes whole rows, reads them once, writes them once.

A block takes as many whole rows as make up its stretch of elements, at least one.

Norms, softmax and all elementwise kernels: [rows, cols] in, [rows, cols] out, every tensor through
the DRAM once. A row is held in registers between its reduction and its use, so that one pass over
the DRAM suffices whatever the number of passes of the cascade, while a row fits the block; longer
rows are read once more per pass from the L2 or, beyond it, from the DRAM.
"""

from dataclasses import dataclass, field

from hwmodel.activity import Activity, Operation, Overlap, Serial, Waves, Work
from hwmodel.arithmetic import ceil_div, least, where
from hwmodel.hardware import Limits
from hwmodel.units import Amount


@dataclass(frozen=True)
class RowProblem:
    """`rows` rows of `cols` elements; bytes read and written in all, and operations in all.

    `row_bytes` is what one row occupies while its reduction is under way (0: no reduction);
    `passes` is how many times the cascade traverses it.
    """

    rows: Amount
    cols: Amount
    read_bytes: Amount
    written_bytes: Amount
    operations: dict[Operation, Amount] = field(default_factory=lambda: {})
    row_bytes: Amount = 0
    passes: int = 1


@dataclass(frozen=True)
class RowTile:
    """The launch record: elements per block, threads, and blocks resident per processor.

    A block of a kernel that reduces takes `rows` whole rows, `elements / rows` columns at a time.
    """

    elements: Amount = 2048
    warps: Amount = 8
    resident: Amount = 4
    rows: Amount = 1


def menu(reduces: bool) -> tuple[RowTile, ...]:
    """The library's one choice: a block for each row, or for a stretch of elements."""
    return (RowTile(elements=2048, resident=4 if reduces else 8),)


def activity(problem: RowProblem, tile: RowTile, limits: Limits) -> Activity:
    """One row kernel: launch, then waves of blocks over the DRAM stream."""
    total = problem.rows * problem.cols
    stretches = ceil_div(total, tile.elements)
    blocks = where(problem.row_bytes > 0, least((problem.rows, stretches)), stretches)
    slots = limits.processors * tile.resident
    moved = (problem.read_bytes + problem.written_bytes) / blocks
    block = Work(
        operations={key: count / blocks for key, count in problem.operations.items()},
        read={"port": moved, "l2": moved},
        slots={"fill": 1},
    )
    held = limits.registers * 4 * 0.5
    again = where(problem.row_bytes > held, problem.passes - 1, 0)
    live = problem.row_bytes * slots
    missed = where(live > limits.capacity_bytes["l2"], again, 0)
    return Serial(
        (
            Work(slots={"launch": 1}),
            Overlap(
                (
                    Waves(blocks, slots, block),
                    Work(
                        read={
                            "dram": problem.read_bytes * (1 + missed),
                            "l2": problem.read_bytes * again,
                        },
                        written={"dram": problem.written_bytes},
                    ),
                )
            ),
        )
    )
