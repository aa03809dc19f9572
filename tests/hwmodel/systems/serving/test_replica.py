"""A replica in time: worked by hand, and by laws that no scheduler can break."""

from typing import Any

import numpy as np
import pytest

from hwmodel.quantity.errors import CapacityError
from hwmodel.systems.serving.replica import Replica
from hwmodel.systems.serving.requests import Request, Stay
from hwmodel.systems.serving.scheduler import SCHEDULERS, Reserve, Scheduler
from hwmodel.systems.serving.stepping import Stepping
from tests.hwmodel.systems.serving.clocks import Alone, Linear, Slow

PLAIN = Scheduler(in_flight=1)
ASYNC = Scheduler(in_flight=2)


def ran(
    requests: list[Request], clock: Any, rules: Scheduler, kind: type[Stepping] = Replica
) -> tuple[Stepping, list[Stay]]:
    engine = kind(clock, rules)
    made = [Stay(number, each) for number, each in enumerate(requests)]
    for each in made:
        engine.offer(each)
    engine.advance()
    return engine, made


def stream(count: int, rate: float, seed: int = 0, inputs: int = 200, outputs: int = 60) -> Any:
    draw = np.random.default_rng(seed)
    times = np.cumsum(draw.exponential(1 / rate, count))
    sizes = draw.integers(1, inputs, count), draw.integers(1, outputs, count)
    return [Request(float(t), int(i), int(o)) for t, i, o in zip(times, *sizes, strict=True)]


def test_a_request_alone_is_its_prompt_in_chunks_and_a_step_for_each_further_token() -> None:
    clock = Linear(base_s=1.0, token_s=0.001)
    engine, (only,) = ran([Request(5.0, 5000, 3)], clock, PLAIN)
    # Chunks of 2048, 2048 and 904 tokens; then two tokens, one each.
    assert only.first_s == pytest.approx(5 + 3 + 5.0)
    assert only.last_s == pytest.approx(5 + 3 + 5.0 + 2 * 1.001)
    assert engine.steps == 5
    assert engine.computed == 5002


def test_what_comes_during_a_step_is_read_in_the_next_or_with_two_in_flight_after_it() -> None:
    requests = [Request(0.0, 10, 5), Request(0.5, 10, 1)]
    _, (_, synchronous) = ran(requests, Linear(base_s=1.0), PLAIN)
    _, (first, late) = ran(requests, Linear(base_s=1.0), ASYNC)
    assert (synchronous.scheduled_s, synchronous.first_s) == (1.0, 2.0)
    assert (late.scheduled_s, late.first_s) == (1.0, 3.0)
    assert (first.first_s, first.last_s) == (1.0, 5.0)


def test_decodes_come_before_prompts_and_a_prompt_is_cut_where_the_budget_ends() -> None:
    rules = PLAIN.but(max_batch_tokens=10, max_batch=4)
    requests = [Request(0.0, 4, 9), Request(0.0, 20, 2), Request(0.0, 3, 2)]
    _, (one, two, three) = ran(requests, Linear(base_s=1.0), rules)
    # Steps: 4 + 6 of 20; 1 + 9; 1 + 5 and all 3 of the last; then decodes.
    assert [one.first_s, two.first_s, three.first_s] == [1.0, 3.0, 3.0]
    assert [one.last_s, two.last_s, three.last_s] == [9.0, 4.0, 4.0]


def test_the_sequence_admitted_last_is_preempted_and_computed_again() -> None:
    """Two sequences of 15 tokens in a cache of three blocks of 8: worked by hand.

    Both prompts take two blocks less a token: the second has no room at first for its own.
    """
    clock = Linear(kv_tokens=32, base_s=1.0)
    rules = PLAIN.but(block_tokens=8, prefix_cache=False)
    engine, (one, two) = ran([Request(0.0, 15, 4), Request(0.0, 15, 4)], clock, rules)
    # Step 1 reads both (2 + 2 blocks); step 2 computes token 16 of each; in step 3 token 17 of the
    # first needs a fifth block: the second gives up both of its own, having made two tokens. No
    # step that preempts admits; the first holds 3 of 4 blocks until it ends with step 4. Then the
    # second reads its 17 tokens in step 5 and makes its third and, in step 6, its fourth token.
    assert (one.first_s, one.last_s, one.preempted) == (1.0, 4.0, 0)
    assert (two.first_s, two.last_s, two.preempted) == (1.0, 6.0, 1)
    assert engine.computed == 15 + 15 + 2 + 1 + 1 + 17 + 1
    assert engine.blocks.free == engine.blocks.count == 4
    assert engine.peak == 4


