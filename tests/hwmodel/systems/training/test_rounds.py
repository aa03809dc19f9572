"""Rounds with slow replicas: expectations of independent draws, and a step of training."""

import math
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import InputError
from hwmodel.spine.stragglers import Stragglers
from hwmodel.systems.training.rounds import simulated

CHANCE, REPLICAS, TIMES = 0.05, 20, 3.0
DRAWN = f"slows={CHANCE},recovers={1 - CHANCE},times={TIMES},rounds=20000"
"""Each round by itself: a replica is slow with the same chance whatever it was."""


def late(tolerated: int) -> float:
    """Chance that more than so many replicas are slow in a round."""
    few = range(tolerated + 1)
    return 1 - sum(math.comb(REPLICAS, k) * CHANCE**k * (1 - CHANCE) ** (REPLICAS - k) for k in few)


def test_a_round_takes_as_long_as_its_slowest_replica() -> None:
    found = simulated(Stragglers.of(DRAWN), REPLICAS)
    assert found.longer == pytest.approx(1 + (TIMES - 1) * late(0), rel=0.01)
    assert found.load == 1 / REPLICAS


def test_a_gradient_code_waits_where_more_are_late_than_it_bears() -> None:
    """Else a tenth longer where any is late; and all compute three parts in place of one."""
    found = simulated(Stragglers.of(f"{DRAWN},coding=gradient,tolerated=2"), REPLICAS)
    assert found.waited == pytest.approx(late(2), rel=0.05)
    one_of = TIMES * late(2) + 1.1 * (late(0) - late(2)) + 1 - late(0)
    assert found.longer == pytest.approx(3 * one_of, rel=0.01)


def test_a_sequential_code_waits_for_what_its_window_and_burst_do_not_bear() -> None:
    """Slow for exactly one round, never two in a row, and one replica at a time at most."""
    seldom = "slows=0.0005,recovers=1,times=3,rounds=4000,coding=multiplexed"
    borne = simulated(Stragglers.of(f"{seldom},window=2,tolerated=4"), 4)
    assert borne.waited == 0
    assert 1.0 < borne.longer / (borne.load * 4) < 1.01
    lasting = "slows=0.01,recovers=0.05,times=3,rounds=4000,coding=multiplexed"
    again = simulated(Stragglers.of(f"{lasting},window=2,tolerated=4"), 4)
    some = 1 - (1 - 0.01 / 0.06) ** 4  # any of four is slow, for twenty rounds in a row:
    assert again.waited == pytest.approx(some / 2, rel=0.1)  # missed in every other one
    with pytest.raises(InputError, match="tolerated: expected at most the replicas"):
        simulated(Stragglers.of(f"{seldom},window=2,tolerated=4"), 3)


def step(**how: Any) -> Any:
    given: dict[str, Any] = {"dp": 16, **how}
    work: Any = training("llama-3.2-1b", 1024, 16, **given)
    return hw.predict(work, on="h100")


def test_a_step_waits_in_its_passes_and_says_so() -> None:
    plain, slow = step(), step(stragglers="slows=0.1,recovers=0.9,times=2")
    passes_s = plain.step_time_s - plain.exposed_communication_s - plain.optimizer_s
    assert slow.slower_s == pytest.approx(passes_s * (1 - 0.9**16), rel=0.06)
    assert slow.step_time_s == pytest.approx(plain.step_time_s + slow.slower_s)
    assert slow.reasons_s["waiting for slower replicas"] == slow.slower_s
    assert slow.bubble == pytest.approx(plain.bubble, abs=1e-9)
    every = step(stragglers="slows=0.1,recovers=0.9,times=2,slower=all")
    assert every.slower_s / plain.step_time_s == pytest.approx(slow.slower_s / passes_s)


def test_a_coding_computes_more_and_is_refused_where_weights_are_divided() -> None:
    words = "slows=0.001,recovers=1,times=2,coding=gradient,tolerated=3"
    plain, coded = step(), step(stragglers=words)
    assert coded.load == 4 / 16
    passes_s = plain.step_time_s - plain.exposed_communication_s - plain.optimizer_s
    assert coded.step_time_s > plain.step_time_s + 3 * passes_s
    assert coded.energy_j > 3 * plain.energy_j
    with pytest.raises(InputError, match="expected zero 0 or 1"):
        step(stragglers=words, zero=3)


def test_failures_leave_the_step_and_say_what_of_a_run_counts() -> None:
    plain, failing = step(), step(failures="mtbf=1000h,restart=1h")
    assert failing.step_time_s == plain.step_time_s
    assert (plain.goodput, failing.goodput) == (1, pytest.approx(1 / 1.016, rel=1e-5))
