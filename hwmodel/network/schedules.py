"""Schedules: collective algorithms as rounds of messages between ranks, whatever joins them.

A round is a set of messages that start together; the next starts when all of them have arrived. A
pipelined round is cut so fine that its bytes flow while only the way to the last rank is waited
for. Ranks b * per_box ... of box b stand together: a hierarchical schedule works inside each box of
m ranks and between the g boxes in turn. What the rounds take is `hwmodel.network.flows`' to say;
sources, and the same in closed form, stand with the table of `hwmodel.network.algorithms`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ranks: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Round:
    """Messages that start together: from rank, to rank, and each one's part of the buffer.

    It is run `times` in a row; with `depth` above 1 it is pipelined over chains of that many links.
    Where links of a kind lead to a switch that adds (`adds`), nothing is sent to other ranks: each
    rank hands its share to the switch, and takes as much from it.
    """

    source: Ranks
    destination: Ranks
    share: NDArray[np.float64]
    times: int = 1
    depth: int = 1
    adds: str = ""


def _round(source: Any, destination: Any, share: float, times: int = 1, depth: int = 1) -> Round:
    start, end = np.atleast_1d(source), np.atleast_1d(destination)
    return Round(start, end, np.full(len(start), share), times, depth)


def shifted(ranks: int, step: int, share: float, times: int = 1) -> Round:
    """Every rank sends to the one `step` further on."""
    all_ranks = np.arange(ranks)
    return _round(all_ranks, (all_ranks + step) % ranks, share, times)


def _all_pairs(ranks: int, share: float) -> Round:
    """Every rank sends to every other one, the next one first."""
    start = np.tile(np.arange(ranks), ranks - 1)
    step = np.repeat(np.arange(1, ranks), ranks)
    return _round(start, (start + step) % ranks, share)


def backwards(rounds: Sequence[Round]) -> tuple[Round, ...]:
    """The dual: what was gathered is reduced, along the same ways."""
    return tuple(replace(r, source=r.destination, destination=r.source) for r in reversed(rounds))


def _in_boxes(each: Round, boxes: int, per_box: int) -> Round:
    """The round of one box, in all boxes at once."""
    first = np.arange(boxes)[:, None] * per_box
    start, end = ((first + ranks).ravel() for ranks in (each.source, each.destination))
    return replace(each, source=start, destination=end, share=np.tile(each.share, boxes))


def _between_boxes(each: Round, per_box: int) -> Round:
    """The round of a rank of each box, for all ranks of a box at once."""
    inside = np.arange(per_box)[:, None]
    start, end = ((ranks * per_box + inside).ravel() for ranks in (each.source, each.destination))
    return replace(each, source=start, destination=end, share=np.tile(each.share, per_box))


def gathered(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    """All ranks' parts to all ranks."""
    part, others = 1 / ranks, np.arange(1, ranks)
    match algorithm:
        case "ring":
            return (shifted(ranks, 1, part, ranks - 1),)
        case "direct":
            return (_all_pairs(ranks, part),)
        case "star":
            hub = np.zeros_like(others)
            return _round(others, hub, part), _round(hub, others, 1 - part)
        case "hierarchical":
            boxes = ranks // per_box
            rings = (
                _between_boxes(shifted(boxes, 1, part, boxes - 1), per_box),
                _in_boxes(shifted(per_box, 1, boxes * part, per_box - 1), boxes, per_box),
            )
            return tuple(ring for ring in rings if ring.times)
        case _:
            steps = [1 << k for k in range((ranks - 1).bit_length())]
            return tuple(shifted(ranks, -s, min(s, ranks - s) * part) for s in steps)


