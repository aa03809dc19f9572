"""Replicas behind a router: who gets what, and clients that wait for their answers."""

from typing import Any

import pytest

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.systems.serving.cluster import ROUTES, run
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler
from tests.hwmodel.systems.serving.clocks import Linear
from tests.hwmodel.systems.serving.test_replica import stream

RULES = Scheduler(in_flight=1)


@pytest.mark.parametrize("routing", ROUTES)
def test_one_replica_is_the_same_whatever_the_routing(routing: str) -> None:
    requests, clock = stream(200, 10.0), Linear(base_s=0.003, token_s=1e-4)
    found = run(requests, clock, RULES, routing=routing)
    plain = run(requests, clock, RULES)
    assert [s.last_s for s in found.stays] == [s.last_s for s in plain.stays]
    assert found.replicas[0].joules == plain.replicas[0].joules


def test_replicas_in_turn_are_each_alone_with_their_requests() -> None:
    requests, clock = stream(200, 30.0), Linear(base_s=0.003, token_s=1e-4)
    both = run(requests, clock, RULES, replicas=2)
    for place in (0, 1):
        alone = run(requests[place::2], clock, RULES)
        assert [s.last_s for s in alone.stays] == [
            s.last_s for s, at in zip(both.stays, both.places, strict=True) if at == place
        ]


def test_the_replica_with_least_to_do_is_chosen_at_each_arrival() -> None:
    requests = [Request(0.0, 8, 100), Request(0.1, 8, 2), Request(5.0, 8, 2), Request(5.1, 8, 2)]
    found = run(requests, Linear(base_s=1.0), RULES, replicas=2, routing="least-work")
    assert found.places == (0, 1, 1, 0)
    in_turn = run(requests, Linear(base_s=1.0), RULES, replicas=2)
    assert in_turn.places == (0, 1, 0, 1)


def test_least_work_leaves_the_tail_no_longer_than_turns_do() -> None:
    requests, clock = stream(1500, 60.0, outputs=200), Linear(base_s=0.01, token_s=2e-4)
    tails = [
        sorted(s.last_s - s.request.arrival_s for s in found.stays)[-15]
        for found in (
            run(requests, clock, RULES.but(max_batch=16), replicas=6, routing=name)
            for name in ("least-work", "round-robin")
        )
    ]
    assert tails[0] < tails[1]


def test_prompts_that_begin_alike_meet_where_the_beginning_is() -> None:
    requests = [Request(float(n), 64, 2, hashes=(n % 3, 10 + n)) for n in range(30)]
    found = run(requests, Linear(base_s=0.1), RULES, replicas=3, routing="prefix")
    homes = [{at for n, at in enumerate(found.places) if n % 3 == kind} for kind in range(3)]
    assert all(len(each) == 1 for each in homes)
    assert sum(e.reused for e in found.replicas) == 27 * 16


def test_a_closed_loop_has_as_many_requests_under_way_as_clients() -> None:
    requests = [Request(0.0, 8, 5) for _ in range(12)]
    found = run(requests, Linear(base_s=1.0), RULES, concurrency=4)
    # A round of four takes five steps; the next is read while nobody decodes.
    assert [s.last_s for s in found.stays] == [5.0] * 4 + [10.0] * 4 + [15.0] * 4
    assert [s.request.arrival_s for s in found.stays] == [0.0] * 4 + [5.0] * 4 + [10.0] * 4
    halves = run(requests, Linear(base_s=1.0), RULES, replicas=2, concurrency=4)
    assert [s.last_s for s in halves.stays] == [s.last_s for s in found.stays]


def test_clients_of_a_loop_miss_a_step_where_a_server_takes_its_time() -> None:
    sizes = (2, 4, 2)  # of the first two clients' answers, and of the first one's next
    requests = [Request(0.0, 8, output) for output in sizes]
    for frontend_s, arrival_s, first_s in ((0.0, 2.0, 3.0), (0.5, 2.5, 4.0)):
        found = run(requests, Linear(base_s=1.0), RULES, concurrency=2, frontend_s=frontend_s)
        again = found.stays[2]  # the first answer ends with the second step
        assert (again.request.arrival_s, again.first_s) == (arrival_s, first_s)


def test_clients_in_step_pass_a_server_one_by_one() -> None:
    """The first is read alone, the other a step later; without a server both at once."""
    for frontend_s, firsts in ((0.5, [1.0, 2.0]), (0.0, [1.0, 1.0])):
        asked = [Request(0.0, 8, 1)] * 2
        found = run(asked, Linear(base_s=1.0), RULES, concurrency=2, frontend_s=frontend_s)
        assert [stay.first_s for stay in found.stays] == firsts


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"routing": "random"}, UnknownNameError, "unknown routing 'random'"),
        ({"replicas": 0}, InputError, "replicas: expected 1 or more"),
        ({"replicas": 3, "concurrency": 2}, InputError, "one or more a replica"),
        ({"requests": []}, InputError, "one request or more"),
        ({"requests": [Request(1.0, 4, 4), Request(0.5, 4, 4)]}, InputError, "from 1 s on"),
        ({"requests": [Request(0.0, 4, 0)]}, InputError, "request 0: expected 1 token"),
        ({"requests": [Request(0.0, 4, 1, (1,), 16)]}, InputError, "at most 4 tokens"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], error: Any, said: str) -> None:
    asked: dict[str, Any] = {"requests": [Request(0.0, 4, 4)], **given}
    with pytest.raises(error, match=said):
        run(asked.pop("requests"), Linear(), RULES, **asked)
