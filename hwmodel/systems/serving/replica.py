"""A replica that skips ahead over steps in which nothing happens.

Where nobody comes, ends or can be admitted between two boundaries, and blocks last, all steps
decode the same sequences: a run of them is one cumulative sum, of the same durations in the same
order, hence bit for bit what stepping gives. A run is made up to the next event that is known; a
request that comes later takes back the steps that would be scheduled after it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hwmodel.systems.serving.batch import Batch, StepTimes, cost
from hwmodel.systems.serving.requests import Stay
from hwmodel.systems.serving.scheduler import Scheduler
from hwmodel.systems.serving.stepping import Stepping

AT_ONCE = 24
"""Steps from which on a run of them is summed as an array: below, the array costs more."""
LONGEST = 4096
"""Steps of one run."""
UNDONE = (
    *("now_s", "busy_s", "joules", "steps", "peak", "computed", "_owed"),
    *("_ready_s", "_ticks", "_since", "_done"),
)
"""What a run of steps changes, besides what is in flight and the blocks."""


class Replica(Stepping):
    """An engine on its devices, as fast as it is answered."""

    def __init__(
        self,
        clock: StepTimes,
        rules: Scheduler,
        done: Callable[[Stepping, Stay], None] | None = None,
    ) -> None:
        super().__init__(clock, rules, done)
        self._state: tuple[Any, ...] = ()  # before the last run of steps
        self._ahead_of: tuple[Any, ...] = ()
        self._took = 0

    def offer(self, stay: Stay) -> None:
        """A request comes, not before any that came."""
        if self.now_s > stay.request.arrival_s and not self.waiting and self._state:
            self._take_back(stay.request.arrival_s)
        super().offer(stay)

    def _skipped(self) -> bool:
        """Whether a run of steps was scheduled."""
        self._state = ()
        return self._quiet() and self._run()

    def _quiet(self) -> bool:
        """Whether the next steps decode the same sequences, and nothing else."""
        return (
            self._decodes > 0
            and not self._partial
            and len(self._flight) == self.rules.in_flight - 1
            and (not self.waiting or (self._blocked and not self.rules.reserve.steps))
            and not any(firsts or lasts for _, _, firsts, lasts in self._flight)
        )

    def _run(self) -> bool:
        """Schedule steps up to the next event; False where that is the next step.

        Requests that are not known of yet may come before: `offer` then takes back the steps that
        would be scheduled after them.
        """
        count = min(self._next_ends[0] - self._ticks - 1, self._lasting())
        if count < 1:
            return False
        until_s = self.inbox[0].request.arrival_s if self.inbox else float("inf")
        until_s = float("inf") if self.waiting else until_s
        first = Batch(self._decodes, self._sum + self._decodes * (self._ticks + 1))
        start_s = max(self._ready_s, self.now_s)
        fit = float(count)
        if until_s < float("inf"):
            fit = (until_s - start_s) / self.clock.seconds(first) + len(self._flight) + 2
        seconds, joules = in_a_row(self.clock, first, int(min(count, LONGEST, max(1.0, fit))))
        ends = np.cumsum([start_s, *seconds])[1:]
        self._state = tuple(getattr(self, name) for name in UNDONE)
        self._ahead_of = tuple(self._flight), ends, seconds, joules
        self._steps_until(until_s)
        return True

    def _steps_until(self, until_s: float) -> None:
        """Of the run that was found, the steps that are scheduled before an instant."""
        flight, ends, seconds, joules = self._ahead_of
        # A step is scheduled at a boundary: now, when those in flight end, when its own do.
        bounds = np.concatenate(([self.now_s], [step[0] for step in flight], ends))
        made = 1 + int(np.searchsorted(bounds[1 : len(ends)], until_s, side="left"))
        ahead, ended = len(flight), made - 1
        self._done += sum(step[1] for step in flight[:ended]) + max(0, ended - ahead)
        later = ((float(end), True, (), ()) for end in ends[max(0, ended - ahead) : made])
        self._flight = deque([*flight[ended:], *later])
        self.busy_s = float(np.cumsum([self.busy_s, *seconds[:made]])[-1])
        self.joules = float(np.cumsum([self.joules, *joules[:made]])[-1])
        self.now_s, self._ready_s = float(bounds[made - 1]), float(ends[made - 1])
        self._took = sum(self._needs(made))
        self._take(self._took)
        self.steps += made
        self._ticks += made
        self._since += made
        self.computed += made * self._decodes

    def _take_back(self, until_s: float) -> None:
        """Undo the steps of the last run that are scheduled after an instant."""
        for name, value in zip(UNDONE, self._state, strict=True):
            setattr(self, name, value)
        self.blocks.untake(self._took)
        self._steps_until(until_s)

    def _needs(self, steps: int) -> Iterator[int]:
        """Blocks that so many decode steps take, each."""
        size = self.rules.block_tokens
        periods, rest = divmod(steps, size)
        yield periods * self._decodes
        yield from (self._classes[-(self._ticks + step) % size] for step in range(rest))

    def _lasting(self) -> int:
        """Decode steps for which the free blocks last."""
        size = self.rules.block_tokens
        periods, left = divmod(self.blocks.free, self._decodes)
        for step in range(size):
            left -= self._classes[-(self._ticks + step) % size]
            if left < 0:
                return periods * size + step
        return periods * size + size


def in_a_row(clock: StepTimes, first: Batch, steps: int) -> tuple[Any, Any]:
    """Seconds and joules of decode steps in a row: each attends to one more key a sequence.

    A clock that answers for arrays of `keys` has `row(first, steps)`.
    """
    row = getattr(clock, "row", None)
    if row is not None and steps >= AT_ONCE:
        return row(first, steps)
    each = [Batch(first.decodes, first.keys + step * first.decodes) for step in range(steps)]
    seconds, joules = zip(*(cost(clock, step) for step in each), strict=True)
    return seconds, joules
