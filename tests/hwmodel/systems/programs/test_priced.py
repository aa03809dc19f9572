"""Programs priced: expectations, paths and totals that can be worked out by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.systems.programs.priced import price


def tools(**steps: Any) -> Any:
    return price({"steps": steps})


def test_a_graph_takes_its_longest_path_and_costs_all_its_steps() -> None:
    found = tools(
        plan={"time": "1 s"},
        one={"time": "2 s", "price": "3 USD"},
        two={"time": "5 s", "price": "4 USD", "after": "plan"},
        end={"time": "1 s", "after": ["one", "two"]},
    )
    assert (found.latency_s, found.busy_s, found.total.price_usd) == (7, 9, 7)
    assert {leaf.name: leaf.on_path_s for leaf in found.steps} == {
        **{"plan": 1, "one": 0, "two": 5, "end": 1}
    }


def test_a_router_takes_each_way_by_its_chance() -> None:
    """70 % take 1 s, 20 % two rounds of 3 s in a row, 10 % nothing: 0.7 + 1.2."""
    found = tools(
        route={
            "choice": [
                {"time": "1 s", "price": "1 USD", "chance": 0.7},
                {"steps": {"round": {"time": "3 s", "price": "2 USD", "repeat": 2}}, "chance": 0.2},
            ]
        }
    )
    assert found.latency_s == pytest.approx(1.9)
    assert found.latency_most_s == 6
    assert found.total.price_usd == pytest.approx(0.7 + 0.2 * 4)
    assert {leaf.name: leaf.runs for leaf in found.steps} == pytest.approx(
        {"route/1": 0.7, "route/2/round": 0.4}
    )
    assert sum(way.chance for way in found.ways) == pytest.approx(1)


def test_chances_and_loops_multiply_downwards() -> None:
    inner = {"look": {"time": "2 s", "price": "1 USD", "copies": 3, "chance": 0.5}}
    found = tools(loop={"steps": inner, "repeat": 4, "chance": 0.25})
    assert found.latency_s == pytest.approx(0.25 * 4 * 0.5 * 2)
    assert found.total.price_usd == pytest.approx(0.25 * 4 * 0.5 * 3)
    assert found.steps[0].runs == pytest.approx(0.25 * 4 * 0.5 * 3)


def test_copies_of_a_program_are_one_batch_of_its_calls() -> None:
    call = {"model": "llama-3.2-1b", "input": 64, "output": 8}
    inner = price({"steps": {"many": {"steps": {"ask": call}, "copies": 6}}}, "h200")
    plain = price({"steps": {"ask": {**call, "copies": 6}}}, "h200")
    assert inner.latency_s == plain.latency_s
    assert inner.total == plain.total


def test_chance_among_copies_is_refused() -> None:
    inner = {"look": {"time": "2 s", "chance": 0.5}}
    with pytest.raises(InputError, match="many/look: chance among copies is not modelled"):
        tools(many={"steps": inner, "copies": 2})
    with pytest.raises(InputError, match="pick: chance among copies"):
        tools(pick={"choice": [{"time": "2 s"}], "copies": 2})


def test_models_run_where_they_say() -> None:
    """The router on an L4, the answer on the machine that is asked about; errors name the step."""
    program = {
        "models": {"router": {"config": "qwen2.5-0.5b", "on": "l4"}},
        "steps": {
            "route": {"model": "router", "input": 200},
            "answer": {"model": "llama-3.2-1b", "input": 200, "output": 20},
        },
    }
    found = price(program, "h200")
    assert [leaf.device.split()[1] for leaf in found.steps] == ["L4", "H200"]
    alone = hw.predict(hw.model("qwen2.5-0.5b").prefill(1, 200), on="l4")
    assert found.steps[0].once.time_s == pytest.approx(alone.sustained_time_s)
    with pytest.raises(InputError, match="on: expected a machine"):
        price(program)


def test_a_machine_without_rent_has_no_price_and_says_so() -> None:
    machine = hw.device("h200").but(price={"rent_usd_per_hour": None})
    found = price({"steps": {"a": {"model": "llama-3.2-1b", "input": 10}}}, machine)
    assert any("has no rent" in text for text in found.warnings)
    assert "no price" in str(found)
    assert found.record()["steps"][0]["tokens_read"] == 10


def test_intervals_hold_the_latency() -> None:
    found = price({"steps": {"a": {"model": "llama-3.2-1b", "input": 10, "output": 9}}}, "h200")
    assert found.latency_low_s < found.latency_s < found.latency_high_s


def test_what_does_not_fit_is_told() -> None:
    found = price({"steps": {"a": {"model": "llama-3.1-405b", "input": 10}}}, "h200")
    assert not found.fits
