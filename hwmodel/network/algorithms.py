"""Collective algorithms as rounds of messages, and what they take on any topology.

A round is a set of messages that start together; the next starts when all of them have arrived. On
p ranks with a buffer of n bytes (counted as in `hwmodel.network.switch`) an algorithm is, in closed
form on one switch, `rounds` messages one after another, `messages` through the busiest port, and
`share` * n bytes through it:

    op              algorithm  rounds       messages    share        source
    all_gather      ring       p - 1        p - 1       (p - 1) / p  Thakur et al., 4.1
                    doubling   ceil(lg p)   ceil(lg p)  (p - 1) / p  Bruck: ib.
                    direct     1            p - 1       (p - 1) / p  every rank to every other one
                    star       2            2 (p - 1)   p - 1        to a hub and back
    reduce_scatter  as all_gather, backwards; that of doubling is "halving"
    all_reduce      ring, halving, direct: reduce_scatter, then all_gather (Rabenseifner: ib., 4.5)
                    doubling   lg p         lg p        lg p         2 more where p is no power of 2
                    star       2            2 (p - 1)   2 (p - 1)    as TPI-LLM on slow links
                    tree       2 ceil(lg p) pipelined   2            double binary: Sanders et al.
    all_to_all      direct     1            p - 1       (p - 1) / p
                    pairwise   p - 1        p - 1       (p - 1) / p  Thakur et al., 4.4
                    doubling   ceil(lg p)   ceil(lg p)  ~ lg(p) / 2  Bruck: ib.
    broadcast       ring       p - 1        pipelined   1            a chain
                    tree       ceil(lg p)   ceil(lg p)  ceil(lg p)   binomial: ib.
                    star       1            p - 1       p - 1
    p2p             direct     1            1           1            each rank to the next

`hierarchical` works inside each box of m ranks and between the g boxes in turn; for all_to_all that
is the 2D algorithm of Tutel (Hwang et al. 2023). A round takes what `hwmodel.network.routes` says
of its messages. A pipelined round is cut so fine that its bytes flow while only the way to the last
rank is waited for; two trees of 2 or 3 ranks send p / 2 rather than 2. Parts are not rounded to
whole bytes. Sources: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication
Operations in MPICH" (2005); Sanders, Speck, Träff, "Two-tree algorithms for full bandwidth
broadcast, reduction and scan" (2009); TPI-LLM (arXiv 2410.00531).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.network.routes import Routes, routes
from hwmodel.network.switch import Choice, fastest
from hwmodel.network.topology import Topology
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount, amount
from hwmodel.spine.activity import Work

Ranks: TypeAlias = NDArray[np.intp]

ALGORITHMS: dict[str, tuple[str, ...]] = {
    "all_reduce": ("ring", "tree", "doubling", "halving", "star", "direct", "hierarchical"),
    "all_gather": ("ring", "doubling", "star", "direct", "hierarchical"),
    "reduce_scatter": ("ring", "halving", "star", "direct", "hierarchical"),
    "all_to_all": ("direct", "pairwise", "doubling", "hierarchical"),
    "broadcast": ("ring", "tree", "star", "hierarchical"),
    "p2p": ("direct",),
}
"""What can be scheduled, by operation."""


@dataclass(frozen=True, eq=False)
class Round:
    """Messages that start together: from rank, to rank, and each one's part of the buffer.

    It is run `times` in a row; with `depth` above 1 it is pipelined over chains of that many links.
    """

    source: Ranks
    destination: Ranks
    share: NDArray[np.float64]
    times: int = 1
    depth: int = 1


@dataclass(frozen=True)
class Closed:
    """An algorithm on one switch: messages in sequence, messages and bytes at the busiest port."""

    rounds: int
    messages: int
    share: float

    def time_s(
        self, size_bytes: Amount, latency_s: float, message_s: float, bandwidth_bytes_per_s: float
    ) -> Amount:
        """Seconds where a message travels `latency_s` and holds a port for `message_s`."""
        waits_s = self.rounds * latency_s + self.messages * message_s
        return waits_s + self.share * size_bytes / bandwidth_bytes_per_s


def closed_form(op: str, algorithm: str, ranks: int, per_box: int = 1) -> Closed:
    """The table above; raises `UnknownNameError`. Ranks are those of one switch."""
    _check(op, algorithm, ranks, per_box)
    p, levels = ranks, (ranks - 1).bit_length()
    if p == 1:
        return Closed(0, 0, 0.0)
    part = (p - 1) / p
    if op == "all_reduce":
        steps = p.bit_length() - 1 + (2 if p & (p - 1) else 0)
        whole = {
            "tree": Closed(2 * levels, 2 * levels, min(2.0, p / 2)),
            "star": Closed(2, 2 * (p - 1), 2.0 * (p - 1)),
            "doubling": Closed(steps, steps, float(steps)),
        }
        if algorithm in whole:
            return whole[algorithm]
        half = closed_form("reduce_scatter", algorithm, ranks, per_box)
        return Closed(2 * half.rounds, 2 * half.messages, 2 * half.share)
    boxes = p // per_box
    forms = {
        "ring": Closed(p - 1, p - 1, part),
        "pairwise": Closed(p - 1, p - 1, part),
        "doubling": Closed(levels, levels, part),
        "direct": Closed(1, p - 1, part),
        "star": Closed(2, 2 * (p - 1), float(p - 1)),
        "hierarchical": Closed(boxes + per_box - 2, boxes + per_box - 2, part),
    }
    forms["halving"] = forms["doubling"]
    match op, algorithm:
        case "all_to_all", "doubling":
            return replace(forms[algorithm], share=sum(i.bit_count() for i in range(p)) / p)
        case "all_to_all", "hierarchical":
            inside, between = (per_box - 1) / per_box, (boxes - 1) / boxes
            phases = (boxes > 1) + (per_box > 1)
            return Closed(phases, boxes + per_box - 2, inside + between)
        case "broadcast", "ring":
            return Closed(p - 1, p - 1, 1.0)
        case "broadcast", "star":
            return Closed(1, p - 1, float(p - 1))
        case "broadcast", _:
            both = (boxes - 1).bit_length() + (per_box - 1).bit_length()
            steps = both if algorithm == "hierarchical" else levels
            return Closed(steps, steps, float(steps))
        case "p2p", _:
            return Closed(1, 1, 1.0)
        case _:
            return forms[algorithm]


@lru_cache(maxsize=256)
def schedule(op: str, algorithm: str, ranks: int, per_box: int = 1) -> tuple[Round, ...]:
    """The rounds of an algorithm; ranks b * per_box ... of box b stand together.

    One rank alone sends nothing. Raises `UnknownNameError`, and `InputError` where boxes do not
    divide the ranks.
    """
    _check(op, algorithm, ranks, per_box)
    if ranks == 1:
        return ()
    match op:
        case "all_gather":
            return _gather(algorithm, ranks, per_box)
        case "reduce_scatter":
            return _backwards(_gather(algorithm, ranks, per_box))
        case "all_reduce":
            return _reduce(algorithm, ranks, per_box)
        case "all_to_all":
            return _exchange(algorithm, ranks, per_box)
        case "broadcast":
            return _broadcast(algorithm, ranks, per_box)
        case _:
            return (_shift(ranks, 1, 1.0),)


def schedule_s(
    rounds: Sequence[Round],
    size_bytes: Amount,
    network: Topology | Routes,
    *,
    devices: Sequence[int] | None = None,
    share: float = 1.0,
) -> Amount:
    """Seconds of a schedule on a topology; rank i is device `devices[i]`, by default device i.

    Sizes may be an array. `share` is the part of every link's bandwidth that can be had.
    """
    known = network if isinstance(network, Routes) else routes(network)
    place = np.arange(len(known.devices)) if devices is None else np.asarray(devices, np.intp)
    size = np.asarray(size_bytes, dtype=np.float64)
    total = np.zeros(size.shape)
    for each in rounds:
        total = total + each.times * _round_s(each, size, known, place, share)
    return total if size.shape else float(total)


def cheapest_on(
    op: str,
    size_bytes: Amount,
    network: Topology,
    *,
    devices: Sequence[int] | None = None,
    algorithms: Sequence[str] | None = None,
    share: float = 1.0,
) -> Choice:
    """The fastest algorithm between devices of a topology, point by point where sizes are arrays.

    `devices` are by number, by default all. The hierarchical form is among the choices where they
    stand in several boxes of equally many. Raises `InputError`.
    """
    if op not in ALGORITHMS:
        raise UnknownNameError("collective", op, ALGORITHMS)
    size = amount(size_bytes, "bytes", where=f"{op}: bytes")
    known = routes(network)
    place, per_box = boxed(network, devices)
    boxes = 1 < per_box < len(place)
    names = algorithms or [a for a in ALGORITHMS[op] if a != "hierarchical" or boxes]
    if "hierarchical" in names and not boxes:
        raise InputError(
            f"{op}: hierarchical: expected devices in several boxes of equally many, found "
            f"{len(place)} devices in {len(network.groups)} boxes; choose another algorithm"
        )
    choices: list[Choice] = []
    for name in names:
        rounds = schedule(op, name, len(place), per_box if boxes else 1)
        time_s = schedule_s(rounds, size, known, devices=place, share=share)
        choices.append(Choice(name, Work(messages={"link": _sent(rounds, size)}), time_s))
    return fastest(choices)


def boxed(network: Topology, devices: Sequence[int] | None = None) -> tuple[list[int], int]:
    """Devices in the order of their boxes, and how many stand in each: 1 where boxes differ."""
    wanted = range(len(network.devices)) if devices is None else devices
    if strange := [i for i in wanted if not 0 <= i < len(network.devices)]:
        raise InputError(
            f"{network.name}: expected devices 0 to {len(network.devices) - 1}, found {strange[0]}"
        )
    if len(set(wanted)) < len(wanted) or not wanted:
        raise InputError(f"{network.name}: expected devices, each once, found {list(wanted)}")
    boxes = [[i for i in group if i in set(wanted)] for group in network.groups]
    boxes = [box for box in boxes if box]
    sizes = {len(box) for box in boxes}
    return [i for box in boxes for i in box], sizes.pop() if len(sizes) == 1 else 1


def _round_s(
    each: Round, size: NDArray[np.float64], known: Routes, place: Any, share: float
) -> NDArray[np.float64]:
    """Seconds of one round: the slowest way, and the link that is needed longest."""
    start, end = place[each.source], place[each.destination]
    part = known.share[:, start * len(known.devices) + end]
    byte_s = (part @ each.share) / (share * known.bandwidth_bytes_per_s)
    wait_s = known.latency_s[start, end]
    held_s = (part @ np.ones(len(start))) * known.message_s
    if each.depth > 1:
        own_s = (part > 0).multiply(known.message_s[:, None]).max(axis=0).toarray().ravel()
        wait_s, held_s = each.depth * (wait_s + own_s), np.zeros_like(held_s)
    used = byte_s > 0
    lines = np.multiply.outer(size, byte_s[used]) + held_s[used]
    return wait_s.max() + lines.max(axis=-1)


def _sent(rounds: Sequence[Round], size: Amount) -> tuple[Amount, Amount]:
    """Messages and bytes of the rank that sends most."""
    ranks = max((int(each.source.max()) + 1 for each in rounds), default=1)
    messages, shares = np.zeros(ranks), np.zeros(ranks)
    for each in rounds:
        messages += each.times * np.bincount(each.source, minlength=ranks)
        shares += each.times * np.bincount(each.source, weights=each.share, minlength=ranks)
    return int(messages.max()), float(shares.max()) * size


def _check(op: str, algorithm: str, ranks: int, per_box: int) -> None:
    if op not in ALGORITHMS:
        raise UnknownNameError("collective", op, ALGORITHMS)
    if algorithm not in ALGORITHMS[op]:
        raise UnknownNameError(f"algorithm of {op}", algorithm, ALGORITHMS[op])
    amount(ranks, where=f"{op}: ranks", whole=True)
    if ranks % amount(per_box, where=f"{op}: per_box", whole=True):
        raise InputError(
            f"{op}: per_box: expected a divisor of {ranks} ranks, found {per_box}; boxes must be "
            "of equally many"
        )


def _round(source: Any, destination: Any, share: float, times: int = 1, depth: int = 1) -> Round:
    start, end = np.atleast_1d(source), np.atleast_1d(destination)
    return Round(start, end, np.full(len(start), share), times, depth)


def _shift(ranks: int, step: int, share: float, times: int = 1) -> Round:
    """Every rank sends to the one `step` further on."""
    all_ranks = np.arange(ranks)
    return _round(all_ranks, (all_ranks + step) % ranks, share, times)


def _all_pairs(ranks: int, share: float) -> Round:
    """Every rank sends to every other one, the next one first."""
    start = np.tile(np.arange(ranks), ranks - 1)
    step = np.repeat(np.arange(1, ranks), ranks)
    return _round(start, (start + step) % ranks, share)


def _backwards(rounds: Sequence[Round]) -> tuple[Round, ...]:
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


def _gather(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    part, others = 1 / ranks, np.arange(1, ranks)
    match algorithm:
        case "ring":
            return (_shift(ranks, 1, part, ranks - 1),)
        case "direct":
            return (_all_pairs(ranks, part),)
        case "star":
            hub = np.zeros_like(others)
            return _round(others, hub, part), _round(hub, others, 1 - part)
        case "hierarchical":
            boxes = ranks // per_box
            rings = (
                _between_boxes(_shift(boxes, 1, part, boxes - 1), per_box),
                _in_boxes(_shift(per_box, 1, boxes * part, per_box - 1), boxes, per_box),
            )
            return tuple(ring for ring in rings if ring.times)
        case _:
            steps = [1 << k for k in range((ranks - 1).bit_length())]
            return tuple(_shift(ranks, -s, min(s, ranks - s) * part) for s in steps)


def _reduce(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    others = np.arange(1, ranks)
    match algorithm:
        case "tree":
            return (_two_trees(ranks),)
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
            halves = _gather(algorithm, ranks, per_box)
            return (*_backwards(halves), *halves)


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


def _exchange(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
    part, boxes = 1 / ranks, ranks // per_box
    match algorithm:
        case "direct":
            return (_all_pairs(ranks, part),)
        case "pairwise":
            return tuple(_shift(ranks, step, part) for step in range(1, ranks))
        case "hierarchical":
            inside = _in_boxes(_all_pairs(per_box, 1 / per_box), boxes, per_box)
            between = _between_boxes(_all_pairs(boxes, 1 / boxes), per_box)
            return tuple(each for each in (inside, between) if len(each.source))
        case _:
            steps = [1 << k for k in range((ranks - 1).bit_length())]
            blocks = [sum(bool(i & step) for i in range(ranks)) for step in steps]
            return tuple(_shift(ranks, s, b * part) for s, b in zip(steps, blocks, strict=True))


def _broadcast(algorithm: str, ranks: int, per_box: int) -> tuple[Round, ...]:
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
