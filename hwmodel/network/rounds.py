"""Rounds of messages between ranks: what schedules of collectives are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ranks: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Round:
    """Messages that start together: from rank, to rank, and each one's part of the buffer.

    It is run `times` in a row, each rank as soon as it was sent what it hands on; with `depth`
    above 1 it is pipelined over chains of that many links.
    Where links of a kind lead to a switch that adds (`adds`), nothing is sent to other ranks: each
    rank hands its share to the switch, and takes as much from it.
    With `everywhere` they are the first rank's on a torus; all others send the same, as far on.
    """

    source: Ranks
    destination: Ranks
    share: NDArray[np.float64]
    times: int = 1
    depth: int = 1
    adds: str = ""
    everywhere: bool = False


def made(source: Any, destination: Any, share: Any, times: int = 1, depth: int = 1) -> Round:
    """A round of messages with the same share, or one for each."""
    start, end = np.atleast_1d(source), np.atleast_1d(destination)
    each = np.broadcast_to(np.asarray(share, dtype=np.float64), start.shape)
    return Round(start, end, each.copy(), times, depth)


def shifted(ranks: int, step: int, share: float, times: int = 1) -> Round:
    """Every rank sends to the one `step` further on."""
    all_ranks = np.arange(ranks)
    return made(all_ranks, (all_ranks + step) % ranks, share, times)


def all_pairs(ranks: int, share: float) -> Round:
    """Every rank sends to every other one, the next one first."""
    start = np.tile(np.arange(ranks), ranks - 1)
    step = np.repeat(np.arange(1, ranks), ranks)
    return made(start, (start + step) % ranks, share)


def backwards(rounds: Sequence[Round]) -> tuple[Round, ...]:
    """The dual: what was gathered is reduced, along the same ways."""
    return tuple(replace(r, source=r.destination, destination=r.source) for r in reversed(rounds))


def binomial(ranks: int) -> tuple[Round, ...]:
    """Whoever has the first rank's buffer hands it on, twice as many each round."""
    steps = [1 << k for k in range((ranks - 1).bit_length())]
    return tuple(
        made(np.arange(min(s, ranks - s)), np.arange(min(s, ranks - s)) + s, 1.0) for s in steps
    )


def two_trees(ranks: int) -> Round:
    """A double binary tree, up and then down: half of the buffer in each tree.

    In the first, rank r hangs below the rank with the next higher lowest bit; the second is its
    mirror image (shifted by one where ranks are odd), so that no rank has children in both.
    """
    child = np.arange(1, ranks)
    parents = np.array([_parent(int(r), ranks) for r in child])
    depth = 0
    for rank in child:
        steps, at = 0, int(rank)
        while at:
            steps, at = steps + 1, _parent(at, ranks)
        depth = max(depth, steps)

    def other(r: Ranks) -> Ranks:
        return (r + 1) % ranks if ranks % 2 else ranks - 1 - r

    start = np.concatenate([child, parents, other(child), other(parents)])
    end = np.concatenate([parents, child, other(parents), other(child)])
    return made(start, end, 0.5, depth=2 * depth)


def _parent(rank: int, ranks: int) -> int:
    low = rank & -rank
    up = (rank ^ low) | (low << 1)
    return up if up < ranks else rank ^ low