def test_a_preempted_sequence_finds_the_beginning_that_nobody_took() -> None:
    clock = Linear(kv_tokens=32, base_s=1.0)
    rules = PLAIN.but(block_tokens=8)
    engine, (_, two) = ran([Request(0.0, 15, 4), Request(0.0, 15, 4)], clock, rules)
    # Of the second's two whole blocks one is taken, from its end: 9 of 17 tokens are read again.
    assert engine.computed == 15 + 15 + 2 + 1 + 1 + 9 + 1
    assert two.last_s == 6.0


def test_a_beginning_that_others_computed_is_not_computed_again() -> None:
    clock = Linear(base_s=1.0, kv_tokens=16 * 8)
    shared = [
        Request(0.0, 50, 1, hashes=(1, 2, 3)),  # 3 blocks of 16, and 2 tokens
        Request(9.0, 50, 1, hashes=(1, 2, 4)),
        Request(19.0, 32, 1, hashes=(1, 2)),  # the last token is computed, with all its block
    ]
    engine, made = ran(shared, clock, PLAIN)
    assert [each.hit for each in made] == [0, 32, 16]
    assert engine.computed == 50 + 18 + 16
    assert engine.reused == 48
    assert engine.blocks.free == 8


def test_blocks_that_nobody_used_longest_are_evicted_first_ends_before_beginnings() -> None:
    clock = Linear(base_s=1.0, kv_tokens=16 * 5)
    requests = [
        Request(0.0, 33, 1, hashes=(1, 2)),  # blocks: 1, 2 and a third
        Request(9.0, 17, 1, hashes=(3,)),
        # The queue: the third, 2, 1; then the fifth and 3. Two are taken, 2 among them and not 1.
        Request(19.0, 32, 1),
        Request(29.0, 17, 1, hashes=(1,)),
        Request(39.0, 17, 1, hashes=(3,)),
    ]
    _, made = ran(requests, clock, PLAIN)
    assert [each.hit for each in made] == [0, 0, 0, 16, 16]
    # Three take 1 too; then two for the fourth request take the fifth block and 3.
    evicts = [*requests[:2], Request(19.0, 48, 1), *requests[3:]]
    _, made = ran(evicts, clock, PLAIN)
    assert [each.hit for each in made] == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("kv_tokens", [1_000_000, 1600])
@pytest.mark.parametrize("in_flight", [1, 2])
def test_skipping_ahead_is_stepping_bit_for_bit(name: str, kv_tokens: int, in_flight: int) -> None:
    rules = SCHEDULERS[name].but(in_flight=in_flight, max_batch_tokens=256, max_batch=32)
    given: Any = (kv_tokens, 0.003, 1e-4, 1e-6)
    seen: list[list[Any]] = []
    for clock, kind in (
        (Linear(*given), Replica),
        (Slow(*given), Replica),
        (Slow(*given), Stepping),
    ):
        engine, made = ran(stream(150, 8.0), clock, rules, kind)
        totals = [engine.now_s, engine.busy_s, engine.joules, engine.steps, engine.peak]
        seen.append(
            [*totals, engine.computed, *((s.scheduled_s, s.first_s, s.last_s) for s in made)]
        )
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("kv_tokens", [1_000_000, 1600])
@pytest.mark.parametrize("in_flight", [1, 2])
def test_requests_that_come_unforeseen_take_back_what_was_skipped(
    kv_tokens: int, in_flight: int
) -> None:
    rules, clock = Scheduler(in_flight=in_flight), Linear(kv_tokens, 0.003, 1e-4, 1e-6)
    requests = stream(150, 6.0)
    known, wanted = ran(requests, clock, rules, Stepping)
    engine = Replica(clock, rules)
    made = [Stay(number, each) for number, each in enumerate(requests)]
    for each in made:
        engine.advance(each.request.arrival_s)
        engine.offer(each)
    engine.advance()
    assert [s.last_s for s in made] == [s.last_s for s in wanted]
    assert (engine.busy_s, engine.joules, engine.peak) == (known.busy_s, known.joules, known.peak)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("kv_tokens", [1_000_000, 1600])
