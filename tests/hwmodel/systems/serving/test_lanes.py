"""A pipeline works on as many batches as it has stages."""

from dataclasses import dataclass

from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.lanes import laned
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler


@dataclass(frozen=True)
class Second:
    """Every step is a second long."""

    kv_tokens: int = 96

    def seconds(self, batch: Batch) -> float:
        return 1.0

    def joules(self, batch: Batch) -> float:
        return 1.0


def test_two_stages_serve_twice_the_sequences_that_one_batch_would() -> None:
    """Four of 16 + 3 tokens: a batch of two takes 3 steps; two lanes do all of them in three."""
    rules = Scheduler(max_batch=2, in_flight=1, max_batch_tokens=64)
    requests = [Request(0.0, 16, 3)] * 4
    alone = run(requests, Second(160), rules)
    assert max(stay.last_s for stay in alone.stays) == 6.0
    steps, budgets, lanes = laned(Second(160), rules.but(max_batch=4), 1, 2)
    assert (lanes, budgets.max_batch, steps.kv_tokens) == (2, 2, 80)
    both = run(requests, steps, budgets, replicas=lanes)
    assert [stay.last_s for stay in both.stays] == [3.0] * 4


def test_a_lane_holds_its_share_of_the_cache_and_no_more() -> None:
    """Of 96 tokens each of two lanes has 48: one sequence of 33, which takes three blocks."""
    rules = Scheduler(max_batch=4, in_flight=1, max_batch_tokens=64)
    steps, budgets, lanes = laned(Second(), rules, 1, 2)
    found = run([Request(0.0, 32, 2)] * 4, steps, budgets, replicas=lanes)
    assert sorted(stay.last_s for stay in found.stays) == [2.0, 2.0, 4.0, 4.0]


def test_ranks_that_attend_apart_have_budgets_of_their_own() -> None:
    _, rules, engines = laned(Second(), Scheduler(max_batch=8, max_batch_tokens=100), 3, 1, ranks=4)
    assert (rules.max_batch, rules.max_batch_tokens, engines) == (32, 400, 3)


def test_a_prompt_is_read_by_one_rank_within_its_share_of_the_budget() -> None:
    """Each of two ranks reads 250 tokens by 100; a third prompt begins beside their ends."""
    rules = Scheduler(max_batch=8, max_batch_tokens=100, in_flight=1)
    requests = [Request(0.0, 250, 1)] * 3
    steps, budgets, _ = laned(Second(10_000), rules, 1, 1, ranks=2)
    found = run(requests, steps, budgets)
    assert [stay.first_s for stay in found.stays] == [3.0, 3.0, 5.0]
    wide = run(requests, Second(10_000), rules.but(max_batch_tokens=200))
    assert [stay.first_s for stay in wide.stays] == [2.0, 3.0, 4.0]


def test_a_cut_prompt_that_another_preempts_is_read_again() -> None:
    """Nine blocks: both ranks read 64 tokens, then the first takes blocks of the other."""
    rules = Scheduler(max_batch=8, max_batch_tokens=64, in_flight=1, prefix_cache=False)
    steps, budgets, _ = laned(Second(9 * 16), rules, 1, 1, ranks=2)
    found = run([Request(0.0, 96, 1)] * 2, steps, budgets)
    first, second = found.stays
    assert (first.preempted, second.preempted) == (0, 1)
    assert first.first_s < second.first_s
    assert found.replicas[0].computed == 96 + 64 + 96
