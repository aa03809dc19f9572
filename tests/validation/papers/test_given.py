"""Inputs of programs of claims: as published, or one of them in its other value."""

import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.validation.papers.given import Given, doubled


def test_one_number_is_changed_and_all_are_told() -> None:
    said, changed = Given(), Given("tokens")
    for given, tokens in ((said, 8192), (changed, 16384)):
        assert given("tokens", 8192) == tokens
        assert given("rate", "24 GB/s", "48 GB/s") == "24 GB/s"
        assert given.inputs == {"tokens": "8,192 to 16,384", "rate": "24 GB/s to 48 GB/s"}


def test_a_machine_has_twice_of_what_is_changed() -> None:
    plain, given = device("h100"), Given("h100: bandwidth")
    faster = given.device("h100")
    speeds = [float(each.memory("dram").bandwidth_bytes_per_s) for each in (faster, plain)]
    assert speeds[0] == 2 * speeds[1]
    assert faster.units == plain.units
    assert given.device("a100") == device("a100")
    assert "a100: rates" in given.inputs


def test_what_a_machine_lets_nobody_change_is_no_input() -> None:
    """An array makes a step a clock cycle: its rates follow."""
    assert set(doubled(device("fusemax"))) == {"bandwidth", "clock", "memory"}
    assert set(doubled(device("h100"))) == {"bandwidth", "rates", "clock", "memory"}


def test_a_function_is_worked_out_once_for_the_same_words() -> None:
    asked: list[int] = []

    def told(given: Given, number: int) -> int:
        asked.append(number)
        return given("times", 1) * number

    given = Given("times")
    assert [given.once(told, n) for n in (3, 4, 3)] == [6, 8, 6]
    assert asked == [3, 4]


def test_a_number_that_is_not_there_is_refused_by_the_machine() -> None:
    with pytest.raises(TypeError):
        Given("word")("word", None)
