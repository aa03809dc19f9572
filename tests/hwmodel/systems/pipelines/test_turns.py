"""Ranks that take turns, all at once, against the event simulation of their passes one by one."""

from random import Random

import numpy as np

from hwmodel.systems.events import simulate
from hwmodel.systems.pipelines.named import scheduled
from hwmodel.systems.pipelines.schedule import Passes
from hwmodel.systems.pipelines.timing import tasks, timed


def test_all_ranks_at_once_are_the_event_simulation_whatever_the_counts() -> None:
    """Fewer micro-batches than ranks, one, many; one rank; stages that differ."""
    draw = Random(3)
    sizes = [(ranks, 1, count) for ranks in (1, 2, 5) for count in (1, 2, 3, 9)]
    sizes += [
        (ranks, chunks, ranks * n) for ranks in (2, 3, 5) for chunks in (2, 3) for n in (1, 3)
    ]
    for ranks, chunks, count in sizes:
        stages = ranks * chunks
        seconds = [[draw.uniform(0.2, 2) for _ in range(stages)] for _ in range(3)]
        passes = Passes(*seconds, transfer_s=draw.choice((0.0, 0.3)))
        schedule = scheduled(
            "1f1b" if chunks == 1 else "interleaved", ranks, count, passes, chunks=chunks
        )
        assert schedule.turns is not None
        found = timed(schedule, passes)
        given, numbers = tasks(schedule, passes)
        wanted = simulate(given)
        for rank, each in enumerate(numbers):
            np.testing.assert_allclose(found.start_s[rank], wanted.start_s[each], rtol=1e-12)
            np.testing.assert_allclose(found.end_s[rank], wanted.end_s[each], rtol=1e-12)
