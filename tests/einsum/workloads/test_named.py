"""Values by name: options as text, and what is wrong with them."""

from dataclasses import dataclass

import pytest

from hwmodel.einsum.workloads.named import named, options_of
from hwmodel.quantity.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Fruit:
    ripe: float = 0.5
    count: int = 3
    kind: str = "apple"


KNOWN = {"fruit": Fruit}


def test_options_have_the_kinds_of_their_defaults() -> None:
    assert named("basket", "fruit", KNOWN) == Fruit()
    assert named("basket", "fruit:ripe=1,count=7,kind=pear", KNOWN) == Fruit(1.0, 7, "pear")


def test_a_value_tells_its_options_as_they_are_given() -> None:
    assert options_of(Fruit(0.25)) == "ripe=0.25, count=3, kind=apple"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("fruits", UnknownNameError, "unknown basket 'fruits'"),
        ("fruit:ripeness=1", UnknownNameError, "unknown option of fruit 'ripeness'"),
        ("fruit:ripe=2", InputError, "basket: fruit: ripe: expected a share from 0 to 1"),
        ("fruit:ripe=", InputError, "a share from 0 to 1, found ''"),
        ("fruit:count=1.5", InputError, "a whole number, found '1.5'"),
        ("fruit:count=-1", InputError, "a whole number, found '-1'"),
    ],
)
def test_what_is_wrong_is_told(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        named("basket", text, KNOWN)
