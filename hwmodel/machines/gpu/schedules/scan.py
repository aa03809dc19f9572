"""Schedule of a linear recurrence: blocks of a state that stay on chip while tokens pass.

A prompt's kernels (mamba-ssm, flash-linear-attention) are a few launches over chunks of tokens:
products inside of chunks, then the states at their ends one after the other, then what the states
add. They are counted together: a block takes `SIDE` values by as many keys of a head's state, or
those that there are, does its share of all operations, and waits at every step of the recurrence;
inputs are read and outputs written once, and states that pass from one launch to another are
written and read. Where every channel decays by itself there are no products: one launch, a block
for `CHANNEL` elements, whose threads scan `STRETCH` tokens together (mamba-ssm,
csrc/selective_scan). One token's kernel reads and writes the state and is over.
"""

from dataclasses import dataclass, field

from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.arithmetic import ceil_div, most
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Overlap, Serial, Waves, Work

SIDE = 64
"""Values, and keys, of a state that a block holds (Dao and Gu's Triton kernels)."""

CHANNEL, STRETCH = 16, 2048
"""Elements of a state that a block holds without products, and tokens of a step."""


@dataclass(frozen=True)
class ScanProblem:
    """Bytes read and written in all, operations in all, `state` elements that `steps` update.

    `passed_bytes` are states between the launches of a prompt (0: one launch). `dtype` is the
    format of what is read; `products` whether matrices are multiplied. The state is `columns` of
    equal height, `values` of a head; `tokens` pass each. `solves`: a chunk solves a system first.
    """

    state: Amount
    steps: Amount
    read_bytes: Amount
    written_bytes: Amount
    passed_bytes: Amount
    dtype: str
    products: bool = True
    operations: dict[Operation, Amount] = field(default_factory=lambda: {})
    columns: Amount = 1
    values: Amount = 1
    tokens: Amount = 1
    solves: bool = False

    @property
    def kv_dtype(self) -> str:
        """Both operands have one format."""
        return self.dtype


@dataclass(frozen=True)
class ScanTile:
    """The launch record: blocks resident on a processor, launches of a prompt."""

    resident: Amount = 2
    launches: Amount = 5


def activity(problem: ScanProblem, tile: ScanTile, limits: Limits) -> Activity:
    """All launches of one call: see the module."""
    blocks = _of_heads(problem) if problem.products else ceil_div(problem.state, CHANNEL)
    steps = problem.steps if problem.products else ceil_div(problem.steps, STRETCH)
    several = 1 if _none(problem.passed_bytes) else tile.launches
    if several != 1:
        blocks = blocks * most((1, problem.steps))
    block = Work(operations={key: n / blocks for key, n in problem.operations.items()})
    moved = Work(
        read={"dram": problem.read_bytes + problem.passed_bytes},
        written={"dram": problem.written_bytes + problem.passed_bytes},
    )
    return Serial(
        (
            Work(slots={"launch": several, "step": steps}),
            Overlap((Waves(blocks, limits.processors * tile.resident, block), moved)),
        )
    )


def _of_heads(problem: ScanProblem) -> Amount:
    """Blocks of all heads; a side that fills none is a block's, too."""
    heads, keys = problem.columns / problem.values, problem.state / problem.columns
    return heads * ceil_div(problem.values, SIDE) * ceil_div(keys, SIDE)


def _none(amount: Amount) -> bool:
    return isinstance(amount, int) and amount == 0
