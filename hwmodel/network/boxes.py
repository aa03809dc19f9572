"""Schedules through boxes of any numbers of ranks: rings, trees and exchanges that use all cards.

The ranks of a box stand together, each with a card of its own. What goes through every box can use
as many cards of each as the smallest box has ranks: so many `rails`, each of them a ring or a tree
of its own with its part of the buffer (NCCL searches as many channels as every node can carry:
src/graph/search.cc and connect.cc). The first ranks of a box own a rail each.

    rings       rail j enters a box at its rank j, passes all of its ranks and leaves by the last
    chains      inside a box: from the owner of each rail on to all other ranks; sums, backwards
    exchange    what is for rank j of other boxes goes first to rank j of one's own (modulo its
                size), which sends it in one message: NCCL's PXN, Tutel's 2D algorithm
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from hwmodel.network.rounds import Ranks, Round, all_pairs, made

Boxes: TypeAlias = Sequence[int]
"""Ranks of each box; those of the first are numbered first."""


def starts(boxes: Boxes) -> Ranks:
    """The first rank of each box."""
    return np.cumsum([0, *boxes[:-1]])


def place(boxes: Boxes) -> tuple[Ranks, Ranks]:
    """Of each rank its box, and its number in it."""
    box = np.repeat(np.arange(len(boxes)), boxes)
    return box, np.arange(len(box)) - starts(boxes)[box]


def inside(each: Round, boxes: Boxes) -> Round:
    """The round of one box, in all boxes at once; they are of equally many."""
    return _copied(each, starts(boxes))


def between(each: Round, boxes: Boxes) -> Round:
    """The round of a rank of each box, along all rails at once, each with its part of the share."""
    first, rails = starts(boxes), min(boxes)
    moved = replace(each, source=first[each.source], destination=first[each.destination])
    return replace(_copied(moved, np.arange(rails)), share=np.tile(each.share / rails, rails))


def _copied(each: Round, steps: Ranks) -> Round:
    start, end = ((steps[:, None] + r).ravel() for r in (each.source, each.destination))
    return replace(each, source=start, destination=end, share=np.tile(each.share, len(steps)))


def rings(boxes: Boxes, part: float, times: int) -> Round:
    """Every rank's part to the next one along each rail's ring; one message where several share."""
    first, rails, sizes = starts(boxes), min(boxes), np.asarray(boxes)
    start, end, share = _along(boxes, rails)
    rail = np.arange(rails)
    leaves = (first[:, None] + (rail - 1) % sizes[:, None]).ravel()
    enters = (np.roll(first, -1)[:, None] + rail).ravel()
    ends = np.concatenate([end, enters])
    return made(
        np.concatenate([start, leaves]),
        ends,
        part * np.concatenate([share, np.full(len(leaves), 1 / rails)]),
        times,
    )


def chains(boxes: Boxes) -> Round:
    """Inside each box, pipelined: from the owner of each rail on to all other ranks."""
    return made(*_along(boxes, min(boxes)), depth=max(max(boxes) - 1, 1))


def _along(
    boxes: Boxes, rails: int
) -> tuple[Ranks, Ranks, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """From each rank to the next of its box: what part of the rails passes there.

    Rail j begins at rank j and ends at the one before it, so that it does not go on from there.
    """
    box, local = place(boxes)
    following = (local + 1) % np.asarray(boxes)[box]
    share = 1 - (following < rails) / rails
    some = share > 0
    return np.flatnonzero(some), (starts(boxes)[box] + following)[some], share[some]


def exchange(boxes: Boxes) -> tuple[Round, ...]:
    """A part from every rank to every rank, over the one of its box that sends to that rail."""
    box, local = place(boxes)
    sizes, first, ranks = np.asarray(boxes), starts(boxes), len(box)
    step = np.arange(1, len(boxes))
    origin = (box[:, None] - step) % len(boxes)  # of each rank the boxes that send to it
    sender = first[origin] + local[:, None] % sizes[origin]
    order = np.argsort(np.broadcast_to(step, sender.shape).ravel(), kind="stable")
    across = made(
        sender.ravel()[order],
        np.repeat(np.arange(ranks), len(step))[order],
        sizes[origin].ravel()[order] / ranks,
    )
    handed = 1 + np.bincount(sender.ravel(), minlength=ranks)  # parts that each rank sends on
    pairs = [all_pairs(size, 1.0) for size in boxes]
    start = np.concatenate([at + each.source for at, each in zip(first, pairs, strict=True)])
    end = np.concatenate([at + each.destination for at, each in zip(first, pairs, strict=True)])
    return tuple(
        each for each in (made(start, end, handed[end] / ranks), across) if len(each.source)
    )
