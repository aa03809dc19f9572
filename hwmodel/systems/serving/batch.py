"""What one step of a serving engine computes, and what a clock of steps answers.

The seconds of a step rest on few sums over its sequences: how many decode, on how many keys in all,
how many tokens of prompts are new, on how many pairs of query and key. So a step is told by those
sums, whatever the requests behind them.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of an engine computes.

    Attributes:
        decodes: sequences that decode.
        keys: keys that one query of each attends to (their contexts), summed over those sequences.
        prompts: chunks of prompts in the step.
        new: tokens of those chunks, in all.
        pairs: pairs of query and key in those chunks; a chunk of n tokens on c cached ones has
            n c + n (n + 1) / 2 of them (causal).
        loaded: tokens of prompts whose keys and values come from another memory for the step.
    """

    decodes: int = 0
    keys: int = 0
    prompts: int = 0
    new: int = 0
    pairs: int = 0
    loaded: int = 0

    @property
    def uniform(self) -> "Batch":
        """The same with chunks of one token each as what they are to an engine: decoding.

        A prompt of which all but the last token is in the cache (its cache came from elsewhere) is
        one query on its keys, and runs in the graph of a step that only decodes.
        """
        if not self.prompts or self.new != self.prompts:
            return self
        keys = self.keys + self.pairs
        return Batch(decodes=self.decodes + self.prompts, keys=keys, loaded=self.loaded)


class StepTimes(Protocol):
    """Seconds and joules of an engine's steps on one replica."""

    @property
    def kv_tokens(self) -> int:
        """Tokens of cache that the replica holds."""
        ...

    def seconds(self, batch: Batch) -> float:
        """Duration of a step in the sustained state, the host's exposed share included."""
        ...

    def joules(self, batch: Batch) -> float:
        """Energy of a step on all devices of the replica."""
        ...


def cost(clock: StepTimes, batch: Batch) -> tuple[float, float]:
    """Seconds and joules of a step, found together where its clock can (`both`)."""
    both = getattr(clock, "both", None)
    return (clock.seconds(batch), clock.joules(batch)) if both is None else both(batch)
