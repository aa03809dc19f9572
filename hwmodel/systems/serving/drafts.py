"""Drafts that an engine's steps verify, in a stream: a clock, and requests by steps of it.

What is drafted and how much of it is right is a value of `hwmodel.einsum.workloads.drafts`. A step
of the engine is those that draft, one a level, and the one that verifies, as `predict` has them.

Sequences of an engine move step by step (`stepping.py`), so that a request of O tokens is one of as
many steps as it takes to make them, which are drawn. What contexts are longer than steps is added
to the keys of a step in the mean, and taken off the cache likewise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.model import Model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.systems.serving.batch import Batch, StepTimes
from hwmodel.systems.serving.cluster import Ran
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.step_times import EngineSteps, step_times, unscheduled


@dataclass(frozen=True, eq=False)
class Verifying:
    """Steps of an engine that verifies what a draft's steps have made: a `StepTimes`.

    Attributes:
        clock: steps that verify. draft: steps of what drafts, by tokens of a sequence that they
            read; none where drafting takes no time.
        copies: groups of devices that draft side by side, all the same.
        later: keys by which contexts are longer than the steps tell, of a sequence in the mean.
        kv_tokens: tokens of cache, in those that the steps tell.
    """

    clock: StepTimes
    draft: Mapping[int, StepTimes]
    drafts: Drafts
    later: float
    kv_tokens: int
    copies: float = 1.0
    warnings: tuple[str, ...] = ()

    def seconds(self, batch: Batch) -> float:
        """Of the draft's steps, and of the step that verifies."""
        whole = self._longer(batch)
        return self.clock.seconds(whole) + sum(c.seconds(b) for c, b in self._ahead(whole))

    def joules(self, batch: Batch) -> float:
        """Of both."""
        whole = self._longer(batch)
        drafting = sum(c.joules(b) for c, b in self._ahead(whole))
        return self.clock.joules(whole) + self.copies * drafting

    def _longer(self, batch: Batch) -> Batch:
        return replace(batch, keys=batch.keys + round(self.later * batch.decodes))

    def _ahead(self, batch: Batch) -> list[tuple[StepTimes, Batch]]:
        """The draft's steps: its reading of prompts, then a step for each level."""
        if not self.draft:
            return []
        read = Batch(prompts=batch.prompts, new=batch.new, pairs=batch.pairs)
        found = [(self.draft[1], read)] if batch.prompts else []
        level = Batch(batch.decodes, batch.keys)
        return found + [(self.draft[r], level) for r in self.drafts.rows if batch.decodes]


def drafting(
    clock: EngineSteps,
    target: Model,
    drafts: Drafts,
    machine: Hardware,
    ways: Division,
    *,
    later: float,
    share: float,
    engine: str | Engine = "vllm",
    topology: Any = None,
) -> Verifying:
    """The steps that draft for `target`, ahead of those that verify, on an engine so divided.

    `later` and `share` are those of `stepped`.
    """
    own, draft = drafts.ways(ways), dict[int, EngineSteps]()
    if drafts.model is not None:
        small, parallel = target.drafting(drafts), own.given
        for rows in sorted({1, *drafts.rows}):
            made = step_times(
                small,
                machine,
                engine=engine,
                parallel=parallel,
                topology=topology,
                largest=clock.largest,
                draft=Drafts.reading(rows),
                tolerance=0,
            )
            draft[rows] = unscheduled(made)
    copies = clock.devices / own.devices
    held = int(clock.kv_tokens * share)
    return Verifying(clock, draft, drafts, later, held, copies, clock.warnings)


def stepped(
    requests: Sequence[Request], drafts: Drafts, seed: int
) -> tuple[list[Request], float, float]:
    """Requests by steps instead of tokens; keys to add; held tokens that steps tell, as a share."""
    steps = drafts.steps([each.output - 1 for each in requests], seed)
    told = [replace(each, output=1 + count) for each, count in zip(requests, steps, strict=True)]
    input_ = float(np.mean([each.input for each in requests]))
    output = float(np.mean([each.output for each in requests]))
    made = 1 + float(np.mean(steps))
    return told, (output - made) / 2, (input_ + made / 2) / (input_ + output / 2)


def restored(ran: Ran, requests: Sequence[Request]) -> Ran:
    """What became of a stream, its requests with their tokens again."""
    for stay in ran.stays:
        stay.request = replace(requests[stay.number], arrival_s=stay.request.arrival_s)
    return ran
