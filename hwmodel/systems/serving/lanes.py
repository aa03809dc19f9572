"""Batches that one engine has under way side by side: those of a pipeline's stages.

A pipeline of p stages works on p batches at a time, each of which passes all stages before its next
step. Such an engine is p lanes: each has a p-th of the cache and of the sequences, and its step
takes what a pass through all stages does (vLLM keeps as many batches in its queue as stages).
"""

from dataclasses import dataclass

from hwmodel.systems.serving.batch import Batch, StepTimes, cost
from hwmodel.systems.serving.scheduler import Scheduler


@dataclass(frozen=True, eq=False)
class Lane:
    """Steps of one lane: a `StepTimes` with its share of the engine's cache."""

    clock: StepTimes
    lanes: int

    @property
    def kv_tokens(self) -> int:
        """Tokens of cache that the lane holds."""
        return self.clock.kv_tokens // self.lanes

    def seconds(self, batch: Batch) -> float:
        """Duration of a pass through all stages."""
        return self.clock.seconds(batch)

    def joules(self, batch: Batch) -> float:
        """Energy of it, on all devices of the engine."""
        return self.clock.joules(batch)

    def both(self, batch: Batch) -> tuple[float, float]:
        """Both of these."""
        return cost(self.clock, batch)


def laned(
    clock: StepTimes, rules: Scheduler, replicas: int, stages: int, ranks: int = 1
) -> tuple[StepTimes, Scheduler, int]:
    """What runs so many engines of such stages: the steps, rules and number of their lanes.

    Budgets of `rules` are those that an engine is started with, the sequences in all its lanes; of
    each of the `ranks` that attend apart.
    """
    rules = rules.but(
        max_batch_tokens=rules.max_batch_tokens * ranks,
        max_batch=max(1, rules.max_batch * ranks // stages),
        ranks=ranks,
    )
    if stages == 1:
        return clock, rules, replicas
    return Lane(clock, stages), rules, replicas * stages