def test_no_scheduler_loses_tokens_or_blocks_or_rests_while_there_is_work(
    name: str, kv_tokens: int
) -> None:
    rules = SCHEDULERS[name].but(max_batch_tokens=512, max_batch=64)
    requests = stream(300, 40.0)
    engine, made = ran(requests, Linear(kv_tokens, 0.003, 1e-4, 1e-6), rules)
    asked = sum(each.input + each.output - 1 for each in requests)
    again = any(each.preempted for each in made)
    assert engine.computed == asked if not again else engine.computed > asked
    assert again == (kv_tokens == 1600 and rules.reserve.start < 1)
    assert engine.blocks.free == engine.blocks.count
    assert engine.peak <= engine.blocks.count
    assert all(s.request.arrival_s <= s.scheduled_s < s.first_s <= s.last_s for s in made)
    # It rests only while nothing is there: from an end of all to the next arrival.
    ends = sorted((s.last_s, -1) for s in made)
    events = sorted([*ends, *((r.arrival_s, 1) for r in requests)])
    idle_s, there, last_s = 0.0, 0, 0.0
    for at_s, change in events:
        idle_s += (at_s - last_s) * (there == 0)
        there, last_s = there + change, at_s
    assert engine.busy_s + idle_s == pytest.approx(engine.now_s, rel=1e-9)


@pytest.mark.thorough
def test_one_sequence_at_a_time_waits_as_in_a_queue_of_fixed_service() -> None:
    """M/D/1: the mean wait is rho / (2 (1 - rho)) services (Pollaczek, Khinchine)."""
    draw = np.random.default_rng(7)
    load, count = 0.7, 60_000
    times = np.cumsum(draw.exponential(1 / load, count))
    requests = [Request(float(t), 8, 1) for t in times]
    rules = Scheduler(max_batch=1, in_flight=1, max_batch_tokens=8)
    _, made = ran(requests, Alone(), rules)
    waits = [s.last_s - s.request.arrival_s - 1.0 for s in made]
    assert float(np.mean(waits)) == pytest.approx(load / (2 * (1 - load)), rel=0.05)


def test_the_mean_number_there_is_rate_times_mean_latency() -> None:
    """Little's law, by the integral of how many are there."""
    requests = stream(2000, 20.0)
    engine, made = ran(requests, Linear(base_s=0.004, token_s=2e-5), ASYNC)
    steps = np.linspace(0, engine.now_s, 200_001)
    came = np.searchsorted([r.arrival_s for r in requests], steps, side="right")
    left = np.searchsorted(np.sort([s.last_s for s in made]), steps, side="right")
    there = float(np.mean(came - left))
    rate = len(requests) / engine.now_s
    latency_s = float(np.mean([s.last_s - s.request.arrival_s for s in made]))
    assert there == pytest.approx(rate * latency_s, rel=1e-3)


def test_a_step_reads_prompts_or_decodes_where_rules_do_not_mix() -> None:
    requests = [Request(0.0, 10, 4), Request(0.5, 10, 2)]
    rules = PLAIN.but(mixed=False)
    _, (one, two) = ran(requests, Linear(base_s=1.0), rules)
    # Reads one; reads the other, while the first waits; then both decode.
    assert (one.first_s, two.first_s, two.last_s, one.last_s) == (1.0, 2.0, 3.0, 5.0)


def test_a_request_that_no_replica_holds_is_refused() -> None:
    with pytest.raises(CapacityError, match=r"at most 96 tokens, .* found 100"):
        ran([Request(0.0, 90, 11)], Linear(kv_tokens=100), PLAIN)
    with pytest.raises(CapacityError, match="unless prompts are cut, found 3,000"):
        ran([Request(0.0, 3000, 1)], Linear(), PLAIN.but(chunked=False))


def test_room_for_all_outputs_is_what_counting_every_sequence_anew_says() -> None:
    rules = SCHEDULERS["trtllm"].but(max_batch_tokens=512, max_batch=40)
    counted = rules.but(reserve=Reserve(start=1.0, most=2**52))  # nothing is capped: the same room
    queue = stream(150, rate=40.0, inputs=300, outputs=400)
    clock = Linear(kv_tokens=8_000, token_s=1e-4)
    eager = rules.but(reserve=Reserve())
    waits = [[s.last_s for s in ran(queue, clock, each)[1]] for each in (rules, counted, eager)]
    assert waits[0] == waits[1] != waits[2]
