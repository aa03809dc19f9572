"""How far a stream may lie from what is said of it: the stream again at both ends of its steps.

Kernels of every step are taken to be as quick, or as slow, as their 90 % interval ends: errors of
one engine on one board go together. So are hosts, which are quick for as long as a process runs and
slow for some seconds on end: the quick end of a step lasts through a stream, of the slow one a part
(`LASTING`). A step waits for its host where kernels do not hide it, which short prompts do not and
long ones do. What queues turns a slower step into a longer wait than its own: a stream near
saturation has a wide interval.

Of long streams the first `MOST` requests are run at both ends and in the middle, and tell ratios.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from hwmodel.systems.serving.apart import Engines
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.drafts import Verifying
from hwmodel.systems.serving.served import ENDS, Ends, Served
from hwmodel.systems.serving.step_times import EngineSteps

MOST = 2000
"""Requests that are run again."""
LASTING = (1.0, 0.5)
"""Of a host's quick and slow end, in logarithms, what lasts through a stream: latencies of eleven
streams of two dense models and a mixture in one process ask for a host at 0.70 to 1.22 of the
middle one, where steps lie between 0.7 and 1.6."""
Clock = TypeVar("Clock", bound=StepTimes)


def at_end(pools: Mapping[str, Engines], end: int) -> dict[str, Engines]:
    """The same engines with steps at the quick end (0) or the slow one (1) of their intervals."""
    return {n: replace(each, clock=paced(each.clock, end)) for n, each in pools.items()}


def bounded(pools: Mapping[str, Engines]) -> bool:
    """Whether all steps have an interval."""
    clocks = [each.clock for each in pools.values()]
    steps = [each.clock if isinstance(each, Verifying) else each for each in clocks]
    known = [each.interval for each in steps if isinstance(each, EngineSteps)]
    return len(known) == len(steps) and all(low == low and high == high for low, high in known)


def paced(clock: Clock, end: int) -> Clock:
    """The same steps at an end of their intervals; as they are where these are not known."""
    if isinstance(clock, EngineSteps):
        host = clock.hosts[end] ** LASTING[end]
        return replace(clock, pace=(clock.decoding[end], clock.interval[end], host))
    if isinstance(clock, Verifying):
        ahead = {rows: paced(each, end) for rows, each in clock.draft.items()}
        return replace(clock, clock=paced(clock.clock, end), draft=ahead)
    return clock


def ends(
    middle: Served, again: Callable[[int, int | None], Served], count: int
) -> Callable[[], Ends]:
    """What tells both ends of each figure that has them, once it is asked.

    `again(n, end)` is the stream's first n requests at an end of the steps, or in the middle
    (None); `middle` all `count` of them.
    """

    def told() -> Ends:
        few = min(count, MOST)
        own = middle if few == count else again(few, None)
        quick, slow = (again(few, end) for end in (0, 1))
        return {name: _between(name, middle, own, (quick, slow)) for name, _ in ENDS.values()}

    return told


def _between(name: str, middle: Served, own: Served, both: Sequence[Served]) -> tuple[float, float]:
    """Low and high of a figure: ratios of the ends to the middle of as many requests."""
    value, base = getattr(middle, name), getattr(own, name)
    found = [value * getattr(each, name) / base for each in both]
    return min(value, *found), max(value, *found)