def reduced(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    """The sum of all ranks' buffers to all ranks."""
    others = np.arange(1, ranks)
    match algorithm:
        case "tree":
            return (_two_trees(ranks),)
        case "one-shot":
            return (_all_pairs(ranks, 1.0),)
        case "in-switch" | "in-network":
            return _added(ranks, per_box, between=algorithm == "in-network")
        case "star":
            hub = np.zeros_like(others)
            return _round(others, hub, 1.0), _round(hub, others, 1.0)
        case "doubling":
            core = 1 << (ranks.bit_length() - 1)
            inner, rest = np.arange(core), np.arange(core, ranks)
            swaps = [
                _round(inner, inner ^ (1 << k), 1.0) for k in range(core.bit_length() - 1)
            ]  # ranks beyond the power of two hand in their buffer, and are handed the result
            ends = [_round(rest, rest - core, 1.0), _round(rest - core, rest, 1.0)]
            return (ends[0], *swaps, ends[1]) if len(rest) else tuple(swaps)
        case _:
            halves = gathered(algorithm, ranks, per_box)
            return (*backwards(halves), *halves)


def _added(ranks: int, per_box: int, *, between: bool) -> tuple[Round, ...]:
    """Summed by the switch of each box, each rank's part then between boxes, and spread again.

    Inside a box each rank asks for the sum of its part and writes the sum of all to everyone: 1 +
    1/m of the buffer at each port. Between g boxes the parts go around a ring, or (`between`)
    through switches that add too.
    """
    boxes, every = ranks // per_box, np.arange(ranks)
    inside = _round(every, every, 1 + 1 / per_box)
    found = [replace(inside, adds="link")] if per_box > 1 else []
    if between:
        return (*found, replace(_round(every, every, 1 / per_box), adds="nic"))
    ring = _between_boxes(shifted(boxes, 1, 1 / ranks, 2 * (boxes - 1)), per_box)
    return (*found, ring) if boxes > 1 else tuple(found)


def _two_trees(ranks: int) -> Round:
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
    return _round(start, end, 0.5, depth=2 * depth)


def _parent(rank: int, ranks: int) -> int:
    low = rank & -rank
    up = (rank ^ low) | (low << 1)
    return up if up < ranks else rank ^ low


def exchanged(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    """A part from every rank to every rank."""
    part, boxes = 1 / ranks, ranks // per_box
    match algorithm:
        case "direct":
            return (_all_pairs(ranks, part),)
        case "pairwise":
            return tuple(shifted(ranks, step, part) for step in range(1, ranks))
        case "hierarchical":
            inside = _in_boxes(_all_pairs(per_box, 1 / per_box), boxes, per_box)
            between = _between_boxes(_all_pairs(boxes, 1 / boxes), per_box)
            return tuple(each for each in (inside, between) if len(each.source))
        case _:
            steps = [1 << k for k in range((ranks - 1).bit_length())]
            blocks = [sum(bool(i & step) for i in range(ranks)) for step in steps]
            return tuple(shifted(ranks, s, b * part) for s, b in zip(steps, blocks, strict=True))


def once(rounds: Sequence[Round], per_box: int, inside: float, between: float) -> tuple[Round, ...]:
    """The same rounds with so much of their bytes left, inside boxes and between them."""
    found: list[Round] = []
    for each in rounds:
        crosses = bool(np.any(each.source // per_box != each.destination // per_box))
        found.append(replace(each, share=each.share * (between if crosses else inside)))
    return tuple(found)


def spread(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    """The first rank's buffer to all ranks."""
    others = np.arange(1, ranks)
    match algorithm:
        case "ring":
            return (_round(others - 1, others, 1.0, depth=ranks - 1),)
        case "star":
            return (_round(np.zeros_like(others), others, 1.0),)
        case "hierarchical":
            boxes = ranks // per_box
            leaders = [
                replace(r, source=r.source * per_box, destination=r.destination * per_box)
                for r in _binomial(boxes)
            ]
            return (*leaders, *(_in_boxes(r, boxes, per_box) for r in _binomial(per_box)))
        case _:
            return _binomial(ranks)


def _binomial(ranks: int) -> tuple[Round, ...]:
    """Whoever has the buffer hands it on, twice as many each round."""
    steps = [1 << k for k in range((ranks - 1).bit_length())]
    return tuple(
        _round(np.arange(min(s, ranks - s)), np.arange(min(s, ranks - s)) + s, 1.0) for s in steps
    )
