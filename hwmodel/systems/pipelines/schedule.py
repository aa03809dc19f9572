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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.turns import Array, Turns

F, B, W, BW = range(4)
KINDS = ("F", "B", "W", "BW")
Entry: TypeAlias = tuple[int, ...]
"""Passes that a rank runs at once: one, or a forward with a backward of another micro-batch."""
Orders: TypeAlias = tuple[tuple[Entry, ...], ...]
"""Entries of each rank."""
Codes: TypeAlias = NDArray[np.int64]
"""[entries, passes at once]"""


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


@dataclass(frozen=True)
class Passes:
    """Seconds of the passes of each stage, by its number.

    Attributes:
        forward_s, backward_s, weight_s: of F, B and W; BW takes B's and W's together.
        transfer_s: from one rank to the next, during which neither waits for it.
        overlapped: share of their seconds together that a forward and a backward pass take which
            run at once (each fills the other's waits for messages).
    """

    forward_s: Sequence[float]
    backward_s: Sequence[float]
    weight_s: Sequence[float]
    transfer_s: float = 0.0
    overlapped: float = 1.0

    @classmethod
    def alike(
        cls, stages: int, forward_s: float, backward_s: float, weight_s: float = 0.0
    ) -> "Passes":
        """Stages that all take the same."""
        return cls([forward_s] * stages, [backward_s] * stages, [weight_s] * stages)

    def durations(self) -> list[float]:
        """Of all kinds and stages, in the order of the numbers of passes."""
        both = [b + w for b, w in zip(self.backward_s, self.weight_s, strict=True)]
        return [*self.forward_s, *self.backward_s, *self.weight_s, *both]


@dataclass(frozen=True, eq=False)
class Ran:
    """An order that came of running: with which passes, and when each rank's started and ended."""

    passes: Passes
    start_s: Sequence[Array]
    end_s: Sequence[Array]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Each rank's passes in order.

    A pass is a number, (kind x stages + stage) x each + micro-batch, as `code` makes it.

    Attributes:
        each: micro-batches of a chain, numbered from 0.
        written: `codes` of each rank, or what writes a rank's down when they are asked for.
        turns: the rule of the order, where a forward and a backward pass take turns.
        ran: the run of which the order came.
    """

    name: str
    layout: Layout
    each: int
    written: Sequence[Codes] | Callable[[int], Codes]
    turns: Turns | None = None
    ran: Ran | None = None

    def codes(self, rank: int) -> Codes:
        """Numbers of a rank's passes, by entry; -1 where an entry has fewer than others."""
        return self.written(rank) if callable(self.written) else self.written[rank]

    @cached_property
    def orders(self) -> Orders:
        """Entries of each rank."""
        found = (self.codes(rank).tolist() for rank in range(self.layout.ranks))
        return tuple(tuple(tuple(c for c in entry if c >= 0) for entry in rank) for rank in found)

    @property
    def paired(self) -> float:
        """Entries of a rank that run two passes at once, on average."""
        if self.turns is not None:
            return 0.0
        ranks = self.layout.ranks
        return sum(int((self.codes(rank)[:, 1:] >= 0).sum()) for rank in range(ranks)) / ranks

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


def numbered(layout: Layout, each: int, keys: Codes) -> Codes:
    """A rank's passes, kind x stages + stage by entry, with their micro-batches as they come.

    Each stage takes them in turn, and W those of its lone B.
    """
    stages = len(layout.rank)
    flat = keys.ravel()
    kind, stage = np.divmod(flat, stages)
    batch = np.full_like(flat, -1)
    for mine in np.unique(stage[flat >= 0]):
        here = (stage == mine) & (flat >= 0)
        for kinds in ((F,), (B, BW)):
            found = np.flatnonzero(here & np.isin(kind, kinds))
            batch[found] = np.arange(len(found))
        weights = np.flatnonzero(here & (kind == W))
        batch[weights] = batch[here & (kind == B)][: len(weights)]
    return np.where(flat >= 0, flat * each + batch, -1).reshape(keys.shape)


def at_least(what: str, found: int, least: int) -> None:
    """Refuses a count below `least`."""
    if found < least:
        raise InputError(f"{what}: expected {least} or more, found {found}")


def in_turn(name: str, layout: Layout, turns: Turns) -> Schedule:
    """The schedule whose ranks take turns."""

    def written(rank: int) -> Codes:
        back, chunk, batch = turns.order(rank)
        stage = np.asarray(layout.stages[rank])[chunk]
        kinds = np.where(back, BW, F) * len(layout.rank)
        return ((kinds + stage) * turns.micro_batches + batch)[:, None]

    return Schedule(name, layout, turns.micro_batches, written, turns)
