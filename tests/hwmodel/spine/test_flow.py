"""Flows through a pipeline against the simulation of events, batch by batch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.spine.flow import Flow
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Task, Tasks

STAGES = ([1.0, 1.0], [2.0, 3.0, 1.0], [0.5, 0.7, 0.9, 4.0])


def makespan(stages: list[float], batches: int, rounds: int = 1) -> float:
    """When the last of so many batches leaves the last stage, each `rounds` times through."""
    tasks = Tasks()
    places = [tasks.resource(f"stage {s}") for s in range(len(stages))]
    last: list[Task | None] = [None] * batches
    for turn in range(rounds):
        for batch in range(batches):
            for number, seconds in enumerate(stages):
                before = last[batch]
                name = f"{turn} {batch} {number}"
                last[batch] = tasks.task(
                    name, seconds, places[number], () if before is None else before,
                    priority=turn * batches + batch,
                )  # fmt: skip
    return float(np.max(simulate(tasks).end_s))


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("batches", [1, 2, 3, 7])
def test_a_prompt_in_batches_takes_what_the_simulation_says(
    stages: list[float], batches: int
) -> None:
    alone = sum(stages)
    flow = Flow(len(stages), batches, max(stages) / alone, again=False)
    assert_allclose(flow.wall * alone, makespan(stages, batches))
    busy = batches * alone / len(stages)
    assert_allclose(flow.bubble, 1 - busy / makespan(stages, batches))


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("batches", [1, 2, 3, 7])
def test_a_step_of_decode_takes_the_period_of_the_simulation(
    stages: list[float], batches: int
) -> None:
    alone = sum(stages)
    flow = Flow(len(stages), batches, max(stages) / alone, again=True)
    period = (makespan(stages, batches, 60) - makespan(stages, batches, 20)) / 40
    assert_allclose(flow.wall * alone, period, rtol=1e-9)


def test_a_full_pipeline_passes_a_batch_in_the_slowest_stage_s_time() -> None:
    """One batch alone takes 6 s through stages of 2, 3 and 1; full, one leaves each 3 s."""
    flow = Flow(3, 1, 3 / 6, again=True)
    assert flow.full == 2
    assert Flow(3, 3, 3 / 6, again=True).full == pytest.approx(1)  # 9 s for three: full already


def test_stages_alike_are_the_least() -> None:
    for slowest in (0.25, 0.3, 0.9):
        flow = Flow(4, np.array([1, 2, 8]), slowest, again=False)
        assert np.all(flow.least <= flow.wall)
