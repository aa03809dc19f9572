"""Programs as values: what is read, in which order, and what is refused where."""

from pathlib import Path
from typing import Any

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.systems.programs.program import Program, Step, before, in_order, program_of

WAIT: dict[str, Any] = {"time": "1 s"}


def test_a_file_and_its_table_are_the_same_program(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("name: two\nsteps:\n  a: {time: 300 ms}\n  b: {model: gpt2, input: 8}\n")
    table = {"name": "two", "steps": {"a": {"time": "300 ms"}, "b": {"model": "gpt2", "input": 8}}}
    assert program_of(file) == program_of(table) == program_of(str(file))
    value = Program(name="two", steps={"a": Step(time_s=0.3), "b": Step(model="gpt2", input=8)})
    assert value == program_of(table)
    assert program_of(value) is value


def test_a_step_waits_for_the_one_before_it_unless_it_says_for_whom() -> None:
    steps = program_of(
        {"steps": {"a": WAIT, "b": WAIT, "c": {**WAIT, "after": []}, "d": {**WAIT, "after": "a"}}}
    ).steps
    assert [before(steps, name) for name in steps] == [(), ("a",), (), ("a",)]


def test_steps_may_stand_in_any_order() -> None:
    steps = program_of(
        {"steps": {"last": {**WAIT, "after": "first"}, "first": {**WAIT, "after": []}}}
    )
    assert in_order(steps.steps) == ("first", "last")


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ({}, "steps: expected one or more, found none"),
        ({"a": {}}, "steps.a: expected one of model, time, steps and choice, found none"),
        ({"a": {**WAIT, "model": "gpt2"}}, "steps.a: .* found model and time"),
        ({"a": {"model": "gpt2"}}, "steps.a: input: expected the tokens of a prompt"),
        ({"a": {**WAIT, "input": 5}}, "steps.a: input: time has no such field"),
        ({"a": {"model": "gpt2", "input": 5, "price": "1 USD"}}, "price: model has no such field"),
        ({"a": {"model": "gpt2", "input": 5, "cached": 6}}, "cached: expected at most input"),
        ({"a": {"model": "gpt2", "input": 5, "cached": 5}}, "nothing is left to compute"),
        ({"a": {"model": "gpt2", "input": 5, "inptu": 5}}, "steps.a.inptu"),
        ({"a": {"model": "gpt2", "input": -5}}, "steps.a.input: expected a number of 0 or more"),
        ({"a": {"time": 3}}, "3 has no unit"),
        ({"a": {**WAIT, "chance": 1.5}}, "chance: expected 0 to 1"),
        ({"a": {**WAIT, "copies": 0}}, "copies: expected a number of 1 or more"),
        ({"a": {**WAIT, "after": "b"}}, "a: after: unknown step 'b'"),
        ({"a": {**WAIT, "after": "b"}, "b": {**WAIT, "after": "a"}}, "circle of a, b"),
        ({"a": {"choice": [{**WAIT, "chance": 0.6}, {**WAIT, "chance": 0.6}]}}, "add up to 1"),
        ({"a": {"steps": {"b": {**WAIT, "after": "c"}}}}, "steps.a: b: after: unknown step 'c'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_place(steps: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        program_of({"steps": steps})


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(InputError, match="expected a table or a file, found 3"):
        program_of(3)  # pyright: ignore[reportArgumentType]
