"""Replicas of an engine behind a router: which request goes where, and what all of them did.

Routing: `round-robin`; `least-work`, to the replica with fewest requests that have not ended;
`prefix`, to where most spans of the prompt were sent last, unless that replica has `LEAN` more
requests than the least; then, and where none were, as least-work. In a closed loop a client stays
with its replica, and takes every n-th request of the row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.replica import Replica
from hwmodel.systems.serving.requests import Request, Stay, check
from hwmodel.systems.serving.scheduler import Scheduler
from hwmodel.systems.serving.stepping import Stepping

LEAN = 8
"""Requests by which a replica that knows a prompt may lead the least loaded one."""

ONE_BY_ONE_S = 1e-3
"""What a server's process spends on a request before the next one passes: answers of eight clients
in step with each other came 7 ms after the engine's, a lone one's 3 (vLLM 0.22.1 over HTTP)."""

Route = Callable[[Sequence[Replica], Sequence[Request]], Iterator[int]]
"""From replicas, and requests in order of arrival, to the place of each: asked one by one, when
the replicas have reached its arrival."""


def _in_turn(replicas: Sequence[Replica], requests: Sequence[Request]) -> Iterator[int]:
    """One after the other."""
    return (number % len(replicas) for number in range(len(requests)))


def _least(replicas: Sequence[Replica]) -> int:
    return min(range(len(replicas)), key=lambda place: replicas[place].outstanding)


def _least_work(replicas: Sequence[Replica], requests: Sequence[Request]) -> Iterator[int]:
    """To the replica with fewest requests."""
    return (_least(replicas) for _ in requests)


def _prefix(replicas: Sequence[Replica], requests: Sequence[Request]) -> Iterator[int]:
    """To where most of the prompt's spans were sent last."""
    sent: dict[int, int] = {}
    for request in requests:
        place = least = _least(replicas)
        homes = [sent.get(span, -1) for span in request.hashes]
        if homes and homes[0] >= 0:
            known = homes[0]
            if replicas[known].outstanding <= replicas[least].outstanding + LEAN:
                place = known
        sent.update((span, place) for span in request.hashes)
        yield place


ROUTES: Mapping[str, tuple[Route, bool]] = {
    "round-robin": (_in_turn, False),
    "least-work": (_least_work, True),
    "prefix": (_prefix, True),
}
"""Name -> how requests are routed, and whether by the state of the replicas."""


@dataclass(frozen=True, eq=False)
class Ran:
    """What became of a stream: every request, and every replica in its last state."""

    stays: tuple[Stay, ...]
    places: tuple[int, ...]
    replicas: tuple[Stepping, ...]


@dataclass
class Door:
    """A server that lets requests in one by one; without one they come as they like."""

    frontend_s: float
    free_s: float = 0.0

    def through_s(self, ended_s: float) -> float:
        """When the request is at its engine of a client whose answer ended then."""
        came_s = ended_s + self.frontend_s
        if not self.frontend_s:
            return came_s
        found = max(came_s, self.free_s)
        self.free_s = found + ONE_BY_ONE_S
        return found


def run(
    requests: Sequence[Request],
    clock: StepTimes,
    rules: Scheduler,
    *,
    replicas: int = 1,
    routing: str = "round-robin",
    concurrency: int | None = None,
    frontend_s: float = 0.0,
) -> Ran:
    """All requests, to the last token.

    `concurrency`: of a closed loop, in which a request comes when one before it has ended, and
    `frontend_s` later; arrivals of requests are then those at which they came. At 0 it is there
    when the next step is scheduled, as where a client calls its engine. Raises `InputError` for a
    stream that is none, `CapacityError` for a request that no replica holds.
    """
    check(requests, rules.block_tokens)
    if routing not in ROUTES:
        raise UnknownNameError("routing", routing, ROUTES)
    if replicas < 1:
        raise InputError(f"serving: replicas: expected 1 or more, found {replicas}")
    if concurrency is not None:
        return _looped(requests, clock, rules, replicas, concurrency, frontend_s)
    engines = [Replica(clock, rules) for _ in range(replicas)]
    route, looks = ROUTES[routing]
    places: list[int] = []
    made = [Stay(number, each) for number, each in enumerate(requests)]
    choice = route(engines, requests)
    for sequence in made:
        if looks:
            for engine in engines:
                engine.advance(sequence.request.arrival_s)
        place = next(choice)
        places.append(place)
        engines[place].offer(sequence)
    for engine in engines:
        engine.advance()
    return Ran(tuple(made), tuple(places), tuple(engines))


def _looped(
    requests: Sequence[Request],
    clock: StepTimes,
    rules: Scheduler,
    replicas: int,
    concurrency: int,
    frontend_s: float,
) -> Ran:
    """A closed loop: each replica has its share of the clients and of the requests."""
    if concurrency < replicas:
        raise InputError(
            f"serving: concurrency: expected one or more a replica ({replicas}), found"
            f" {concurrency}"
        )
    made: list[Stay | None] = [None] * len(requests)
    engines: list[Replica] = []
    for place in range(replicas):
        row, door = iter(range(place, len(requests), replicas)), Door(frontend_s)

        def more(
            engine: Stepping, ended_s: float, row: Iterator[int] = row, door: Door = door
        ) -> None:
            number = next(row, None)
            if number is not None:
                request = replace(requests[number], arrival_s=door.through_s(ended_s))
                made[number] = sequence = Stay(number, request)
                engine.offer(sequence)

        engine = Replica(clock, rules, done=lambda at, ended, more=more: more(at, ended.last_s))
        engines.append(engine)
        for _ in range(concurrency // replicas + (place < concurrency % replicas)):
            more(engine, -frontend_s)
        engine.advance()
    places = tuple(number % replicas for number in range(len(requests)))
    return Ran(tuple(each for each in made if each is not None), places, tuple(engines))
