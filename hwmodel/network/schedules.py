"""Schedules: collective algorithms as rounds of messages between ranks, whatever joins them.

A round is a set of messages that start together; the next starts when all of them have arrived. A
pipelined round is cut so fine that its bytes flow while only the way to the last rank is waited
for. Ranks of a box stand together, box after box: rings and trees pass each box along as many rails
as the smallest has ranks, a hierarchical schedule works inside each box and between them in turn
(`hwmodel.network.boxes`). What the rounds take is `hwmodel.network.flows`' to say; sources, and the
same in closed form, stand with the table of `hwmodel.network.algorithms`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwmodel.network.boxes import Boxes, between, chains, exchange, inside, place, rings, starts
from hwmodel.network.rounds import Round, all_pairs, backwards, binomial, made, shifted, two_trees


def gathered(algorithm: str, boxes: Boxes) -> tuple[Round, ...]:
    """All ranks' parts to all ranks."""
    ranks = sum(boxes)
    part, others = 1 / ranks, np.arange(1, ranks)
    match algorithm:
        case "ring":
            return (rings(boxes, part, ranks - 1),)
        case "direct":
            return (all_pairs(ranks, part),)
        case "star":
            hub = np.zeros_like(others)
            return made(others, hub, part), made(hub, others, 1 - part)
        case "hierarchical":
            many, each = len(boxes), boxes[0]
            levels = (
                between(shifted(many, 1, each * part, many - 1), boxes),
                inside(shifted(each, 1, many * part, each - 1), boxes),
            )
            return tuple(ring for ring in levels if ring.times)
        case _:
            steps = [1 << k for k in range((ranks - 1).bit_length())]
            return tuple(shifted(ranks, -s, min(s, ranks - s) * part) for s in steps)


def reduced(algorithm: str, boxes: Boxes) -> tuple[Round, ...]:
    """The sum of all ranks' buffers to all ranks."""
    ranks = sum(boxes)
    others = np.arange(1, ranks)
    match algorithm:
        case "tree":
            return _through(between(two_trees(len(boxes)), boxes), boxes)
        case "hierarchical" if min(boxes) < max(boxes):
            many = len(boxes)
            return _through(between(shifted(many, 1, 1 / many, 2 * (many - 1)), boxes), boxes)
        case "one-shot":
            return (all_pairs(ranks, 1.0),)
        case "in-switch" | "in-network":
            return _added(boxes, across=algorithm == "in-network")
        case "star":
            hub = np.zeros_like(others)
            return made(others, hub, 1.0), made(hub, others, 1.0)
        case "doubling":
            core = 1 << (ranks.bit_length() - 1)
            inner, rest = np.arange(core), np.arange(core, ranks)
            swaps = [
                made(inner, inner ^ (1 << k), 1.0) for k in range(core.bit_length() - 1)
            ]  # ranks beyond the power of two hand in their buffer, and are handed the result
            ends = [made(rest, rest - core, 1.0), made(rest - core, rest, 1.0)]
            return (ends[0], *swaps, ends[1]) if len(rest) else tuple(swaps)
        case _:
            halves = gathered(algorithm, boxes)
            return (*backwards(halves), *halves)


def _through(across: Round, boxes: Boxes) -> tuple[Round, ...]:
    """Sums of each box to the owners of rails, across, and from there to all."""
    out = chains(boxes)
    return (*backwards((out,)), across, out) if len(out.source) else (across,)


def _added(boxes: Boxes, *, across: bool) -> tuple[Round, ...]:
    """Summed by the switch of each box, each rail's part then between boxes, and spread again.

    Inside a box each rank asks for the sum of its part and writes the sum of all to everyone: 1 +
    1/m of the buffer at each port. Between g boxes the rails' parts go around a ring, or (`across`)
    through switches that add too.
    """
    many, rails, every = len(boxes), min(boxes), np.arange(sum(boxes))
    found = [replace(made(every, every, 1 + 1 / rails), adds="link")] if rails > 1 else []
    if across:
        return (*found, replace(made(every, every, 1 / rails), adds="nic"))
    ring = between(shifted(many, 1, 1 / many, 2 * (many - 1)), boxes)
    return (*found, ring) if many > 1 else tuple(found)


def exchanged(algorithm: str, boxes: Boxes) -> tuple[Round, ...]:
    """A part from every rank to every rank."""
    ranks = sum(boxes)
    part = 1 / ranks
    match algorithm:
        case "direct":
            return (all_pairs(ranks, part),)
        case "pairwise":
            return tuple(shifted(ranks, step, part) for step in range(1, ranks))
        case "hierarchical":
            return exchange(boxes)
        case _:
            steps = [1 << k for k in range((ranks - 1).bit_length())]
            blocks = [sum(bool(i & step) for i in range(ranks)) for step in steps]
            return tuple(shifted(ranks, s, b * part) for s, b in zip(steps, blocks, strict=True))


def once(
    rounds: Sequence[Round], boxes: Boxes, inside_part: float, between_part: float
) -> tuple[Round, ...]:
    """The same rounds with so much of their bytes left, inside boxes and between them."""
    box, _ = place(boxes)
    found: list[Round] = []
    for each in rounds:
        crosses = bool(np.any(box[each.source] != box[each.destination]))
        found.append(replace(each, share=each.share * (between_part if crosses else inside_part)))
    return tuple(found)


def spread(algorithm: str, boxes: Boxes) -> tuple[Round, ...]:
    """The first rank's buffer to all ranks."""
    ranks = sum(boxes)
    others = np.arange(1, ranks)
    match algorithm:
        case "ring":
            around = rings(boxes, 1.0, 1)
            on = around.destination > 0  # all but what comes back to the first
            ends = around.source[on], around.destination[on]
            return (made(*ends, around.share[on], depth=ranks - 1),)
        case "star":
            return (made(np.zeros_like(others), others, 1.0),)
        case "hierarchical":
            first, local = starts(boxes), place(boxes)[1]
            leaders = [
                replace(r, source=first[r.source], destination=first[r.destination])
                for r in binomial(len(boxes))
            ]
            steps = [1 << k for k in range((max(boxes) - 1).bit_length())]
            ends = [np.flatnonzero((local >= step) & (local < 2 * step)) for step in steps]
            hands = [made(end - step, end, 1.0) for end, step in zip(ends, steps, strict=True)]
            return (*leaders, *hands)
        case _:
            return binomial(ranks)
