"""Several engines in one time: what ends on one may begin something on another.

Each engine goes from boundary to boundary by itself (`replica.py`); here the earliest boundary of
all, and the earliest event that is planned, come first, so that whatever follows from the one is
there before the other is reached. A request that an engine gets while it has skipped ahead takes
back what it skipped (`Replica.offer`).
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from hwmodel.systems.serving.requests import Request, Stay
from hwmodel.systems.serving.stepping import Stepping

Then = Callable[[float], object]
"""What follows at an instant."""


class Together:
    """Engines, and what is planned.

    Attributes:
        now_s: the instant that was reached.
        stays: every request that was sent, in order.
    """

    def __init__(self) -> None:
        """Nothing is planned."""
        self.now_s = 0.0
        self.stays: list[Stay] = []
        self._planned: list[tuple[float, int, Then]] = []
        self._count = 0
        self._after: dict[int, Then] = {}

    def at(self, time_s: float, then: Then) -> None:
        """Plan what happens at an instant, not before this one."""
        self._count += 1
        heappush(self._planned, (max(time_s, self.now_s), self._count, then))

    def send(self, engine: Stepping, request: Request, then: Then) -> Stay:
        """A request comes to an engine now; `then` when its last token leaves."""
        stay = Stay(len(self.stays), request)
        self.stays.append(stay)
        self._after[stay.number] = then
        engine.offer(stay)
        return stay

    def ended(self, _: Stepping, stay: Stay) -> None:
        """What an engine says of a request that ends (`Stepping.done`)."""
        self.at(stay.last_s, self._after.pop(stay.number))

    def run(self, engines: Sequence[Stepping]) -> None:
        """To the end of all that is planned and of all that follows."""
        while True:
            planned_s = self._planned[0][0] if self._planned else float("inf")
            first = min(engines, key=lambda engine: engine.next_s, default=None)
            next_s = float("inf") if first is None else first.next_s
            if first is not None and next_s < planned_s:
                first.advance(next_s)
            elif self._planned:
                self.now_s, _, then = heappop(self._planned)
                then(self.now_s)
            else:
                return
