"""The pruned search against all candidates, one by one."""

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.deployments.bounds import Bounds
from hwmodel.mappers.deployments.kinds import kinds
from hwmodel.mappers.deployments.search import Found, Sought, found
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
        Tables(work, most).predicted, Bounds(work, most), budgets=(1024, 4096), batches=(64, 256),
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
    from hwmodel.mappers.deployments.search import best_of

    problem = asked("price", "rate=20,input=1000,output=150", "ttft=0.4s,tpot=8ms")
    seen = 0
    for kind in problem.kinds:
        for number in range(1, 2 // kind.devices + 1):
            why, least = problem.bounds.ruled_out(kind, number, problem.promise)
            pool = best_of(problem, kind, number, "both", problem.promise)
            seen += why is not None
            assert pool is None or (why is None and pool.settled.tpot_s >= least)
    assert seen > 1


def test_a_promise_that_nothing_keeps_is_refused() -> None:
    with pytest.raises(CapacityError, match="none of"):
        found(asked("price", "rate=12,input=1000,output=150", "ttft=0.4s,tpot=1ms"))
