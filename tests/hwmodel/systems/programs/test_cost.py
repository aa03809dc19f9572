"""What a call takes: the same as the model's steps, one by one; lengths of copies."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.systems.programs.cost import Runner, lengths, of_call, of_tool
from hwmodel.systems.programs.program import Served, Step

SMALL = Served(config="llama-3.2-1b")
RENT: float = hw.device("h200").price.rent_usd_per_hour  # pyright: ignore[reportAssignmentType]


def test_a_call_is_its_prompt_and_then_a_step_for_each_further_token() -> None:
    """Six tokens after a prompt of 100: the prompt makes the first, steps attend to 101 to 105."""
    model = hw.model("llama-3.2-1b")
    steps = [hw.predict(model.prefill(3, 100), on="h200")]
    steps += [hw.predict(model.decode(3, context), on="h200") for context in range(101, 106)]
    cost, _ = of_call(Step(model="x", input=100, output=6), Runner.of(SMALL, "h200"), 3, 1)
    assert cost.time_s == pytest.approx(sum(each.sustained_time_s for each in steps))
    assert cost.energy_j == pytest.approx(sum(each.energy_j for each in steps))
    assert cost.flop == pytest.approx(sum(each.flop for each in steps))
    assert (cost.read, cost.reused, cost.made, cost.calls) == (300, 0, 18, 3)
    assert cost.price_usd == pytest.approx(cost.time_s * RENT / 3600)
    assert cost.low_s < cost.time_s < cost.high_s


def test_what_copies_share_is_read_once() -> None:
    model, runner = hw.model("llama-3.2-1b"), Runner.of(SMALL, "h200")
    step = Step(model="x", input=1000, shared=900, cached=400, output=0)
    cost, found = of_call(step, runner, 8, 1)
    assert [each.flop for each in found] == [
        hw.predict(model.prefill(1, 900, cached=400), on="h200").flop,
        hw.predict(model.prefill(8, 1000, cached=900), on="h200").flop,
    ]
    assert cost.read == 500 + 8 * 100
    assert cost.read + cost.reused == 8 * 1000


def test_programs_side_by_side_share_the_weights() -> None:
    """Decode reads weights once for all: 16 in step take little longer than one alone."""
    runner, step = Runner.of(SMALL, "h200"), Step(model="x", input=64, output=65)
    one, _ = of_call(step, runner, 1, 1)
    many, _ = of_call(step, runner, 1, 16)
    assert one.time_s < many.time_s < 2 * one.time_s
    assert many.energy_j < one.energy_j / 4
    assert many.flop == pytest.approx(one.flop)
    assert (many.read, many.made) == (one.read, one.made)


def test_copies_that_end_leave_the_batch() -> None:
    """Lengths 2 and 8 after a cached prompt: steps of two sequences, then of one."""
    runner = Runner.of(SMALL, "h200")
    made = lengths(5, 0.9, 2)
    assert made.tolist() == [3, 7]
    cost, (found,) = of_call(Step(model="x", input=10, cached=10, output=5, cv=0.9), runner, 2, 1)
    assert np.asarray(found.serving.tokens).tolist() == [2, 2, 2, 1, 1, 1, 1]  # pyright: ignore
    assert cost.made == 10


def test_lengths_are_lognormal_with_their_mean() -> None:
    """Of 4,096 copies mean and deviation are those asked for, but for rounding and the tail."""
    drawn = lengths(1000, 0.5, 4096)
    assert drawn.mean() == pytest.approx(1000, rel=1e-3)
    assert drawn.std() / drawn.mean() == pytest.approx(0.5, rel=0.02)
    assert np.log(drawn).std() == pytest.approx(np.sqrt(np.log(1.25)), rel=0.01)
    assert lengths(7, 0.0, 3).tolist() == [7, 7, 7]


def test_the_longest_of_sixteen_is_what_drawing_gives() -> None:
    random = np.random.default_rng(1)
    spread = np.sqrt(np.log(1 + 0.25))
    drawn = random.lognormal(-(spread**2) / 2, spread, (20_000, 16)).max(axis=1).mean()
    assert lengths(10_000, 0.5, 16).max() / 10_000 == pytest.approx(drawn, rel=0.03)


def test_a_divided_model_is_paid_by_device() -> None:
    runner = Runner.of(Served(config="llama-3.1-8b", parallel="tp=2"), "h200")
    assert runner.machine.devices == 2
    cost, (found, *_) = of_call(Step(model="x", input=128, output=1), runner, 1, 1)
    assert found.devices == 2
    assert cost.price_usd == pytest.approx(cost.time_s * 2 * RENT / 3600)


def test_a_tool_takes_its_time_once_and_its_price_each() -> None:
    cost = of_tool(Step(time_s=0.25, price_usd=0.01), 4)
    assert (cost.time_s, cost.price_usd, cost.calls) == (0.25, 0.04, 0)
