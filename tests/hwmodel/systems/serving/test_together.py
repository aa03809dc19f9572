"""Engines in one time: what ends on one begins on another, by hand."""

from hwmodel.systems.serving.replica import Replica
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler
from hwmodel.systems.serving.together import Together
from tests.hwmodel.systems.serving.clocks import Linear

RULES = Scheduler(in_flight=1)


def test_a_request_that_follows_another_takes_back_what_was_skipped() -> None:
    """One of 100 steps of 1 s is under way when one of another engine ends at 3.5 s.

    Its successor comes to the first then, is read in the step from 4 to 5 s, and ends at 6 s.
    """
    together = Together()
    slow, quick = (Replica(Linear(base_s=s), RULES, done=together.ended) for s in (1.0, 3.5))
    ends: dict[str, float] = {}

    def keep(name: str) -> None:
        ends[name] = together.now_s

    def follow(now_s: float) -> None:
        together.send(slow, Request(now_s, 4, 2), lambda _: keep("second"))

    together.at(0.0, lambda _: together.send(slow, Request(0.0, 4, 100), lambda _: keep("long")))
    together.at(0.0, lambda _: together.send(quick, Request(0.0, 4, 1), follow))
    together.run([slow, quick])
    assert ends == {"second": 6.0, "long": 100.0}
    assert [stay.first_s for stay in together.stays] == [1.0, 3.5, 5.0]


def test_what_is_planned_happens_in_the_order_of_its_instants() -> None:
    together, seen = Together(), list[float]()
    for at_s in (3.0, 1.0, 2.0):
        together.at(at_s, seen.append)
    together.at(1.0, lambda now_s: together.at(0.5, seen.append))  # not before it was planned
    together.run([])
    assert seen == [1.0, 1.0, 2.0, 3.0]
