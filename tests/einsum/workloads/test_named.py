"""Values by name: options as text, and what is wrong with them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from hwmodel.einsum.workloads.named import Shares, counted, named, options_of, share_in
from hwmodel.quantity.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Fruit:
    NAME: ClassVar[str] = "fruit"

    ripe: float = 0.5
    count: int = 3
    kind: str = "apple"
    parts: Shares = 0.5
    boxes: int = counted(4)
    washed: int = counted(1, least=0, most=1)


KNOWN = {"fruit": Fruit}


def test_options_have_the_kinds_of_their_defaults() -> None:
    assert named("basket", "fruit", KNOWN) == Fruit()
    assert named("basket", "fruit:ripe=1,count=7,kind=pear", KNOWN) == Fruit(1.0, 7, "pear")


def test_a_value_tells_its_options_as_they_are_given() -> None:
    told = options_of(Fruit(0.25, parts=(0.5, 1.0)))
    assert told == "ripe=0.25, count=3, kind=apple, parts=0.5/1, boxes=4, washed=1"


def test_shares_may_be_given_by_layer() -> None:
    assert named("basket", "fruit:parts=0.25", KNOWN).parts == 0.25
    found = named("basket", "fruit:parts=0.25/0.5", KNOWN).parts
    assert found == (0.25, 0.5)
    assert [share_in(layer, found, "here") for layer in (0, 1)] == [0.25, 0.5]
    assert share_in(7, 0.25, "here") == 0.25
    with pytest.raises(InputError, match="here: expected a share for each layer, found 2"):
        share_in(2, found, "here")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("fruits", UnknownNameError, "unknown basket 'fruits'"),
        ("fruit:ripeness=1", UnknownNameError, "unknown option of fruit 'ripeness'"),
        ("fruit:ripe=2", InputError, "basket: fruit: ripe: expected a share from 0 to 1"),
        ("fruit:ripe=0.1/0.2", InputError, "a share from 0 to 1, found '0.1/0.2'"),
        ("fruit:parts=0.1/2", InputError, "a share from 0 to 1, found '2'"),
        ("fruit:ripe=", InputError, "a share from 0 to 1, found ''"),
        ("fruit:count=1.5", InputError, "a whole number, found '1.5'"),
        ("fruit:count=-1", InputError, "a whole number, found '-1'"),
        (
            "fruit:boxes=0",
            InputError,
            "fruit: boxes: expected a whole number of 1 or more, found 0",
        ),
        ("fruit:washed=2", InputError, "basket: fruit: washed: expected 0 to 1, found 2"),
    ],
)
def test_what_is_wrong_is_told(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        named("basket", text, KNOWN)


def test_a_value_of_python_is_taken_as_it_is() -> None:
    given = Fruit(parts=(0.5, 1.0), boxes=7, washed=0)
    assert named("basket", given, KNOWN) is given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Fruit(ripe=2), "basket: fruit: ripe: expected a share from 0 to 1, found 2"),
        (Fruit(ripe=float("nan")), "ripe: expected a share from 0 to 1, found nan"),
        (Fruit(parts=(0.5, -1.0)), "parts: expected a share from 0 to 1, found -1.0"),
        (Fruit(boxes=-3), "boxes: expected a whole number of 1 or more, found -3"),
        (Fruit(count=True), "count: expected a whole number of 0 or more, found True"),
        (Fruit(kind=3), "kind: expected a name, found 3"),  # pyright: ignore[reportArgumentType]
        (3, "basket: expected a name .fruit.*, or a value of such a class; found 3"),
    ],
)
def test_a_value_of_python_is_held_to_the_limits_of_a_text(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        named("basket", given, KNOWN)


def test_a_value_of_a_class_of_ones_own_has_its_own_limits() -> None:
    @dataclass(frozen=True)
    class Stone:
        NAME: ClassVar[str] = "stone"
        weight: float = 70.0

    assert named("basket", Stone(80.0), KNOWN) == Stone(80.0)
