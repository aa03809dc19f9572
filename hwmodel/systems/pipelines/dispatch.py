"""Orders that come of running: each rank takes, whenever it is free, the pass that a rule picks.

A rule sees what its rank could run now (`Ready`): forward and backward passes whose inputs have
come, weight gradients that are left, and how many micro-batches it keeps. The orders that result
are static schedules; durations decide them, as in the papers' own heuristics.
"""

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from hwmodel.systems.pipelines.schedule import B, Entry, F, Layout, Schedule, W
from hwmodel.systems.pipelines.timing import Passes


class Ready:
    """What one rank could run now.

    Attributes:
        stages: that it holds.
        ready: of kinds F and B, of each stage: the micro-batches whose pass could run.
        weights: (stage, micro-batch) whose weight gradients are left, in the order of their B.
        kept: micro-batches in flight at its stages together, from F to the end of W.
        kept_to_b: the same, from F to the end of B.
    """

    def __init__(self, stages: Sequence[int]) -> None:
        self.stages = stages
        self.ready: dict[tuple[int, int], deque[int]] = {
            (kind, stage): deque() for kind in (F, B) for stage in stages
        }
        self.weights: deque[tuple[int, int]] = deque()
        self.kept = self.kept_to_b = 0


Pick = Callable[[Ready], tuple[int, int, int] | None]
"""A rule: (kind, stage, micro-batch) of the pass to run now, or None to wait."""


def dispatched(
    name: str, layout: Layout, each: int, passes: Passes, picks: Sequence[Pick]
) -> Schedule | None:
    """The schedule that one rule a rank makes; None where all wait for each other."""
    stages, duration_s = len(layout.rank), passes.durations()
    ranks = [Ready(held) for held in layout.stages]
    orders: list[list[Entry]] = [[] for _ in ranks]
    busy = [False] * len(ranks)
    events: list[tuple[float, int, int, int]] = []
    """(time, rank, kind x stages + stage, micro-batch): ends, and arrivals at other ranks."""
    arrives = 4 * stages

    def run(rank: int, now: float) -> None:
        mine = ranks[rank]
        picked = picks[rank](mine)
        if picked is None:
            return
        kind, stage, micro_batch = picked
        if kind == W:
            mine.weights.remove((stage, micro_batch))
        else:
            mine.ready[kind, stage].remove(micro_batch)
            mine.kept += kind == F
            mine.kept_to_b += kind == F
        key = kind * stages + stage
        orders[rank].append((key * each + micro_batch,))
        busy[rank] = True
        heappush(events, (now + duration_s[key], rank, key, micro_batch))

    for stage, before in enumerate(layout.before):
        if before < 0:
            ranks[layout.rank[stage]].ready[F, stage].extend(range(each))
    left = 3 * stages * each
    for rank in range(len(ranks)):
        run(rank, 0.0)
    while events:
        now = events[0][0]
        touched: dict[int, None] = {}
        while events and events[0][0] == now:
            _, rank, key, micro_batch = heappop(events)
            touched[rank] = None
            kind, stage = divmod(key % arrives, stages)
            if key >= arrives:
                ranks[rank].ready[kind, stage].append(micro_batch)
                continue
            busy[rank] = False
            left -= 1
            mine = ranks[rank]
            if kind == W:
                mine.kept -= 1
                continue
            if kind == B:
                mine.kept_to_b -= 1
                mine.weights.append((stage, micro_batch))
            after = (layout.after if kind == F else layout.before)[stage]
            if after < 0:
                if kind == F:
                    mine.ready[B, stage].append(micro_batch)
                continue
            target = layout.rank[after]
            if target == rank or passes.transfer_s == 0:
                ranks[target].ready[kind, after].append(micro_batch)
                touched[target] = None
            else:
                there = arrives + kind * stages + after
                heappush(events, (now + passes.transfer_s, target, there, micro_batch))
        for rank in sorted(touched):
            if not busy[rank]:
                run(rank, now)
    if left:
        return None
    return Schedule(name, layout, each, tuple(tuple(order) for order in orders))
