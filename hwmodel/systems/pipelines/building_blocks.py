"""Schedules in a V with less memory than 1F1B's: one building block, repeated (arXiv 2405.15362).

    v-half   p + 2 half-sized micro-batches a rank, about half of 1F1B's memory
    v-min    the least that a building block keeps, about a third

A building block is one micro-batch's six passes on every rank, in units of time: forward down the
ranks and up, backward the same, and the weight gradients. It is repeated every six units; no two
passes of a rank may then meet, so that their places differ modulo six. What it keeps is how long
its micro-batches live. Blocks tried here take one or two numbers of units from a rank to the next
in each of the four directions, in turn, and up to six at each turning.

Ranks follow the block's order, run weight gradients where they would wait, and may take a pass
ahead of one whose input has not come by half an interval of the block (backwards only when no
forwards are left). Of the blocks that keep little enough the fastest is taken, as it is simulated
with the passes' own seconds.
"""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, product
from math import inf

import numpy as np

from hwmodel.quantity.errors import CapacityError
from hwmodel.systems.pipelines.dispatch import Pick, Ready, dispatched
from hwmodel.systems.pipelines.schedule import B, F, Layout, Passes, Schedule, W, at_least, in_a_v
from hwmodel.systems.pipelines.timing import timed

INTERVAL = 6
"""Units after which a building block is repeated: three passes at each of two stages."""
AHEAD = INTERVAL // 2
LEADS = (AHEAD, 0)
"""Units by which a pass may go ahead of its turn, as each block is tried."""
HOPS = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1))
"""Units from a rank to the next, of even and of odd ranks."""
TURNS = range(1, INTERVAL + 1)
MOST_PASSES = 60_000
"""Passes that are simulated to choose a block; those that would be more are not tried."""
MOST_BLOCKS = 200

Times = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """Units at which each rank runs its passes of micro-batch 0, by (kind, chunk)."""

    at: dict[tuple[int, int], Times]
    kept: int
    """Micro-batches that a rank keeps at most, each until its weight gradients are done."""
    kept_to_b: int
    """The same, each until the gradients of its inputs are done."""


def v_half(ranks: int, micro_batches: int, passes: Passes) -> Schedule:
    """The fastest block that keeps p + 2 micro-batches at most."""
    found = _in_turn(_every(ranks, ranks + 2), passes)
    return _best("v-half", ranks, micro_batches, passes, found)


def v_min(ranks: int, micro_batches: int, passes: Passes) -> Schedule:
    """The fastest block of those that keep the fewest."""
    return _best("v-min", ranks, micro_batches, passes, leanest(ranks))


def faster(schedule: Schedule, room: int, passes: Passes) -> Schedule:
    """The schedule, or a faster one of a block in `room` micro-batches, all of which it may use."""
    ranks, count = schedule.layout.ranks, schedule.each
    fullest = sorted(_every(ranks, room), key=lambda block: -block.kept)
    first = _in_turn(fullest, passes)
    found = tuple(replace(block, kept=room, kept_to_b=room) for block in first)
    best = timed(schedule, passes).makespan_s, schedule
    return _fastest(schedule.name, ranks, count, passes, found, best) or schedule


def _in_turn(found: Sequence[Block], passes: Passes) -> tuple[Block, ...]:
    """First those whose ways down and up leave the time that passes and transfers take."""
    ranks = len(passes.forward_s) // 2
    each_s = np.add(passes.forward_s, np.add(passes.backward_s, passes.weight_s))
    unit_s = float((each_s[:ranks] + each_s[: ranks - 1 : -1]).max()) / INTERVAL
    sent_s = (ranks - 1) * passes.transfer_s
    takes_s = [
        sum(seconds[half]) + sent_s
        for seconds in (passes.forward_s, passes.backward_s)
        for half in (slice(ranks), slice(ranks, None))
    ]

    def left(block: Block) -> float:
        """Of the time that the slowest way takes, 1 at the most."""
        ways = [block.at[key] for key in ((F, 0), (F, 1), (B, 1), (B, 0))]
        lasts = [(abs(way[-1] - way[0]) + 1) * unit_s for way in ways]
        return round(
            min(1.0, *(s / t if t else 1.0 for s, t in zip(lasts, takes_s, strict=True))), 9
        )

    return tuple(sorted(found, key=lambda block: -left(block))[:MOST_BLOCKS])


