"""Where engines settle: cases that are solved by hand, and streams walked step by step."""

import dataclasses
import math
import random

import numpy as np
import pytest

from hwmodel.mappers.deployments.steady import Limits, Table, settle

FIXED_S, SEQUENCE_S, CHUNK_S = 0.010, 0.0001, 0.050
LIMITS = Limits(tokens=2048, sequences=512)


def table(kv_tokens: float = 1e9, each: int = 1) -> Table:
    """Steps of 10 ms, 0.1 ms more for each sequence and 50 ms for each chunk of 1,000 tokens."""
    decodes, chunks = np.array([0.0, 1, 64, 512]), np.array([0.0, 1, 2])
    seconds = FIXED_S + SEQUENCE_S * decodes[:, None] + CHUNK_S * chunks[None, :]
    return Table(decodes, chunks, seconds, 500 * seconds, 1000, each, kv_tokens)


def test_steps_that_are_straight_lines_settle_where_algebra_says() -> None:
    """T = a + b r (O - 1) T + c r T, so T = a / (1 - r (b (O - 1) + c))."""
    found = settle(table(), 2.0, 101, 1000, LIMITS)
    assert found is not None
    step = FIXED_S / (1 - 2.0 * (SEQUENCE_S * 100 + CHUNK_S))
    assert found.tpot_s == pytest.approx(step, rel=1e-4)
    assert found.concurrency == pytest.approx(2.0 * 100 * step, rel=1e-4)
    assert found.power_w == pytest.approx(500)


def test_a_step_that_makes_two_tokens_is_asked_for_half_as_often() -> None:
    """T = a / (1 - r (b (O - 1) / 2 + c)), a token each T / 2."""
    drafts = dataclasses.replace(table(), queries=3, makes=2.0)
    found = settle(drafts, 2.0, 101, 1000, LIMITS)
    assert found is not None
    step = FIXED_S / (1 - 2.0 * (SEQUENCE_S * 50 + CHUNK_S))
    assert found.tpot_s == pytest.approx(step / 2, rel=1e-4)
    assert found.concurrency == pytest.approx(2.0 * 50 * step, rel=1e-4)


def test_what_is_verified_is_off_the_budget() -> None:
    """17 a second need two prompts in some steps: 2.3 sequences of 30 rows leave room for one."""
    many = Limits(2050, 512)
    assert settle(table(), 17.0, 3, 1000, many) is not None
    assert settle(dataclasses.replace(table(), queries=30), 17.0, 3, 1000, many) is None


def test_more_than_prompts_have_time_for_is_overloaded() -> None:
    """A step reads two prompts in 110 ms at the most: 18.18 a second."""
    assert settle(table(), 18.0, 1, 1000, LIMITS) is not None
    assert settle(table(), 18.3, 1, 1000, LIMITS) is None
    assert settle(table(each=2), 9.15, 1, 1000, LIMITS) is None


def test_sequences_have_room_in_cache_and_batch() -> None:
    """Some 2.3 decode: with two deviations more, room for 5 is too little for 6."""
    count = 2.0 * 100 * FIXED_S / (1 - 2.0 * 0.06)
    need = count + 2 * math.sqrt(count)
    assert settle(table(kv_tokens=1000 * (need + 0.1)), 2.0, 101, 1000, LIMITS) is not None
    assert settle(table(kv_tokens=1000 * (need - 0.1)), 2.0, 101, 1000, LIMITS) is None
    assert settle(table(), 2.0, 101, 1000, Limits(2048, int(need))) is None


def test_stages_of_a_pipeline_have_batches_of_their_own() -> None:
    """Twice the rate in two stages: each batch as one engine alone has it."""
    one = settle(table(), 2.0, 101, 1000, LIMITS)
    two = settle(dataclasses.replace(table(), stages=2), 4.0, 101, 1000, LIMITS)
    assert one is not None
    assert two is not None
    assert two.tpot_s == pytest.approx(one.tpot_s)
    assert two.concurrency == pytest.approx(2 * one.concurrency)


def walked(rate: float, output: int, requests: int) -> tuple[float, float]:
    """Mean TPOT and TTFT of an engine that is walked step by step, for a Poisson stream."""
    draw = random.Random(7)
    arrivals = [0.0]
    while len(arrivals) < requests:
        arrivals.append(arrivals[-1] + draw.expovariate(rate))
    clock, place = 0.0, 0
    running: list[tuple[float, float, int]] = []
    tpot: list[float] = []
    ttft: list[float] = []
    while place < requests or running:
        if not running and arrivals[place] > clock:
            clock = arrivals[place]
        read = [t for t in arrivals[place : place + 2] if t <= clock]
        place += len(read)
        clock += FIXED_S + SEQUENCE_S * len(running) + CHUNK_S * len(read)
        after = [(came, first, left - 1) for came, first, left in running]
        tpot += [(clock - first) / (output - 1) for _, first, left in after if left == 0]
        ttft += [clock - came for came in read]
        running = [each for each in after if each[2]] + [(t, clock, output - 1) for t in read]
    return sum(tpot) / len(tpot), sum(ttft) / len(ttft)


@pytest.mark.parametrize("rate", [1.0, 4.0, 7.0])
def test_a_stream_that_is_walked_settles_there(rate: float) -> None:
    tpot, ttft = walked(rate, 101, 4000)
    found = settle(table(), rate, 101, 1000, LIMITS)
    assert found is not None
    assert found.tpot_s == pytest.approx(tpot, rel=0.08)
    assert found.ttft_s == pytest.approx(ttft, rel=0.2)
