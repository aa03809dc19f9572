"""What moves a claim: every input in turn, or as many as it takes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given
from hwmodel.validation.papers.moves import moved


def claim(quantity: str, ours: float) -> Claim:
    return Claim("system", quantity, 1.0, ours, 0.0, "made up")


def program(given: Given) -> Sequence[Claim]:
    """A claim that moves with both inputs, one with the second, and one with none."""
    few, many = given("few", 2), given("many", 10, 40)
    return (claim("both", few * many), claim("many", many), claim("none", 7.0))


def test_each_claim_is_told_what_moves_it_and_by_how_much() -> None:
    both, many, none = moved(program)
    assert both.moves is not None
    assert [(move.input, move.change, move.by) for move in both.moves] == [
        ("few", "2 to 4", pytest.approx(1.0)),
        ("many", "10 to 40", pytest.approx(3.0)),
    ]
    assert [move.input for move in many.moves or ()] == ["many"]
    assert none.moves == ()
    assert both.tried == 2


def test_without_every_input_it_ends_when_all_have_moved() -> None:
    asked: list[str] = []

    def one(given: Given) -> Sequence[Claim]:
        asked.append(given.changed)
        return (claim("it", given("first", 2) + given("second", 3)),)

    moved(one, every=False)
    assert asked == ["", "first"]
    moved(one)
    assert asked == ["", "first", "", "first", "second"]


def test_a_factor_moves_an_identity_and_no_figure() -> None:
    """What is 1 as published is no number of a machine, a model or a workload."""

    def scaled(given: Given) -> Sequence[Claim]:
        times = given("times", 1)
        return (claim("figure", 3.0 * times), replace(claim("by hand", 4.0 * times), identity=True))

    figure, identity = moved(scaled)
    assert [move.factor for move in figure.moves or ()] == [True]
    assert (figure.moved, identity.moved) == (False, True)


def test_a_program_makes_as_many_claims_whatever_is_changed() -> None:
    def fickle(given: Given) -> Sequence[Claim]:
        return [claim("it", 1.0)] * given("claims", 1)

    with pytest.raises(AssertionError, match="claims: 1 claims as published, 2 with 1 to 2"):
        moved(fickle)