@lru_cache(maxsize=64)
def _every(ranks: int, room: int) -> tuple[Block, ...]:
    return tuple(_blocks(ranks, room))


@lru_cache(maxsize=64)
def leanest(ranks: int) -> tuple[Block, ...]:
    """Blocks that keep the fewest micro-batches."""
    # On rank 0 a micro-batch lives four times down or up the ranks, in blocks of six units.
    for room in range(max(2, 4 * ranks // INTERVAL), 2 * ranks + 3):
        found = blocks(ranks, room)
        if found:
            least = min(block.kept_to_b for block in found)
            return tuple(block for block in found if block.kept_to_b == least)
    raise CapacityError(f"v-min: no building block of {ranks} ranks was found")


@lru_cache(maxsize=256)
def blocks(ranks: int, room: int, most: int = MOST_BLOCKS) -> tuple[Block, ...]:
    """The first `most` building blocks that keep `room` micro-batches or fewer on every rank."""
    return tuple(islice(_blocks(ranks, room), most))


def _blocks(ranks: int, room: int) -> Iterator[Block]:
    ways = {hop: _way(hop, ranks) for hop in HOPS}
    down = {hop: tuple(way) for hop, way in ways.items()}
    up = {hop: tuple(way[-1] - each for each in way) for hop, way in ways.items()}
    for first, second in product(HOPS, HOPS):
        forward = down[first]
        for turn in TURNS:
            again = _shift(up[second], forward[-1] + turn)
            if _meet(again, forward):
                continue
            for third, turn_b in product(HOPS, TURNS):
                backward = _shift(down[third], again[0] + turn_b)
                if _meet(backward, forward, again):
                    continue
                for fourth, turn_c in product(HOPS, TURNS):
                    last = _shift(up[fourth], backward[-1] + turn_c)
                    if not _meet(last, forward, again, backward):
                        block = _filled(forward, again, backward, last, room)
                        if block is not None:
                            yield block


def _way(hop: tuple[int, int], ranks: int) -> list[int]:
    found = [0]
    for rank in range(1, ranks):
        found.append(found[-1] + hop[(rank - 1) % 2])
    return found


def _shift(times: Times, by: int) -> Times:
    return tuple(each + by for each in times)


def _meet(times: Times, *others: Times) -> bool:
    """Whether two passes of a rank would fall on one unit, sooner or later."""
    return any(
        (mine - theirs) % INTERVAL == 0
        for other in others
        for mine, theirs in zip(times, other, strict=True)
    )


def _filled(forward: Times, again: Times, backward: Times, last: Times, room: int) -> Block | None:
    """The block with weight gradients in the two units that are left; None above `room`."""
    weights: tuple[list[int], list[int]] = ([], [])
    most = most_to_b = 0
    for four in zip(forward, again, backward, last, strict=True):
        one, other = sorted(set(range(INTERVAL)) - {each % INTERVAL for each in four})
        pair = min(
            ((_next(four[3], a), _next(four[2], b)) for a, b in ((one, other), (other, one))),
            key=sum,
        )
        for chunk in (0, 1):
            weights[chunk].append(pair[chunk])
        most = max(most, _alive((four[0], pair[0]), (four[1], pair[1])))
        most_to_b = max(most_to_b, _alive((four[0], four[3]), (four[1], four[2])))
        if most > room:
            return None
    at = {(F, 0): forward, (F, 1): again, (B, 1): backward, (B, 0): last}
    return Block(at | {(W, chunk): tuple(weights[chunk]) for chunk in (0, 1)}, most, most_to_b)


def _alive(*lives: tuple[int, int]) -> int:
    """The most micro-batches that live at once, each from its first to its last unit."""
    return max(
        sum(-(-(last + 1 - first - (unit - first) % INTERVAL) // INTERVAL) for first, last in lives)
        for unit in range(INTERVAL)
    )


def _next(after: int, unit: int) -> int:
    """The first time after `after` that is `unit` modulo the interval."""
    return after + 1 + (unit - after - 1) % INTERVAL


def _tried(ranks: int, micro_batches: int) -> int:
    """How many blocks, with each lead, are simulated to choose one."""
    return max(1, MOST_PASSES // (INTERVAL * ranks * max(1, micro_batches)))


def _best(
    name: str, ranks: int, micro_batches: int, passes: Passes, found: tuple[Block, ...]
) -> Schedule:
    at_least("micro_batches", micro_batches, 1)
    if not found:
        raise CapacityError(f"{name}: no building block of {ranks} ranks keeps little enough")
    best = _fastest(name, ranks, micro_batches, passes, found)
    if best is not None:
        return best
    schedule = _followed(name, in_a_v(ranks), micro_batches, passes, found[0], 0, inf)
    assert schedule is not None, "a building block in its own order ends"
    return schedule


def _fastest(
    name: str,
    ranks: int,
    micro_batches: int,
    passes: Passes,
    found: tuple[Block, ...],
    best: tuple[float, Schedule] | None = None,
) -> Schedule | None:
    """The fastest of a schedule, with its seconds, and of as many blocks as are tried."""
    layout = in_a_v(ranks)
    for block, ahead in islice(product(found, LEADS), _tried(ranks, micro_batches)):
        below_s = best[0] if best else inf
        schedule = _followed(name, layout, micro_batches, passes, block, ahead, below_s)
        # Only a pass taken ahead can leave ranks that wait for each other.
        if schedule is not None:
            best = timed(schedule, passes).makespan_s, schedule
    return best[1] if best else None


def _followed(
    name: str,
    layout: Layout,
    micro_batches: int,
    passes: Passes,
    block: Block,
    ahead: int,
    below_s: float,
) -> Schedule | None:
    """The block repeated; None where passes taken ahead end in a deadlock, or not `below_s`."""
    picks = [_pattern(rank, micro_batches, block, ahead) for rank in range(layout.ranks)]
    return dispatched(name, layout, micro_batches, passes, picks, below_s=below_s)


def _pattern(rank: int, each: int, block: Block, ahead: int) -> Pick:
    """A rank's rule: its passes by their times in the block."""
    # The next of each kind and chunk at its time, whose numbers never meet: time x 4 + which.
    which = [key for key in block.at if key[0] != W]
    line = sorted(4 * block.at[key][rank] + number for number, key in enumerate(which))
    kinds = [2 * kind + chunk for kind, chunk in which]
    left = [each] * 4
    later, weights = 4 * INTERVAL, 2 * W
    room, room_to_b = block.kept, block.kept_to_b
    forwards = 2 * each

    def pick(ready: Ready) -> int:
        nonlocal forwards
        latest = (line[0] >> 2) + ahead if line else 0
        for place, entry in enumerate(line):
            if entry >> 2 > latest:
                break
            number = entry & 3
            kind = kinds[number]
            if not ready.waits[kind]:
                continue
            if kind >= 2:
                if place and forwards:
                    continue
            else:
                needed = 2 if place and kind == 0 else 1
                if ready.kept + needed > room or ready.kept_to_b + needed > room_to_b:
                    continue
                forwards -= 1
            del line[place]
            left[number] -= 1
            if left[number]:
                insort(line, entry + later)
            return kind
        return weights + ready.weights[0] if ready.weights else -1

    return pick
