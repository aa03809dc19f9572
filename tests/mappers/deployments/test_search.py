"""The pruned search against all candidates, one by one."""

from dataclasses import replace

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.deployments.bounds import Bounds
from hwmodel.mappers.deployments.kinds import kinds
from hwmodel.mappers.deployments.pools import Deployment, Seen
from hwmodel.mappers.deployments.search import Found, Sought, found, options
from hwmodel.mappers.deployments.tables import Tables
from hwmodel.mappers.deployments.traffic import Promise, Traffic
from hwmodel.quantity.errors import CapacityError
from hwmodel.verbs.deploy import prices, rents_of

NAMES = ("l40s", "h100")


def asked(minimise: str, traffic: str, slo: str) -> Sought:
    """A small space: one model in one format of weights, two devices, two of them at the most."""
    machines = [device(name) for name in NAMES]
    rents = rents_of(machines, "on-demand", "l40s=1")
    work, most = Traffic.of(traffic), 4096
    priced, least = prices(minimise, rents)
    return Sought(
        list(kinds(model("llama-3.1-8b"), machines, 2, ("fp8",))),
        work, Promise.of(slo), 2, priced, least,
        Tables(work, (1024, most)).predicted, Bounds(work, most),
        budgets=(1024, 4096), batches=(64, 256),
    )  # fmt: skip


def told(answer: Found) -> list[float]:
    return [each.cost for each in answer.best]


@pytest.mark.parametrize("minimise", ["price", "energy"])
def test_what_is_pruned_is_never_better(minimise: str) -> None:
    problem = asked(minimise, "rate=12,input=1000,output=150", "ttft=0.4s,tpot=20ms")
    quick, whole = found(problem), found(problem, pruned=False)
    assert quick.best[0].cost == pytest.approx(whole.best[0].cost)
    assert quick.tally.evaluated < whole.tally.evaluated or minimise == "energy"
    assert whole.tally.evaluated == whole.tally.all
    assert quick.least <= whole.best[0].cost
    assert all(each.devices <= 2 for each in (*whole.best, *whole.front))
    quicker = [each.tpot_s for each in whole.front]
    assert quicker == sorted(quicker, reverse=True)
    aggregated = [e.cost for e in whole.best if len(e.pools) == 1]
    assert [e.cost for e in quick.best if len(e.pools) == 1] == pytest.approx(aggregated)


def test_what_bounds_rule_out_keeps_no_promise() -> None:
    """Every candidate that a bound excludes is evaluated, and fails."""
    problem = asked("price", "rate=20,input=1000,output=150", "ttft=0.4s,tpot=8ms")
    seen = 0
    for kind in problem.kinds:
        for number in range(1, 2 // kind.devices + 1):
            why, least = problem.bounds.ruled_out(kind, number, problem.promise)
            pool = next(iter(options(problem, kind, number, "both", problem.promise)), None)
            seen += why is not None
            assert pool is None or (why is None and pool.settled.tpot_s >= least)
    assert seen > 1


def test_a_promise_that_nothing_keeps_is_refused() -> None:
    with pytest.raises(CapacityError, match="none of"):
        found(asked("price", "rate=12,input=1000,output=150", "ttft=0.4s,tpot=1ms"))


def test_the_best_has_kept_the_promise_in_a_stream() -> None:
    """A stream that breaks the promise but for batches of 4,096 tokens, and once one H100 reads."""
    problem = asked("price", "rate=12,input=1000,output=150", "ttft=0.4s,tpot=20ms")
    good, late = Seen(1, 0.1, 0.2, 0.01, 0.01), Seen(1, 0.1, 0.5, 0.01, 0.01)
    told: list[Deployment] = []

    def seen(each: Deployment) -> Seen:
        told.append(each)
        small = each.pools[0].limits.tokens < 4096 or each.pools[0].kind.machine.name == "l40s"
        return late if small else good

    plain, checked = found(problem), found(replace(problem, seen=seen))
    assert plain.best[0].seen is None
    first, second = checked.best[:2]
    for each in (first, second, *checked.front):
        assert each.seen is good
        assert each.pools[0].limits.tokens == 4096
        assert each.pools[0].kind.machine.name == "h100"
    assert first.cost >= plain.best[0].cost
    assert checked.tally.simulated == len(told)
    assert checked.tally.broken == sum(seen(each) is late for each in tuple(told)) > 0
    # Whoever costs less keeps the promise where it settles alone: its every setting was refused.

    def never(each: Deployment) -> Seen:
        return late

    with pytest.raises(CapacityError, match="in simulated streams"):
        found(replace(problem, seen=never))
