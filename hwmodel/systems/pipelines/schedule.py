"""A pipeline's schedule as a value: stages on ranks, and each rank's passes in order.

A model is cut into stages; a rank (a device, or a group of them) holds one or more. A micro-batch
passes forward through all stages of its chain and backward again. Its passes at a stage:

    F    forward: needs the forward pass of the stage before
    B    gradients of the inputs: needs those of the stage after, or the last stage's forward pass
    W    gradients of the weights: needs B
    BW   B and W as one pass, where a schedule does not part them

Where stages stand on p ranks, v chunks each:

    looped      stage s on rank s mod p (Megatron, arXiv 2104.04473)
    in a V      down the ranks and up again, so that a rank has the first and the last (2405.15362)
    both ends   two chains of p stages, one from each end, with half the micro-batches each
                (DualPipe, 2412.19437)
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.turns import Turns

F, B, W, BW = range(4)
KINDS = ("F", "B", "W", "BW")
Entry: TypeAlias = tuple[int, ...]
"""Passes that a rank runs at once: one, or a forward with a backward of another micro-batch."""
Orders: TypeAlias = tuple[tuple[Entry, ...], ...]
"""Entries of each rank."""


@dataclass(frozen=True)
class Layout:
    """Which rank holds which stages, and the stages before and after each; -1 where none is.

    Attributes:
        stages: of each rank, by chunk.
        rank: of each stage.
        before, after: the stages that a micro-batch visits before and after each.
        chains: 2 where half the micro-batches enter at either end.
    """

    stages: tuple[tuple[int, ...], ...]
    rank: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    chains: int = 1

    @property
    def ranks(self) -> int:
        """Ranks in all."""
        return len(self.stages)


def looped(ranks: int, chunks: int = 1) -> Layout:
    """Stage s on rank s mod `ranks`."""
    return _chain([stage % ranks for stage in range(ranks * chunks)], ranks)


def in_a_v(ranks: int) -> Layout:
    """Stages down the ranks, and up again."""
    return _chain([*range(ranks), *reversed(range(ranks))], ranks)


def both_ends(ranks: int) -> Layout:
    """Two chains, the first from rank 0 on, the second from the last rank on."""
    rank = (*range(ranks), *reversed(range(ranks)))
    ends = (0, ranks), (ranks - 1, 2 * ranks - 1)
    return Layout(
        stages=tuple((place, 2 * ranks - 1 - place) for place in range(ranks)),
        rank=rank,
        before=tuple(-1 if s in ends[0] else s - 1 for s in range(2 * ranks)),
        after=tuple(-1 if s in ends[1] else s + 1 for s in range(2 * ranks)),
        chains=2,
    )


def _chain(rank: list[int], ranks: int) -> Layout:
    held = tuple(tuple(s for s, at in enumerate(rank) if at == place) for place in range(ranks))
    count = len(rank)
    return Layout(
        stages=held,
        rank=tuple(rank),
        before=tuple(s - 1 for s in range(count)),
        after=tuple(s + 1 if s + 1 < count else -1 for s in range(count)),
    )


@dataclass(frozen=True, eq=False)
class Schedule:
    """Each rank's passes in order.

    A pass is a number, (kind x stages + stage) x each + micro-batch, as `code` makes it.

    Attributes:
        each: micro-batches of a chain, numbered from 0.
        written: entries of each rank, or what writes them down once they are asked for.
        turns: the rule of the order, where a forward and a backward pass take turns.
    """

    name: str
    layout: Layout
    each: int
    written: Orders | Callable[[], Orders]
    turns: Turns | None = None

    @cached_property
    def orders(self) -> Orders:
        """Entries of each rank."""
        return self.written() if callable(self.written) else self.written

    def codes(self, rank: int) -> NDArray[np.int64]:
        """Numbers of a rank's passes in order."""
        if self.turns is None:
            return np.fromiter(chain.from_iterable(self.orders[rank]), dtype=np.int64)
        back, chunk, batch = self.turns.order(rank)
        stage = np.asarray(self.layout.stages[rank])[chunk]
        return (np.where(back, BW, F) * len(self.layout.rank) + stage) * self.each + batch

    @property
    def paired(self) -> float:
        """Entries of a rank that run two passes at once, on average."""
        if self.turns is not None:
            return 0.0
        several = [sum(len(entry) > 1 for entry in order) for order in self.orders]
        return sum(several) / len(several)

    def code(self, kind: int, stage: int, micro_batch: int) -> int:
        """The number of a pass."""
        return (kind * len(self.layout.rank) + stage) * self.each + micro_batch

    def passes(self, rank: int) -> list[tuple[str, int, int]]:
        """(kind, stage, micro-batch) of a rank's passes in order."""
        return [self.named(code) for entry in self.orders[rank] for code in entry]

    def named(self, code: int) -> tuple[str, int, int]:
        """(kind, stage, micro-batch) of a pass."""
        key, micro_batch = divmod(code, self.each)
        kind, stage = divmod(key, len(self.layout.rank))
        return KINDS[kind], stage, micro_batch


class Order:
    """Entries of one rank as they are written down; micro-batches are counted by kind and stage."""

    def __init__(self, layout: Layout, each: int) -> None:
        self.entries: list[Entry] = []
        self._stages, self._each = len(layout.rank), each
        self._next: dict[tuple[bool, int], int] = {}
        self._left: dict[int, deque[int]] = {}

    def add(self, *passes: tuple[int, int]) -> None:
        """The next micro-batches' (kind, stage) passes, all at once; W is of the oldest lone B."""
        self.entries.append(
            tuple((kind * self._stages + s) * self._each + self._of(kind, s) for kind, s in passes)
        )

    def _of(self, kind: int, stage: int) -> int:
        if kind == W:
            return self._left[stage].popleft()
        key = (kind == F, stage)
        found = self._next.get(key, 0)
        self._next[key] = found + 1
        if kind == B:
            self._left.setdefault(stage, deque()).append(found)
        return found


def at_least(what: str, found: int, least: int) -> None:
    """Refuses a count below `least`."""
    if found < least:
        raise InputError(f"{what}: expected {least} or more, found {found}")


def in_turn(name: str, layout: Layout, turns: Turns) -> Schedule:
    """The schedule whose ranks take turns."""

    def written() -> Orders:
        ranks = range(layout.ranks)
        return tuple(tuple((code,) for code in found.codes(rank).tolist()) for rank in ranks)

    found = Schedule(name, layout, turns.micro_batches, written, turns)
    return found
