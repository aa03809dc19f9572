"""Orders that come of running: each rank takes, whenever it is free, the pass that a rule picks.

A rule sees what its rank could run now (`Ready`): forward and backward passes whose inputs have
come, weight gradients that are left, and how many micro-batches it keeps. Every stage takes its
micro-batches as they come, so that numbers of them are enough. The orders that result are static
schedules; durations decide them, as in the papers' own heuristics.

Times are whole ticks, of which the longest pass takes about 2^40: sums that are equal on paper are
equal here, so that rounding decides nothing.
"""

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import frexp, inf

import numpy as np

from hwmodel.systems.pipelines.schedule import B, F, Layout, Passes, Ran, Schedule, W, numbered

TICKS = 40
"""Bits of the longest pass's ticks."""


class Ready:
    """What one rank could run now, of one chain of stages.

    Attributes:
        chunks: stages of the rank.
        waits: of each of its passes, kind x chunks + chunk: the micro-batches that it could run.
        weights: chunks whose weight gradients are left, in the order of their B.
        kept: micro-batches in flight at its stages together, from F to the end of W.
        kept_to_b: the same, from F to the end of B.
    """

    __slots__ = ("chunks", "kept", "kept_to_b", "waits", "weights")

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.waits = [0] * (2 * chunks)
        self.weights: deque[int] = deque()
        self.kept = self.kept_to_b = 0


Pick = Callable[[Ready], int]
"""A rule: the pass to run now, kind x chunks + chunk, or -1 to wait; W as `weights` has them."""


def dispatched(
    name: str,
    layout: Layout,
    each: int,
    passes: Passes,
    picks: Sequence[Pick],
    *,
    below_s: float = inf,
) -> Schedule | None:
    """The schedule that one rule a rank makes; None where all wait for each other.

    Or where it would not end before `below_s`, as soon as what a rank has left says so.
    """
    chunks, several, stages = len(layout.stages[0]), layout.ranks, len(layout.rank)
    first_b, first_w, kinds = chunks, 2 * chunks, 3 * chunks
    keys = [[k * stages + s for k in (F, B, W) for s in held] for held in layout.stages]
    tick_s, (*duration, transfer) = _ticks(passes)
    took = [duration[key] for mine in keys for key in mine]
    then = _made_ready(layout, keys)
    ranks = [Ready(chunks) for _ in range(several)]
    ranks[layout.rank[0]].waits[0] = each
    on_the_way: list[deque[tuple[int, int]]] = [deque() for _ in ranks]
    """Of each rank: when what other ranks made comes, and the pass that it makes ready."""
    rest = [each * sum(duration[key] for key in mine) for mine in keys]
    below = below_s / tick_s
    orders, ends = [array("b") for _ in ranks], [array("q") for _ in ranks]
    busy = [False] * several
    # At a time ends the pass, rank x kinds + pass, or looks a rank that waits for what comes.
    looks = several * kinds
    bits = (looks + several).bit_length()
    mask = (1 << bits) - 1
    events: list[int] = []
    left, now, free = 3 * stages * each, 0, list(range(several))
    while True:
        for rank in free:
            if busy[rank]:
                continue
            mine, comes = ranks[rank], on_the_way[rank]
            while comes and comes[0][0] <= now:
                mine.waits[comes.popleft()[1]] += 1
            picked = picks[rank](mine)
            if picked < 0:
                if comes:
                    heappush(events, (comes[0][0] << bits) + looks + rank)
                continue
            if picked >= first_w:
                mine.weights.popleft()
            else:
                mine.waits[picked] -= 1
                if picked < first_b:
                    mine.kept += 1
                    mine.kept_to_b += 1
            busy[rank] = True
            number = rank * kinds + picked
            rest[rank] -= took[number]
            end = now + took[number]
            if end + rest[rank] >= below:
                return None
            orders[rank].append(picked)
            ends[rank].append(end)
            heappush(events, (end << bits) + number)
        if not events:
            break
        now = events[0] >> bits
        free.clear()
        while events and events[0] >> bits == now:
            number = heappop(events) & mask
            if number >= looks:
                free.append(number - looks)
                continue
            rank, done = divmod(number, kinds)
            busy[rank] = False
            free.append(rank)
            left -= 1
            mine = ranks[rank]
            if done >= first_w:
                mine.kept -= 1
                continue
            if done >= first_b:
                mine.kept_to_b -= 1
                mine.weights.append(done - first_b)
            target, fresh = then[number]
            if target == rank or (target >= 0 and not transfer):
                ranks[target].waits[fresh] += 1
                free.append(target)
            elif target >= 0:
                on_the_way[target].append((now + transfer, fresh))
                if not busy[target]:
                    heappush(events, (now + transfer << bits) + looks + target)
    if left:
        return None
    entries = [np.array(mine)[order] for mine, order in zip(keys, orders, strict=True)]
    end = [np.array(mine) for mine in ends]
    start = [each - np.array(duration)[mine] for each, mine in zip(end, entries, strict=True)]
    ran = Ran(passes, [tick_s * each for each in start], [tick_s * each for each in end])
    written = [numbered(layout, each, mine[:, None]) for mine in entries]
    return Schedule(name, layout, each, written, ran=ran)


def _ticks(passes: Passes) -> tuple[float, list[int]]:
    """Seconds of a tick, and the ticks of all passes and of a transfer."""
    seconds = [*passes.durations()[: 3 * len(passes.forward_s)], passes.transfer_s]
    tick_s = 2.0 ** (frexp(max(seconds))[1] - TICKS)
    return tick_s, [round(each_s / tick_s) for each_s in seconds]


def _made_ready(layout: Layout, keys: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Of each rank's passes: (rank, pass) that it makes ready; (-1, -1) for none."""
    stages = len(layout.rank)
    place = {key: (rank, at) for rank, mine in enumerate(keys) for at, key in enumerate(mine)}
    found: list[tuple[int, int]] = []
    for key in (key for mine in keys for key in mine):
        kind, stage = divmod(key, stages)
        after = -1 if kind == W else (layout.after if kind == F else layout.before)[stage]
        turns = kind == F and after < 0
        at = B * stages + stage if turns else kind * stages + after
        found.append(place[at] if turns or after >= 0 else (-1, -1))
    return found
