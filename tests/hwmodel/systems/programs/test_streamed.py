"""Programs in a stream: graphs by hand on plain clocks, and one program alone as it is priced."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.systems.programs.program import Program, program_of
from hwmodel.systems.programs.streamed import run
from hwmodel.systems.serving.scheduler import Scheduler
from tests.hwmodel.systems.serving.clocks import Linear

RULES = Scheduler(in_flight=1)
SECOND = Linear(base_s=1.0)
"""Every step takes a second: a prompt one, and each further token."""


def went(steps: dict[str, Any], programs: int = 1, rate: float = 1e-6, **clock: Any) -> Any:
    """On one engine of model `a`."""
    found = program_of({"steps": steps})
    return run(found, {"a": (Linear(base_s=1.0, **clock), RULES, 1)}, rate, programs, 0)


CALL = {"model": "a", "input": 10, "output": 3}


def test_steps_in_a_row_branches_and_tools_take_the_longest_path() -> None:
    """3 s; then a tool of 5 s beside a call of 3 s; then one more: 3 + 5 + 3."""
    tool = {"time": "5 s", "after": "first"}
    steps: dict[str, Any] = {"first": CALL, "tool": tool, "beside": {**CALL, "after": "first"}}
    steps["last"] = {**CALL, "after": ["tool", "beside"]}
    found = went(steps)
    assert found.latencies_s == pytest.approx([11.0])
    assert found.made == 9


def test_turns_copies_and_programs_within() -> None:
    """Two turns of two calls in a row, two copies of it side by side in the same steps: 12 s."""
    inner = {"steps": {"one": CALL, "two": CALL}, "repeat": 2, "copies": 2}
    found = went({"inner": inner})
    assert found.latencies_s == pytest.approx([12.0])
    assert found.made == 2 * 2 * 2 * 3
    assert {name: len(waits) for name, (_, waits) in found.calls.items()} == {
        "inner.one": 4,
        "inner.two": 4,
    }


def test_chances_are_drawn_as_they_were_said() -> None:
    """Of 2,000 programs 70 % take the short branch, half of the others turn once more."""
    choice = [{**CALL, "chance": 0.7}, {**CALL, "output": 6, "chance": 0.3, "repeat": 1.5}]
    found = went({"answer": {"choice": choice}}, programs=2000, rate=1e-5)
    took = [round(float(each)) for each in found.latencies_s]
    assert set(took) == {3, 6, 12}
    assert took.count(3) / 2000 == pytest.approx(0.7, abs=0.03)
    assert took.count(12) / 2000 == pytest.approx(0.15, abs=0.03)


def test_copies_find_what_they_share_and_the_cached_is_there() -> None:
    """The first copy reads all of it, the others what is not shared.

    96 of 100 tokens are whole blocks: 100 + 2 x 4 tokens are computed.
    """
    shared = {"model": "a", "input": 100, "output": 1, "copies": 3, "shared": 96}
    found = went({"ask": shared}, token_s=1.0)
    (lane,) = found.lanes["a"]
    assert lane.computed == 100 + 4 + 4
    cached = {"model": "a", "input": 100, "output": 1, "cached": 60}
    assert went({"ask": cached}, token_s=1.0).latencies_s == pytest.approx([1 + 40])


def test_programs_that_come_together_wait_for_each_other() -> None:
    """One sequence at a time: calls of 3 s at 10 a second queue, each for those before it."""
    found = program_of({"steps": {"ask": CALL}})
    one = run(found, {"a": (SECOND, RULES.but(max_batch=1), 1)}, 10.0, 50, 0)
    many = run(found, {"a": (SECOND, RULES, 4)}, 10.0, 50, 0)
    assert one.latencies_s.max() > 140
    assert many.latencies_s.max() < 10
    assert one.duration_s == pytest.approx(150, rel=0.01)


ASK = {
    "name": "ask",
    "models": {"small": {"config": "qwen2.5-0.5b"}},
    "steps": {
        "plan": {"model": "small", "input": 600, "output": 50},
        "search": {"time": "300 ms", "price": "0.001 USD"},
        "read": {"model": "small", "input": 1500, "cached": 600, "output": 80},
    },
}


def test_a_lone_program_takes_what_it_is_priced_at() -> None:
    """At a program in 100 s nobody waits; what idles is paid for."""
    alone: Any = hw.program(
        {**ASK, "models": {"small": {"config": "qwen2.5-0.5b", "engine": "vllm"}}}, on="h200"
    )
    found: Any = hw.program(ASK, on="h200", rate_per_s=0.01, programs=20)
    assert found.latency_s == pytest.approx(alone.latency_s, rel=0.05)
    record = found.record()
    assert record["tokens_made"] == 20 * 130
    rent: Any = hw.device("h200").price.rent_usd_per_hour
    assert record["price_usd"] == pytest.approx(found.duration_s * rent / 3600 / 20 + 0.001)
    assert "20 programs at 0.01 /s" in str(found)


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(InputError, match="a rate_per_s above 0, found 5 and 0"):
        run(Program.build(ASK, where="ask"), {}, 0.0, 5, 0)
